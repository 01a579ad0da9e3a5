import { isEnded } from '@antirio/service-contract';
import { supplyOf, type Genesis } from './genesis.ts';
import {
  keys,
  type AccountRecord,
  type ContractRecord,
  type MatchRecord,
  type OrderRecord,
  type SetRecord,
  type Settlement,
} from './records.ts';
import type { StateView } from './state.ts';

const heldIn = ({ escrow: { customer, provider, rent = 0 } }: ContractRecord): readonly number[] => [
  customer,
  provider,
  rent,
];

const sum = (amounts: readonly number[]): number => amounts.reduce((all, one) => all + one, 0);

function* escrowProblems(key: string, contract: ContractRecord): Iterable<string> {
  const { life, settlement } = contract;
  const ended = isEnded(life);
  const held = heldIn(contract);
  if (held.some((one) => one < 0)) yield `${key} has a negative escrow`;
  if (ended && sum(held) > 0) yield `${key} has ended with money in escrow`;
  if (ended !== (settlement !== undefined))
    yield `${key} is ${life.state}, settlement ${settlement?.row ?? 'none'}`;
  yield* rentProblems(key, settlement?.rent);
}

function* rentProblems(key: string, rent: Settlement['rent']): Iterable<string> {
  if (rent !== undefined && (rent.paid < 0 || rent.paid > rent.prepaid))
    yield `${key} paid ${rent.paid} of ${rent.prepaid} of rent`;
}

function* moneyProblems(state: StateView, genesis: Genesis): Iterable<string> {
  let total = 0;
  for (const [key, value] of state.range('account/')) {
    const { balance } = value as AccountRecord;
    if (!Number.isSafeInteger(balance) || balance < 0) yield `${key} holds ${balance}`;
    total += balance;
  }
  for (const [key, value] of state.range('contract/')) {
    const contract = value as ContractRecord;
    yield* escrowProblems(key, contract);
    total += sum(heldIn(contract));
  }
  if (total !== supplyOf(genesis)) yield `the supply is ${supplyOf(genesis)}, but ${total} is there`;
}

function* memberProblems(state: StateView, key: string, { contracts, epoch }: SetRecord): Iterable<string> {
  for (const id of contracts) {
    const life = (state.get(keys.contract(id)) as ContractRecord | undefined)?.life;
    if (life === undefined || isEnded(life)) yield `${key} names ${id}, which is not live`;
    if (life?.state === 'ACTIVE' && life.epoch !== epoch) yield `${id} is active under an old epoch`;
  }
}

function* setProblems(state: StateView): Iterable<string> {
  for (const [key, value] of state.range('set/')) {
    const set = value as SetRecord;
    const { epoch, slots, released } = set;
    if (epoch < 1) yield `${key} is at epoch ${epoch}`;
    if (released !== undefined && released.epoch !== epoch)
      yield `${key} released ${released.epoch} at epoch ${epoch}`;
    if (new Set(Object.values(slots)).size !== Object.keys(slots).length) yield `${key}: a slot is shared`;
    yield* memberProblems(state, key, set);
  }
  for (const [key, value] of state.range('device/')) {
    const set = state.get(keys.set((value as { setId: string }).setId)) as SetRecord | undefined;
    if (set === undefined || set.contracts.length === 0) yield `${key} is bound to a set that is not live`;
  }
}

function* matchProblems(state: StateView): Iterable<string> {
  for (const [key, value] of state.range('match/')) {
    const { customer, provider, id, state: now } = value as MatchRecord;
    for (const edge of [customer, provider])
      if ((state.get(keys.party(edge, id)) !== undefined) !== (now === 'reserved'))
        yield `${key} is ${now} and listed so`;
  }
}

function* orderProblems(state: StateView): Iterable<string> {
  for (const [key, value] of state.range('order/')) {
    const { terms, state: now, remaining, id } = value as OrderRecord;
    const listed = state.get(keys.book(terms.side, id)) !== undefined;
    if (listed !== (now === 'open')) yield `${key} is ${now} and ${listed ? '' : 'not '}in the book`;
    if (Object.values(remaining).some((left) => left < 0)) yield `${key} has a negative remainder`;
  }
}

/** What is wrong with a state, in words; empty for every state that transactions can make. */
export function invariantProblems(state: StateView): string[] {
  const genesis = state.get(keys.genesis()) as Genesis | undefined;
  if (genesis === undefined) return ['there is no genesis'];
  return [
    ...moneyProblems(state, genesis),
    ...setProblems(state),
    ...orderProblems(state),
    ...matchProblems(state),
  ];
}
