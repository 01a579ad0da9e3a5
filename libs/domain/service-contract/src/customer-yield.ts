import { notYielding, type CustomerState, type Step } from './customer-state.ts';
import { takeBackAfter } from './full-disk.ts';
import { call, chain, enter } from './step.ts';
import { mayGiveFor } from './activation.ts';
import { assume } from './customer-promises.ts';
import { endWindow, isWindowOpen } from './customer-schedule.ts';
import type { CallArgs, CallMethod } from './messages.ts';
import type { Context, PartyEvent } from './party.ts';
import { areRoomsThere, lostRooms } from './room-senses.ts';
import { isDrillWord, isPlanned, standsFor, waitsAfter, type SignedWord, type Waits } from './yield-word.ts';

/** The customer gives its service away while it lives: make before break. */

/** A provider unheard for so long is neither counted on nor waited for. */
export const PROVIDER_SILENT_MS = 3000;
const WORD_AGAIN_MS = 250;
const SEAL_AGAIN_MS = 1000;
/** Nobody has taken what we gave up: we take it ourselves. */
const UNTAKEN_MS = 6000;
/** After a handover by ourselves that failed, doubled with each that follows. */
const PAUSE_MS = 30_000;
const LONGEST_PAUSE_MS = 3_600_000;

/** What is asked of the customer from outside its contract's course; undefined where the event is something else. */
export function onTold(state: CustomerState, event: PartyEvent, now: number): Step | undefined {
  switch (event.type) {
    case 'yieldAsked':
      return onYieldAsked(state, event, now);
    case 'givenUp':
      return onGivenUp(state, event);
    case 'held':
      return [{ ...state, held: event.held }, []];
    case 'returnTold':
      return onReturnTold(state, event, now);
    default:
      return undefined;
  }
}

/** An operator's word goes where there is anybody to take it; a hold stops all others, and a failure delays who could go on acting. */
function mayYield(state: CustomerState, word: SignedWord, now: number): boolean {
  const { terms, held, yieldPause } = state;
  const { body } = word;
  if (!mayGiveFor(terms, body.cause)) return false;
  if (body.cause === 'planned') return true;
  if (isDrillWord(word) && !mayDrill(state, now)) return false;
  return !held && (body.cause === 'terminating' || yieldPause === undefined || now >= yieldPause.until);
}

/** No drill where the service is about to move by itself, or may come back only when it has. */
function mayDrill(state: CustomerState, now: number): boolean {
  const { observed, strain, senses } = state;
  const isWell = observed.storeOk !== false && areRoomsThere(senses.rooms);
  return isWell && strain.overSince === undefined && !isWindowOpen(state, now);
}

function yieldFailed(state: CustomerState, now: number): CustomerState {
  const { phase, yieldPause } = state;
  if (phase.at !== 'yielding' && phase.at !== 'yielded') return state;
  // neither an operator nor the ledger's next drill waits for a pause
  if (isPlanned(phase.word) || isDrillWord(phase.word)) return state;
  const forMs = yieldPause === undefined ? PAUSE_MS : Math.min(2 * yieldPause.forMs, LONGEST_PAUSE_MS);
  return { ...state, yieldPause: { until: now + forMs, forMs } };
}

function onYieldAsked(
  state: CustomerState,
  { word }: Extract<PartyEvent, { type: 'yieldAsked' }>,
  now: number,
): Step {
  const { phase, terms } = state;
  const isOurs = word.body.contractId === terms.contractId && word.by === terms.customer;
  if (phase.at !== 'guarded' || !isOurs || word.body.epoch !== phase.epoch) return [state, []];
  if (!mayYield(state, word, now)) return [state, []];
  // Nobody is there to take it.
  if (now - state.providerHeardAt > PROVIDER_SILENT_MS) return [state, []];
  const next = { ...state, forced: false, yielding: notYielding(now) };
  const { epoch, cause } = word.body;
  return enter(next, { at: 'yielding', epoch, word }, 'yielding', { epoch, cause, ...whyOf(state, word) });
}

/** What was measured or found. */
function whyOf({ observed, senses, terms }: CustomerState, { body: { cause } }: SignedWord): object {
  if (cause === 'overload') return { load: observed.load };
  return cause === 'room' ? { rooms: lostRooms(senses.rooms, terms.deaf.forMs) } : {};
}

/** We act until the provider says that it reads; only who ends anyway gives up unread. */
export function whileYielding(state: CustomerState, now: number): Step {
  const { phase, terms, yielding } = state;
  if (phase.at !== 'yielding') return [state, []];
  const ends = phase.word.body.cause === 'terminating';
  const waitsMs = ends ? terms.yielding.gaspBoundMs : standsFor(phase.word, terms);
  if (yielding.providerReads === phase.epoch) return giveUp(state, now);
  if (now - yielding.since < waitsMs) return sayWord(state, now);
  if (ends) return giveUp(state, now);
  const { epoch } = phase;
  return enter(yieldFailed(state, now), { at: 'guarded', epoch }, 'yieldFailed', {
    epoch,
    waitedMs: waitsMs,
  });
}

