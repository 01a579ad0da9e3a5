import type { CustomerPhase, CustomerState, Step } from './customer-state.ts';
import type { ContractRecord } from './messages.ts';
import type { ProviderPhase, ProviderState } from './provider-state.ts';
import { takeAfter } from './step.ts';
import type { ContractTerms } from './terms.ts';

/** Between its return and the day when its contract goes on. It gives no word then. */
export const COMES_BACK: ReadonlySet<string> = new Set(['retaken', 'stating', 'stated']);
/** The way from acting to standing by. */
const GIVES_AWAY: ReadonlySet<string> = new Set(['guarded', 'yielding', 'yielded', 'recovering']);

/**
 * Whether a party may go on from one phase to another that its disk does not take. A customer whose disk is full gives its sensors away
 * for just that, and would wait for room otherwise. Who forgets it, because it starts again, is as one that was restored from a backup of
 * a moment before: it acts again only by a lease, which nobody gives under an epoch that is released or over. Nothing else goes
 * unwritten: a customer that takes an epoch has it on its disk first, and a provider does nothing that is not.
 */
export function mayGoUnwritten(
  before: CustomerPhase | ProviderPhase,
  after: CustomerPhase | ProviderPhase,
): boolean {
  if (COMES_BACK.has(before.at)) return after.at === 'recovering' || isKnownToLedger(before, after);
  if (!GIVES_AWAY.has(before.at) || !GIVES_AWAY.has(after.at)) return false;
  // back to acting only where that is what the disk says still
  return after.at !== 'guarded' || ('epoch' in before && before.epoch === after.epoch);
}

/** What the ledger says anyway to whoever starts again before it: both have stated, and the contract goes on under the same epoch. */
function isKnownToLedger(
  before: CustomerPhase | ProviderPhase,
  after: CustomerPhase | ProviderPhase,
): boolean {
  const goesOn = after.at === 'stated' || after.at === 'guarded';
  return goesOn && 'epoch' in before && 'epoch' in after && before.epoch === after.epoch;
}

/** A customer asks for an epoch only where it can write down that it has it: else the ledger's would be one that nobody acts under. */
export function takeBackAfter(state: CustomerState, expected: number, now: number): Step {
  return state.observed.storeOk === false ? [state, []] : takeAfter(state, expected, now);
}

/** Its return has failed where its provider has a later epoch now: it could not take what it had asked for. */
export function couldNotTake({ phase, observed }: CustomerState): boolean {
  return phase.at === 'recovering' && observed.storeOk === false;
}

/** A customer that can takes an epoch that is given back to it in a part of this. */
const TAKES_WITHIN_MS = 2000;

/**
 * Whether what we gave back lies there, as the customer that asked for it cannot take it: it lives, and says by its beats that its disk
 * takes nothing and that it does not act. Nobody would act before there is room.
 */
export function cannotTake({ phase, terms, record, told, watch }: ProviderState, now: number): boolean {
  if (phase.at !== 'stated' || told?.storeOk !== false || record === undefined) return false;
  return liesIdle(terms, record, phase.epoch) && now - (watch.fencedSince ?? Infinity) >= TAKES_WITHIN_MS;
}

/** Nobody has our epoch, or the customer has the next one, which the ledger gave while its disk filled up, and no lease under it. */
function liesIdle({ customer, provider }: ContractTerms, record: ContractRecord, ours: number): boolean {
  const { holder, epoch, released, leaseRuns } = record;
  if (holder === provider) return released && epoch === ours;
  return holder === customer && epoch > ours && leaseRuns === false;
}
