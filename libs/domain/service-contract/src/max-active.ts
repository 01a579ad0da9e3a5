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

/**
 * Whether who has stated may watch its customer again. Just after its word the ledger is asked anew, and heard first: a customer that
 * was silent all the while would be taken over at once, before it is known that nobody has taken the epoch since. Where nothing was
 * heard of the ledger since the start, it may be away for long.
 */
export function watchesAgain(known: Known, now: number): boolean {
  return known.record === undefined ? known.recordAt === -Infinity : !isOverstayed(known, now);
}

/** It has served for as long as it may, and nobody has taken the epoch since: it does not begin again. */
export function isOverstayed(known: Known, now: number): boolean {
  return activeLeftMs(known, now) === 0;
}