/** By call and by datagram: a dying edge's connections may be gone first. */
function sayWord(state: CustomerState, now: number): Step {
  const { phase, terms, yielding } = state;
  if (phase.at !== 'yielding' && phase.at !== 'yielded') return [state, []];
  if (now - yielding.wordSentAt < WORD_AGAIN_MS) return [state, []];
  const { word } = phase;
  const body = { contractId: terms.contractId, word };
  const said: Step = [
    { ...state, yielding: { ...yielding, wordSentAt: now } },
    [{ type: 'send', to: terms.provider, datagram: { kind: 'takeOver', body } }],
  ];
  return chain(said, (one) => call(one, terms.provider, { method: 'yield', args: body }, now));
}

function giveUp(state: CustomerState, now: number): Step {
  const { phase } = state;
  if (phase.at !== 'yielding') return [state, []];
  const { epoch, word } = phase;
  const [next, effects] = enter(
    { ...state, record: undefined, yielding: { ...notYielding(now), sealAskedAt: now } },
    { at: 'yielded', epoch, word },
    'yielded',
    { epoch, providerReads: state.yielding.providerReads === epoch },
  );
  return [next, [...effects, { type: 'giveUp', epoch }]];
}

function onGivenUp(state: CustomerState, { counters }: Extract<PartyEvent, { type: 'givenUp' }>): Step {
  const { phase } = state;
  if (phase.at !== 'yielded' || phase.counters !== undefined) return [state, []];
  return [{ ...state, phase: { ...phase, counters } }, []];
}

function sealAgain(state: CustomerState, epoch: number, now: number): Step {
  const { yielding } = state;
  if (now - yielding.sealAskedAt < SEAL_AGAIN_MS) return [state, []];
  return [{ ...state, yielding: { ...yielding, sealAskedAt: now } }, [{ type: 'giveUp', epoch }]];
}

/** The release goes to the ledger; where nobody takes the epoch then, the set is ours again. */
export function whenYielded(state: CustomerState, now: number): Step {
  const { phase, terms, yielding, record, bootId } = state;
  if (phase.at !== 'yielded') return [state, []];
  const { epoch, counters } = phase;
  // what it read before may have been by another word, which it has let go of since
  if (counters === undefined) return chain(sealAgain(state, epoch, now), (one) => sayWord(one, now));
  const { contractId } = terms;
  const given = yielding.released || (record?.epoch === epoch && record.released);
  const release: CallArgs = { method: 'release', args: { contractId, epoch, counters, bootId } };
  if (!given) return call(state, terms.central, release, now);
  if (now - yielding.since < UNTAKEN_MS || record?.epoch !== epoch) return [state, []];
  return takeBackAfter(state, epoch, now);
}

export function onReleaseKnown(state: CustomerState): Step {
  return [{ ...state, record: undefined, yielding: { ...state.yielding, released: true } }, []];
}

/** What became of a call to do with the handover; undefined where it is another. */
export function onYieldAnswer(state: CustomerState, method: CallMethod): Step | undefined {
  if (method === 'release') return onReleaseKnown(state);
  return method === 'yield' ? [state, []] : undefined;
}

/** Nobody wanted what we gave up: undefined where it is not so. */
export function guardsAgain(
  state: CustomerState,
  taken: { readonly epoch: number; readonly actAfterMs: number },
  context: Context,
): Step | undefined {
  const { phase } = state;
  const { epoch, actAfterMs } = taken;
  if (phase.at !== 'yielded' || epoch <= phase.epoch) return undefined;
  const next = assume(yieldFailed(state, context.now), epoch, actAfterMs, context);
  return enter(next, { at: 'guarded', epoch }, 'yieldFailed', { epoch });
}

/** What is waited for once the provider has the epoch. */
export function waitsOf({ phase }: CustomerState): { readonly waits?: Waits } {
  if (phase.at === 'yielding' || phase.at === 'yielded') return { waits: waitsAfter(phase.word) };
  return phase.at === 'recovering' && phase.waits !== undefined ? { waits: phase.waits } : {};
}

/** An operator wants the sensors back. */
function onReturnTold(
  state: CustomerState,
  { forced }: Extract<PartyEvent, { type: 'returnTold' }>,
  now: number,
): Step {
  const { phase } = state;
  if (phase.at !== 'recovering') return [state, []];
  const ended = endWindow(state, now);
  // who comes back from a drill has not failed
  const atOnce = forced || phase.waits === 'drill';
  const next = atOnce ? { ...ended, forced, stableSince: -Infinity } : ended;
  return enter(next, { at: 'recovering', epoch: phase.epoch }, 'returnTold', { forced });
}
