import type { EdgeId } from '@antirio/kernel';
import type { CustomerPhase, CustomerState, Step } from './customer-state.ts';
import { couldNotTake, takeBackAfter } from './full-disk.ts';
import { enter } from './step.ts';
import { assume } from './customer-promises.ts';
import { isWindowOver } from './customer-schedule.ts';
import { isCalm } from './overload.ts';
import { PROVIDER_SILENT_MS, guardsAgain, waitsOf } from './customer-yield.ts';
import { backoffMs } from './flapping.ts';
import { MAX_DOWNLINK_LEAD_MS } from './lease.ts';
import type { ContractRecord } from './messages.ts';
import { waitOf, type Context } from './party.ts';
import { isBound } from './promiser.ts';
import { areRoomsThere, areRoomsWell } from './room-senses.ts';

export function isStable({ stableSince, terms, flaps, phase }: CustomerState, now: number): boolean {
  // Nothing has failed: a drill is over when its provider has served.
  if (phase.at === 'recovering' && phase.waits === 'drill') return true;
  return now - stableSince >= backoffMs(terms, flaps.failures);
}

/** Once the provider has released its epoch; where its release does not reach the ledger, the end of its lease must do. */
export function mayTakeBack(state: CustomerState, epoch: number, now: number): boolean {
  const { record, providerHeardAt, stableSince, returnHeard } = state;
  if (record?.epoch === epoch && record.released) return true;
  const silent = now - Math.max(providerHeardAt, stableSince) >= PROVIDER_SILENT_MS;
  if (state.held && !state.forced) return false;
  return isStable(state, now) && (silent || hasLapsed(state, now) || (returnHeard && mayAsk(state, now)));
}

/** The provider lives, and can act neither by the grantor's lease nor by our promise, as one that sends and hears nobody: nobody acts. */
function hasLapsed({ lapsedSince = Infinity, stableSince, promiser }: CustomerState, now: number): boolean {
  return now - Math.max(lapsedSince, stableSince) >= PROVIDER_SILENT_MS && !isBound(promiser, now);
}

/** As a record says. */
export function lapsedBy({ terms, lapsedSince }: CustomerState, record: ContractRecord, now: number) {
  const lapsed = record.holder === terms.provider && record.leaseRuns === false && !record.released;
  return lapsed ? (lapsedSince ?? now) : undefined;
}

/** After a handover that we asked for, and while an operator holds everything, nothing comes back by itself. */
export function mayAsk(state: CustomerState, now: number): boolean {
  // what it gives us back we could not take
  if (state.observed.storeOk === false) return false;
  return state.forced || (!state.held && areRoomsThere(state.senses.rooms) && isWaitOver(state, now));
}

function isServedEnough({ observed, stableSince, terms }: CustomerState, now: number): boolean {
  return observed.storeOk !== false && now - stableSince >= (terms.drills.full?.servesMs ?? 0);
}

/** A centre that answers has done so by then. */
const ANSWERS_WITHIN_MS = 2000;

/** Whether the centre answers us: what our provider gives back while it does not nobody can take, and nobody acts. */
export function hearsCentre({ calls: { record }, forced }: CustomerState, now: number): boolean {
  if (record === undefined || forced) return true;
  return record.failures === 0 && (record.busySince < 0 || now - record.busySince < ANSWERS_WITHIN_MS);
}

function isWaitOver(state: CustomerState, now: number): boolean {
  const { phase, observed, senses } = state;
  const waits = phase.at === 'recovering' ? phase.waits : undefined;
  switch (waits) {
    case undefined:
      return true;
    case 'disk':
      return observed.storeOk === true;
    case 'room':
      return areRoomsWell(senses.rooms);
    case 'window':
      return isWindowOver(state, now);
    case 'calm':
      return isCalm(state, now);
    case 'drill':
      return isServedEnough(state, now);
    default:
      return false;
  }
}

/** The other contract's provider has gone, and perhaps its contract as well: whoever of us is first takes the epoch back. */
export function takeFromOther(state: CustomerState, now: number): Step {
  const { terms, record, elsewhere } = state;
  const free = record !== undefined && record.epoch === elsewhere && record.leaseRuns === false;
  if (!free || record.holder === terms.customer || !isStable(state, now) || state.held) return [state, []];
  return takeBackAfter(state, record.epoch, now);
}

/** The epoch that we stand by is given up, which a disk from an old backup does not know, and nobody has taken it: we may not act under it. */
export function takeReleased(state: CustomerState, now: number): Step {
  const { phase, terms, record, elsewhere } = state;
  const isOurs = record?.holder === terms.customer && record.epoch === phase.epoch && elsewhere === undefined;
  if (!isOurs || !record.released || state.held || !isStable(state, now)) return [state, []];
  return takeBackAfter(state, record.epoch, now);
}

/** A later epoch in other hands: whatever we believed, we stand by now. */
export function onEpoch(state: CustomerState, epoch: number, holder: EdgeId, now: number): Step {
  const { phase, terms, elsewhere } = state;
  const known = Math.max(phase.epoch ?? 0, elsewhere ?? 0);
  // After the end a later epoch is another contract's.
  if (phase.at === 'ended' || holder === terms.customer || epoch <= known) return [state, []];
  const waits = phase.at === 'recovering' || elsewhere !== undefined;
  const stableSince = waits && !couldNotTake(state) ? state.stableSince : now;
  const next = { ...state, stableSince, returnHeard: false, forced: false };
  if (holder === terms.provider) {
    const back = { at: 'recovering', epoch, ...waitsOf(state) } as const;
    return enter({ ...next, elsewhere: undefined, yieldPause: undefined }, back, 'fenced', { epoch });
  }
  return [{ ...next, elsewhere: epoch }, [{ type: 'note', milestone: 'fenced', detail: { epoch, holder } }]];
}

