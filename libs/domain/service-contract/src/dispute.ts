import type { ContractRecord } from './messages.ts';
import type { ContractTerms } from './terms.ts';

/** How often each side states again, and the pause before the first time; each is twice the one before it. */
const RESTATED_MOST = 5;
const RESTATE_MS = 10_000;

type Rules = Pick<ContractTerms, 'disputeS'>;

/**
 * Whether the two have signed for the rules that came with `disputeS`: disputes end, and it is kept since when a provider stands
 * by with keys that it has seen. A contract of before keeps the rules of then, or its ledger's log would lead to another state.
 */
export function followsNewRules({ disputeS }: Rules): boolean {
  return disputeS !== undefined;
}

/** When a dispute ends by itself, the ledger's time in ms; undefined where there is none, or the terms give it no end. */
export function disputeEndsAt(
  { disputedAt }: { readonly disputedAt?: number | undefined },
  { disputeS }: Rules,
): number | undefined {
  return disputedAt === undefined || disputeS === undefined ? undefined : disputedAt + disputeS * 1000;
}

/** How often a party has stated the same range again, and when last. Forgotten at a restart. */
export interface Restating {
  readonly epoch: number;
  readonly times: number;
  readonly at: number;
}

export const notRestated: Restating = { epoch: 0, times: 0, at: -Infinity };

/** Both have stated, and not the same: until that is over the ledger gives the provider no epoch. */
export function isDisputed(record: Pick<ContractRecord, 'state' | 'dispute'> | undefined): boolean {
  return record?.state === 'HANDED_BACK' && record.dispute !== undefined;
}

/** The range that both have stated and that they state differently; undefined where they do not, or the ledger has not said so. */
export function disputedRange(record: ContractRecord | undefined, epoch: number): ContractRecord['handback'] {
  const { handback } = record ?? {};
  return isDisputed(record) && handback?.epoch === epoch ? handback : undefined;
}

/** What is known of it after this look, and whether the range is to be stated once more now. */
export function restate(known: Restating, epoch: number, now: number): readonly [Restating, boolean] {
  if (known.epoch !== epoch) return [{ epoch, times: 0, at: now }, false];
  const isDue = known.times < RESTATED_MOST && now - known.at >= RESTATE_MS * 2 ** known.times;
  return [isDue ? { epoch, times: known.times + 1, at: now } : known, isDue];
}
