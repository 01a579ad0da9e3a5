import type { EdgeId } from '@antirio/kernel';
import type { ContractRecord } from './messages.ts';
import type { ContractTerms } from './terms.ts';

/**
 * An activation outlives its contract's term, and an empty account, but not `maxActiveS`. Whoever acts reaches the grantor for
 * its lease, so the time is counted by the grantor's own record: no disk or clock of the provider's decides it.
 */
interface Known {
  readonly terms: Pick<ContractTerms, 'maxActiveS' | 'provider'>;
  readonly record: ContractRecord | undefined;
  /** When it was heard, monotonic ms. */
  readonly recordAt: number;
}

/** How much longer the provider that has the epoch may act under it, ms; undefined where it has none that is known. */
export function activeLeftMs({ terms, record, recordAt }: Known, now: number): number | undefined {
  if (record?.activeForMs === undefined || record.holder !== terms.provider) return undefined;
  return Math.max(0, terms.maxActiveS * 1000 - record.activeForMs - (now - recordAt));
}

/** So long who has stated waits for the ledger; it is asked every half second, after failures every 7.5 s at most. */
const UNKNOWN_MS = 10_000;

type Heard = Pick<Known, 'record'> & {
  /** Since when the ledger has said nothing that still counts, monotonic ms; -Infinity: since the start. Undefined where it has. */
  readonly unknownSince: number | undefined;
};

/** Looked at with each tick. */
export function noteUnknown<State extends Heard>(state: State, now: number): State {
  if ((state.record === undefined) === (state.unknownSince !== undefined)) return state;
  return { ...state, unknownSince: state.record === undefined ? now : undefined };
}

/**
 * Whether who has stated may watch its customer again. Just after its word the ledger is asked anew, and heard first: a customer that
 * was silent all the while would be taken over at once, before it is known that nobody has taken the epoch since. Not for ever: the
 * ledger may be away for long, as after a start, and who opens takes nothing before it has been heard.
 */
export function watchesAgain(known: Known & Heard, now: number): boolean {
  if (known.record !== undefined) return !isOverstayed(known, now);
  return known.unknownSince !== undefined && now - known.unknownSince >= UNKNOWN_MS;
}

/** It has served for as long as it may, and nobody has taken the epoch since: it does not begin again. */
export function isOverstayed(known: Known, now: number): boolean {
  return activeLeftMs(known, now) === 0;
}

/** When the ledger lets nobody act under an activation any more, ms of its time. */
export function activeUntil(
  { at }: { readonly at: number },
  { maxActiveS }: Pick<Known['terms'], 'maxActiveS'>,
): number {
  return at + maxActiveS * 1000;
}

/** A set as the ledger has it, and by what the grantor counts. */
interface HeldSet {
  readonly customer: EdgeId;
  readonly holder: EdgeId;
  /** When it was given its epoch. */
  readonly takenAt: number;
}

/**
 * The same for the grantor, by the ledger's record of a set: a provider that has its epoch has had it for as long as its live contracts
 * let it act, or has none any more. No lease of it is renewed then and it is given no further epoch, whatever it makes of its limit itself.
 */
export function hasServedOut(
  { customer, holder, takenAt: at }: HeldSet,
  live: readonly Known['terms'][],
  now: number,
): boolean {
  return (
    holder !== customer && live.every((one) => one.provider !== holder || now >= activeUntil({ at }, one))
  );
}