/** Our provider's newest epoch: it may have lost the one that we know of, and have had another before it lost that as well. */
function lastActivation({ record }: CustomerState, known: number): number {
  return Math.max(known, record?.activation ?? 0);
}

/** Our own take, whose answer was lost, or another contract's of ours: what our provider heard is to be stated. */
export function onOwnTake(state: CustomerState, record: ContractRecord, context: Context): Step | undefined {
  const { phase, terms } = state;
  const { epoch, holder, quietMs = MAX_DOWNLINK_LEAD_MS } = record;
  if (holder !== terms.customer) return undefined;
  // Our provider had the epoch in between, and has to state what it heard.
  if (phase.at === 'yielded' && record.state === 'RETURNING') return undefined;
  if (phase.at !== 'recovering') return guardsAgain(state, { epoch, actAfterMs: quietMs }, context);
  return epoch > phase.epoch
    ? retake(state, lastActivation(state, phase.epoch), epoch, quietMs, context)
    : undefined;
}

/**
 * The contract has ended while we were away, under the epoch that our provider had by it, or that we had given up for it: nobody but us
 * can take that back, and the contract is not over for us before.
 */
export function isLeftBehind({ terms, phase }: CustomerState, record: ContractRecord): boolean {
  const { holder, epoch, activation, released } = record;
  if (holder === terms.provider) return activation === epoch;
  return phase.at === 'yielded' && phase.epoch === epoch && released;
}

/** The contract is over; the set is ours still, under the epoch that the ledger says, which an old disk may not know of at all. */
export function endWith(state: CustomerState, record: ContractRecord, context: Context): Step {
  const { phase, terms } = state;
  const { epoch, holder, quietMs = MAX_DOWNLINK_LEAD_MS } = record;
  const known = phase.epoch ?? 0;
  const detail = { state: record.state, rekeyed: record.rekeying?.counted };
  if (holder !== terms.customer || epoch <= known)
    return enter(state, { at: 'ended', epoch: phase.epoch ?? epoch }, 'ended', detail);
  return enter(assume(state, epoch, quietMs, context), { at: 'ended', epoch }, 'ended', detail);
}

/** The contract goes on after what was stated, though we may not have heard the answer to that. */
function goesOn(phase: CustomerPhase, { epoch, state }: ContractRecord): boolean {
  return (phase.at === 'stated' || phase.at === 'stating') && epoch === phase.epoch && ARMED.has(state);
}

/** Who has the epoch, by the ledger's word. */
export function onHolder(state: CustomerState, record: ContractRecord, context: Context): Step {
  const { phase, terms } = state;
  const { epoch, holder } = record;
  if (holder !== terms.customer) return onEpoch(state, epoch, holder, context.now);
  if (goesOn(phase, record)) return enter(state, { at: 'guarded', epoch }, 'ready', { epoch });
  if (phase.at === 'ended' || epoch <= (phase.epoch ?? 0)) return armedWith(state, record, context);
  const { activation, quietMs = MAX_DOWNLINK_LEAD_MS } = record;
  // What our own provider heard, and has not stated yet or not all of it.
  if (record.state === 'RETURNING' && activation !== undefined)
    return retake(state, activation, epoch, quietMs, context);
  return phase.at === 'arming'
    ? arm(state, phase, record, context)
    : follow(state, phase, epoch, quietMs, context);
}

/** No other epoch than the one that we know: only who waits for its provider has something to do about it. */
function armedWith(state: CustomerState, record: ContractRecord, context: Context): Step {
  const { phase } = state;
  return phase.at === 'arming' ? arm(state, phase, record, context) : [state, []];
}

/** We have an epoch again that another of our contracts brought back. */
function follow(
  state: CustomerState,
  phase: Exclude<CustomerPhase, { at: 'arming' }>,
  epoch: number,
  quietMs: number,
  context: Context,
): Step {
  const next: CustomerPhase = phase.at === 'yielding' ? { at: 'guarded', epoch } : { ...phase, epoch };
  return enter(assume(state, epoch, quietMs, context), next, 'followed', { epoch });
}

const ARMED: ReadonlySet<string> = new Set(['READY', 'READY_EXPOSED', 'DEGRADED']);

function arm(
  state: CustomerState,
  phase: Extract<CustomerPhase, { at: 'arming' }>,
  { epoch, state: life, quietMs = 0 }: ContractRecord,
  context: Context,
): Step {
  const isKnown = phase.epoch === epoch;
  const under = isKnown ? { ...state, elsewhere: undefined } : assume(state, epoch, quietMs, context);
  if (ARMED.has(life)) return enter(under, { at: 'guarded', epoch }, 'ready', { epoch });
  return [{ ...under, phase: isKnown ? phase : { ...phase, epoch } }, []];
}

function retake(
  state: CustomerState,
  providerEpoch: number,
  epoch: number,
  actAfterMs: number,
  context: Context,
): Step {
  const next = assume(state, epoch, actAfterMs, context);
  const detail = { epoch, actAfterMs: waitOf(next.acting, context.now) };
  const phase = { at: 'retaken', epoch, providerEpoch } as const;
  return enter(next, phase, 'retaken', detail);
}

export function onTaken(
  state: CustomerState,
  value: { readonly epoch: number; readonly actAfterMs: number },
  context: Context,
): Step {
  const { phase } = state;
  if (phase.at === 'recovering')
    return retake(state, lastActivation(state, phase.epoch), value.epoch, value.actAfterMs, context);
  const again = guardsAgain(state, value, context);
  // Whether there is something to be stated under our own contract is for the record to say.
  return again ?? [{ ...state, record: undefined, recordAt: -Infinity }, []];
}
