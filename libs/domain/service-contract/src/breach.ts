import { opensWhenOffline } from './activation.ts';
import { followsNewRules } from './dispute.ts';
import type { GrantedSet } from './grantor.ts';
import type { EpochRecord, LeasePromise } from './lease.ts';
import type { ContractTerms } from './terms.ts';

const STANDS_BY: ReadonlySet<string> = new Set(['READY', 'READY_EXPOSED', 'DEGRADED']);

/** Whether a provider stands by in this state of its contract, or did so until it said that it hears nothing. */
export function standsBy(life: string): boolean {
  return STANDS_BY.has(life);
}

/** Whether it is in breach where it leaves its customer alone; with keys that it has seen only where the ledger keeps since when it stands by so. */
function owesTakeover(terms: Pick<ContractTerms, 'disputeS'>, life: string): boolean {
  return standsBy(life) && (life !== 'READY_EXPOSED' || followsNewRules(terms));
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
  if (!owesTakeover(terms, life) || promised?.epoch !== record.epoch) return undefined;
  if (record.released || record.holder !== terms.customer) return undefined;
  const overMs = now - Math.max(promised.until, actsUntil(record, acts));
  return overMs > terms.takeoverSlaMs ? overMs : undefined;
}
