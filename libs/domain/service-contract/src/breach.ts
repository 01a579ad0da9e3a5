import { opensWhenOffline } from './activation.ts';
import type { GrantedSet } from './grantor.ts';
import type { EpochRecord, LeasePromise } from './lease.ts';
import type { ContractTerms } from './terms.ts';

/** States of a contract in which its provider is to take over; who has said that it hears nothing was to do so before that. */
const OWES: ReadonlySet<string> = new Set(['READY', 'READY_EXPOSED', 'DEGRADED']);

export function owesTakeover(life: string): boolean {
  return OWES.has(life);
}

/** By the promises of others, this provider's among them, as its own word shows. */
function actsUntil({ epoch }: EpochRecord, acts: GrantedSet['acts']): number {
  return acts?.epoch === epoch ? acts.until : -Infinity;
}

/**
 * For how long, ms, the customer's lease has been over while a provider that is READY did not take its epoch; undefined where
 * it still has time or may not, or where we do not know: without a promise of our own since our start nobody is accused.
 */
export function neverTookOver(
  terms: ContractTerms,
  life: string,
  record: EpochRecord,
  promised: LeasePromise | undefined,
  now: number,
  acts?: GrantedSet['acts'],
): number | undefined {
  if (!opensWhenOffline(terms)) return undefined;
  if (!owesTakeover(life) || promised?.epoch !== record.epoch) return undefined;
  if (record.released || record.holder !== terms.customer) return undefined;
  const overMs = now - Math.max(promised.until, actsUntil(record, acts));
  return overMs > terms.takeoverSlaMs ? overMs : undefined;
}
