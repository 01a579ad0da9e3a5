import type { ContractRecord as LedgerContract } from '@antirio/ledger-machine';
import {
  disputeEndsAt,
  type ContractRecord,
  type ContractTerms,
  type RekeyCount,
} from '@antirio/service-contract';
import type { Judge } from './checks.ts';
import type { Dice } from './random.ts';
import type { Fault } from './scenario.ts';
import type { World } from './world.ts';

/** What becomes of the customer's devices after a handback. */
export interface Rekeying {
  readonly waitS: number;
  /** How long it takes until all have joined anew, ms of ledger time; `never`: some do not; `silent`: the customer says nothing of it. */
  readonly devices: number | 'never' | 'silent';
}

/** Most contracts do not wait for new keys. */
export function drawRekeying(dice: Dice): Rekeying {
  if (dice.chance(0.6)) return { waitS: 0, devices: 'never' };
  const waitS = dice.pick([1, 4, 8]);
  return { waitS, devices: dice.pick([0, dice.between(0, 6000), 'never', 'silent'] as const) };
}

/** The time for new keys is the ledger's: here it does not jump. */
export function keepsRekeyingTime({ waitS }: Rekeying, fault: Fault): boolean {
  return waitS === 0 || fault.kind !== 'wallJump' || fault.node !== 'central';
}

/** What the central arbitrator's record says of it. */
export function rekeyingNow(rekeying: LedgerContract['rekeying'], wall: number): Partial<ContractRecord> {
  if (rekeying === undefined) return {};
  const settlesInMs = Math.max(0, Math.ceil(rekeying.until - wall));
  const { rekeyed, waiting, disclosed } = rekeying.counted ?? {};
  const counted =
    rekeyed === undefined || waiting === undefined || disclosed === undefined
      ? undefined
      : { rekeyed, waiting, disclosed };
  return { closesInMs: settlesInMs, rekeying: { settlesInMs, counted } };
}

/** When a dispute may be ended. */
export function disputeEnds(
  contract: LedgerContract,
  terms: Pick<ContractTerms, 'disputeS'>,
  wall: number,
): Pick<ContractRecord, 'closesInMs'> {
  const endsAt = disputeEndsAt(contract, terms);
  return endsAt === undefined ? {} : { closesInMs: Math.max(0, Math.ceil(endsAt - wall)) };
}

/** What the customer's rooms see of its devices. */
export function countedNow(
  { rekeying }: LedgerContract,
  { devices }: Rekeying,
  count: number,
  wall: number,
): RekeyCount | undefined {
  if (rekeying === undefined || devices === 'silent') return undefined;
  const waiting = devices === 'never' || wall < rekeying.since + devices ? 1 : 0;
  return { rekeyed: count - 1, waiting, disclosed: 1 - waiting };
}

/** No customer holds up what it owes, and none settles before its devices have new keys or had their time for it. */
export function checkRekeying(world: Pick<World, 'ledger' | 'contracts'>, judge: Judge): void {
  for (const { terms, name } of world.contracts) checkOne(world.ledger, terms, name, judge);
}

function checkOne(ledger: World['ledger'], terms: ContractTerms, name: string, judge: Judge): void {
  const { rekeying, settlement, escrow } = ledger.read(`contract/${terms.contractId}`) as LedgerContract;
  if (rekeying === undefined) return;
  const { since, until, counted } = rekeying;
  if (until - since !== terms.rekey.waitS * 1000)
    judge.broken('money', `${name} waits ${until - since} ms for new keys of ${terms.rekey.waitS} s agreed`);
  if (settlement === undefined || escrow.provider > 0) {
    judge.broken('converged', `in the end ${name} is not paid: new keys are waited for`);
    return;
  }
  if (settlement.row === 'honoured' && settlement.at < until && counted?.waiting !== 0)
    judge.broken('money', `${name} is paid before the devices had their time for new keys`);
}
