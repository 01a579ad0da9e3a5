import type { ContractRecord, Settlement } from '@antirio/ledger-machine';
import type { ContractTerms, Drill, LifeState } from '@antirio/service-contract';
import type { Judge } from './checks.ts';
import type { Dice } from './random.ts';
import type { World } from './world.ts';

/** So many worlds have a rent, at so much that a millisecond, or half a second, is a unit. */
export function drawRent(dice: Dice): { readonly rent?: { readonly perHour: number } } {
  return dice.chance(0.4) ? { rent: { perHour: dice.pick([3_600_000, 3_600_000, 1_234_567, 7200]) } } : {};
}

const contractOf = ({ ledger }: World, { contractId }: ContractTerms): ContractRecord =>
  ledger.read(`contract/${contractId}`) as ContractRecord;

/** What the provider has got of the rent, and what is in escrow still. */
export function rentOf(world: World, terms: ContractTerms): { readonly paid: number; readonly held: number } {
  const { settlement, escrow } = contractOf(world, terms);
  return { paid: settlement?.rent?.paid ?? 0, held: escrow.rent ?? 0 };
}

const STANDS: ReadonlySet<LifeState> = new Set<LifeState>(['READY', 'READY_EXPOSED', 'ACTIVE']);

/** How long the contract was in states that are paid for, ms of the ledger's time: by all that was ever written of it. */
function stoodMs(
  { ledger }: World,
  { contractId, maxActiveS, expiresAt }: ContractTerms,
  until: number,
): number {
  let ms = 0;
  let before: { readonly state: LifeState; readonly at: number } | undefined;
  const count = (at: number): void => {
    if (before === undefined || !STANDS.has(before.state)) return;
    // standing by is paid to the end of the contract, serving for as long as it may last
    const most = before.state === 'ACTIVE' ? maxActiveS * 1000 : expiresAt - before.at;
    ms += Math.max(0, Math.min(at - before.at, most));
  };
  for (const { at, writes } of ledger.written()) {
    const found = writes.find(([key]) => key === `contract/${contractId}`)?.[1];
    const state = (found as ContractRecord | undefined)?.life.state;
    if (state === undefined || state === before?.state || at > until) continue;
    count(at);
    before = { state, at };
  }
  count(until);
  return ms;
}

function hasFailedDrills({ ledger }: World, { contractId }: ContractTerms): boolean {
  const all = ledger.written().flatMap(({ writes }) => writes);
  return all.some(([key, value]) => {
    const isDrills = key.startsWith(`drill/${contractId}/`) || key.startsWith(`fulldrill/${contractId}/`);
    return isDrills && (value as Pick<Drill, 'state'>).state === 'failed';
  });
}

/** What is due of the rent, and whether that is so to the unit; undefined where it goes by something else than time. */
function dueOf(world: World, terms: ContractTerms, { at, row, reason }: Settlement) {
  if (row === 'cancelled' || row === 'customerBreach') return undefined;
  // who never took over had its whole time for it before anybody could say so
  const until = reason === 'neverTookOver' ? at - terms.takeoverSlaMs : at;
  const amount = Math.floor((stoodMs(world, terms, until) / 3_600_000) * (terms.rent?.perHour ?? 0));
  return { amount, isExact: row !== 'providerBreach' && !hasFailedDrills(world, terms) };
}

/** Who stood by or served is paid for that time to the unit, and nobody for another. */
export function checkRent(world: World, judge: Judge, terms: ContractTerms): void {
  const { settlement } = contractOf(world, terms);
  if (terms.rent === undefined || settlement === undefined) return;
  const due = dueOf(world, terms, settlement);
  const { row, reason, rent: { paid } = { paid: 0 } } = settlement;
  if (due === undefined) return;
  if (paid > due.amount + 1 || (due.isExact && paid < due.amount - 1))
    judge.broken('money', `${paid} of rent is paid where ${due.amount} is due (${row}, ${reason})`);
}
