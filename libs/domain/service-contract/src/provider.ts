import { opensWhenOffline } from './activation.ts';
import { currentNonce, rotateNonce } from './detector.ts';
import type { CallArgs, Evidence, LeaseRefused } from './messages.ts';
import {
  fenceOf,
  leaseNews,
  wantBlock,
  type Context,
  type Desired,
  type Observed,
  type PartyEffect,
  type PartyEvent,
} from './party.ts';
import { askHolders, isEnough, isStale, sharesRefused } from './gathering.ts';
import { announceKeys } from './key-renewal.ts';
import { isHeldByOther } from './other-provider.ts';
import { heardOf, tellHearing } from './degraded.ts';
import { tellDeaf } from './deaf.ts';
import { isOverstayed, noteUnknown, watchesAgain } from './max-active.ts';
import { onAnswer, standBy } from './provider-answers.ts';
import {
  askWhatIsOurs,
  awaitsOwn,
  holderOf,
  onPromiseDatagram,
  promisesNow,
  renewLease,
  tellOfPromise,
} from './provider-promises.ts';
import { closeWhenDue, isRekeying } from './rekey-wait.ts';
import { keepsOnly } from './relay.ts';
import { onRestated, stateAgain } from './restating.ts';
import { onCustomerDatagram, type Arrival } from './provider-hears.ts';
import { confirm, watchCustomer } from './provider-watch.ts';
import { mayTakeNow, onTakeOver, readsUnder, wordOf } from './provider-yield.ts';
import type { ProviderPhase, ProviderState, Step } from './provider-state.ts';
import { beatShown } from './signed-beat.ts';
import { keepsAgain, unkept } from './unkept.ts';
import { call, chain, enter, takeAfter } from './step.ts';
import { unasked } from './watch.ts';

const VIGIL_EVERY_MS = 500;
const RECORD_EVERY_MS = 500;
/** Where nothing is pending: a contract may also end without us. */
const RECORD_SELDOM_MS = 10_000;
/** Where the customer acts by our promise, which the centre may not know. */
const RECORD_OFTEN_MS = 2000;
const RIM_AGAIN_MS = 1000;

export function providerStep(state: ProviderState, event: PartyEvent, context: Context): Step {
  switch (event.type) {
    case 'tick':
      return onTick(state, context);
    case 'datagram':
      return onDatagram(state, event, context);
    case 'answer':
      return onAnswer(state, event, context);
    case 'observed':
      return onObserved(state, event.observed, context.now);
    case 'returnAsked':
      return onReturnAsked(state, event.epoch);
    case 'sealedOff':
      return onSealedOff(state, event);
    case 'stated':
      return onRestated(state, event);
    case 'counterAsked':
      return [{ ...state, acting: wantBlock(state.acting, state.terms.slots.provider, event) }, []];
    case 'keysRefused':
      return onKeysRefused(state);
    default:
      return onTold(state, event, context.now);
  }
}

/** What the edge should be doing for this contract now. */
export function providerDesires(state: ProviderState, now: number): Desired {
  const { phase, terms } = state;
  const alone = phase.at === 'opening' && terms.opening === 'autonomous';
  const open = alone || phase.at === 'reading' || phase.at === 'active' || phase.at === 'releasing';
  return {
    fence: phase.at === 'active' ? fenceOf(state.acting, terms.slots.provider, now) : { state: 'shut' },
    service: phase.at === 'ended' || keepsOnly(terms) ? 'absent' : open ? 'active' : 'standby',
    gapFilling: false,
  };
}

function onTick(state: ProviderState, context: Context): Step {
  const { now } = context;
  const watched = keepVigil(noteUnknown(state, now), now);
  const asked = chain(watched, (one) => askRecord(one, now));
  const known = chain(asked, (one) => askWhatIsOurs(one, context));
  const told = chain(known, (one) => tellOfPromise(one, now));
  const closed = chain(told, (one) => closeWhenDue(one, now));
  return chain(closed, (one) => byPhase[one.phase.at](one, context));
}

/** Fresh nonces to the customer, in every phase: its beats echo them. */
function keepVigil(state: ProviderState, now: number): Step {
  if (state.phase.at === 'preparing' || state.phase.at === 'ended' || now - state.vigilAt < VIGIL_EVERY_MS)
    return [state, []];
  const detector = rotateNonce(state.watch.detector, now, VIGIL_EVERY_MS);
  const { contractId, customer } = state.terms;
  const body = {
    contractId,
    nonce: currentNonce(detector),
    ringNext: state.observed.ring?.next ?? 0,
    phase: state.phase.at,
    ...readsUnder(state),
  };
  return [
    { ...state, watch: { ...state.watch, detector }, vigilAt: now },
    [{ type: 'send', to: customer, datagram: { kind: 'vigil', body } }],
  ];
}

const restless: ReadonlySet<string> = new Set(['reading', 'stated']);

/** Where an answer may have been lost or somebody else may have moved, the ledger says how things stand. */
function askRecord(state: ProviderState, now: number): Step {
  if (state.phase.at === 'ended') return [state, []];
  const { terms, record } = state;
  const watches = record !== undefined && isHeldByOther(terms, record);
  const promises = promisesNow(state, now) ? RECORD_OFTEN_MS : RECORD_SELDOM_MS;
  const every = watches || restless.has(state.phase.at) ? RECORD_EVERY_MS : promises;
  if (record !== undefined && now - state.recordAt < every) return [state, []];
  return call(state, state.terms.central, { method: 'record', args: { contractId: terms.contractId } }, now);
}

/** Watched only where nothing else is under way, and where something could come of it. */
function listensStill(state: ProviderState, now: number): Step {
  return state.phase.at === 'ready' && !keepsOnly(state.terms) ? tellDeaf(state, now) : [state, []];
}

/** What READY takes is here: who only keeps frames needs its ring, and no service or keys. */
function isFurnished({ observed, terms }: ProviderState): boolean {
  const { service, keysHeld, ring, awaitsListening } = observed;
  if (ring === undefined || keepsOnly(terms)) return ring !== undefined;
  return service === 'standby' && keysHeld === true && awaitsListening !== true;
}

type PhaseTick = (state: ProviderState, context: Context) => Step;

const byPhase: { readonly [P in ProviderPhase['at']]: PhaseTick } = {
  preparing(state, { now }) {
    const { observed, terms } = state;
    if (!isFurnished(state)) return [state, []];
    const { contractId, image } = terms;
    const { imageCid, configCid } = image;
    const args = { contractId, imageCid, configCid, keyVersion: observed.keyVersion ?? 1 };
    return call(state, state.terms.central, { method: 'ready', args }, now);
  },
  ready: standReady,
  opening(state, { now }) {
    const { phase, terms } = state;
    if (phase.at !== 'opening') return [state, []];
    const alone = terms.opening === 'autonomous' ? openAlone(state, now) : ([state, []] as const);
    return chain(alone, (one) => askToOpen(one, phase, now));
  },
  reading(state, { now }) {
    const again = reopenIfForgotten(state, now);
    if (state.gathering.opening !== undefined && !isEnough(state))
      return hasReturned(state, now) && mayTakeNow(state, now) ? standBy(state, now) : askHolders(state, now);
    const { record } = state;
    if (record === undefined || awaitsOwn(state) || !mayTakeNow(state, now)) return again;
    // Whatever has led here, as an operator's word.
    if (isOverstayed(state, now)) return standBy(state, now);
    return chain(again, (one) => takeAfter(one, record.epoch, now));
  },
  active(state, context) {
    const { now } = context;
    if (isOverstayed(state, now)) return stopActing(state);
    return chain(renewLease(state, context), (one) => reopenIfForgotten(one, now));
  },
  releasing(state, { now }) {
    const again = reopenIfForgotten(state, now);
    const { phase } = again[0];
    if (phase.at !== 'releasing' || state.record === undefined || again[1].length > 0) return again;
    // Answered once by the rim; asked again in case it was busy or failed.
    if (now - again[0].rimAskedAt < RIM_AGAIN_MS) return again;
    return [{ ...again[0], rimAskedAt: now }, [{ type: 'sealOff', from: phase.from, epoch: phase.epoch }]];
  },
  released(state, { now }) {
    const { phase, terms, bootId } = state;
    if (phase.at !== 'released') return [state, []];
    const { epoch, counters } = phase;
    return call(
      state,
      state.terms.central,
      { method: 'release', args: { contractId: terms.contractId, epoch, counters, bootId } },
      now,
    );
  },
  stating(state, { now }) {
    const { phase, terms } = state;
    if (phase.at !== 'stating') return [state, []];
    const { statement, counters } = phase;
    return call(
      state,
      terms.central,
      { method: 'statement', args: { contractId: terms.contractId, statement, counters } },
      now,
    );
  },
  stated(state, context) {
    const watches = watchesAgain(state, context.now) && !isRekeying(state.record);
    return chain(stateAgain(state, context.now), (one) => (watches ? standReady(one, context) : [one, []]));
  },
  ended: (state) => [state, []],
};

/** The whole key is ours where the contract says so: nobody is asked, and the service reads at once. */
function openAlone(state: ProviderState, now: number): Step {
  const reads = state.observed.service === 'active' || state.observed.service === 'loading';
  if (reads || now - state.rimAskedAt < RIM_AGAIN_MS) return [state, []];
  return [{ ...state, rimAskedAt: now }, [{ type: 'openKeys', shares: null }]];
}

/** The customer beats again, and holds its lease, before there are shares enough to read anything. */
function hasReturned({ watch: seen, terms, gathering }: ProviderState, now: number): boolean {
  const { lastHeardAt } = seen.detector;
  const isHeard =
    lastHeardAt > gathering.openedAt && now - lastHeardAt < terms.heartbeatIntervalMs * terms.missedBeats;
  return isHeard && seen.fencedSince === undefined;
}

function onKeysRefused(state: ProviderState): Step {
  const { state: next, hopeless } = sharesRefused(state);
  const shares = next.gathering.shares.map(({ holder }) => holder);
  return [next, [{ type: 'note', milestone: 'keysRefused', detail: { shares, hopeless } }]];
}

/** After a restart, or of the service alone, the keys are gone: the holders give their shares again. */
function reopenIfForgotten(state: ProviderState, now: number): Step {
  const { phase, observed, terms } = state;
  if (observed.service !== 'needsSecrets' || !('from' in phase)) return [state, []];
  if (terms.opening === 'autonomous') return openAlone(state, now);
  const { gathering } = state;
  if (gathering.opening !== undefined && (!isEnough(state) || gathering.refused))
    return askHolders(state, now);
  if (gathering.opening !== undefined && !isStale(state, now)) return [state, []];
  const evidence: Evidence = {
    lastBeatMsAgo: 0,
    lastSequence: state.watch.detector.sequence,
    probesUnanswered: 0,
    witness: 'unasked',
  };
  return askToOpen(state, { from: phase.from, evidence }, now);
}

type OpenArgs = Extract<CallArgs, { method: 'open' }>['args'];

/** With all that shows it: the customer's word where it gave one, and its last beat. */
function askToOpen(
  state: ProviderState,
  { from, evidence }: Pick<OpenArgs, 'from' | 'evidence'>,
  now: number,
): Step {
  const { contractId, central } = state.terms;
  const args = { contractId, from, evidence, ...wordOf(state), ...beatShown(state.beat, now) };
  return call(state, central, { method: 'open', args }, now);
}

function standReady(state: ProviderState, context: Context): Step {
  const watched = chain(watchCustomer(state, context), (one) => announceKeys(one, context.now));
  const told = chain(watched, (one) => tellHearing(one, context.now));
  return chain(told, (one) => listensStill(one, context.now));
}

function onTold(state: ProviderState, event: PartyEvent, now: number): Step {
  switch (event.type) {
    case 'takeOverAsked':
      return onTakeOver(state, event.word, now);
    case 'takeoverTold':
      return onTakeoverTold(state, event.by, now);
    case 'held':
      return [{ ...state, held: event.held }, []];
    case 'unkept':
      return [event.by === state.terms.provider ? unkept(state, now) : state, []];
    default:
      return [state, []];
  }
}

/** What begins to read says so at once. */
function onObserved(state: ProviderState, observed: Observed, now: number): Step {
  const heardAt = heardOf(state.heardAt, observed, now);
  const seen = { ...state, heardAt, observed: { ...state.observed, ...observed } };
  const next = keepsAgain(state, seen);
  const news = readsUnder(next).reads !== readsUnder(state).reads;
  return [news ? { ...next, vigilAt: -Infinity } : next, []];
}

/** The operator's word in place of our own eyes; whether the customer lives, the witness is still asked. */
function onTakeoverTold(state: ProviderState, by: string, now: number): Step {
  const stands = state.phase.at === 'ready' || state.phase.at === 'stated';
  if (!stands || !opensWhenOffline(state.terms)) return [state, []];
  const note: PartyEffect = { type: 'note', milestone: 'takeoverTold', detail: { by } };
  return chain([state, [note]], (one) => confirm(one, unasked(state.watch, now)));
}

function onDatagram(state: ProviderState, arrival: Arrival, context: Context): Step {
  const { from, datagram } = arrival;
  const promised =
    from === state.terms.central ? undefined : onPromiseDatagram(state, from, datagram, context);
  if (promised !== undefined) return promised;
  if (from === state.terms.customer) return onCustomerDatagram(state, arrival, context.now);
  if (from !== state.terms.central) return [state, []];
  const news = leaseNews(state.acting, state.terms.set.setId, datagram, holderOf(state, context));
  if (news === undefined) return [state, []];
  const next = { ...state, acting: news.acting };
  return news.refused === undefined ? [next, news.effects] : onSuperseded(next, news.refused);
}

/** Somebody holds a later epoch: nothing to return any more, only to state. */
function onSuperseded(state: ProviderState, { epoch, current, holder }: LeaseRefused): Step {
  const { phase, terms } = state;
  if (phase.at !== 'active' || epoch !== phase.epoch || current <= phase.epoch) return [state, []];
  // It is ours, and we have forgotten: the record says the rest.
  if (holder === terms.provider) return [{ ...state, record: undefined }, []];
  // The record tells first whether we have released and stated already, and have forgotten it.
  return enter(
    { ...state, record: undefined },
    { at: 'releasing', from: phase.from, epoch: phase.epoch },
    'fenced',
    { supersededBy: current },
  );
}

/** Served for `maxActiveS`: the epoch is for the customer, or for whoever else of the set may take it. */
function stopActing(state: ProviderState): Step {
  const { phase, terms } = state;
  if (phase.at !== 'active') return [state, []];
  const { from, epoch } = phase;
  const { maxActiveS } = terms;
  return enter(state, { at: 'releasing', from, epoch }, 'fenced', { epoch, cause: 'maxActiveS', maxActiveS });
}

function onReturnAsked(state: ProviderState, epoch: number): Step {
  const { phase } = state;
  if (phase.at !== 'active' || phase.epoch !== epoch) return [state, []];
  return enter(state, { at: 'releasing', from: phase.from, epoch }, 'fenced', { epoch });
}

function onSealedOff(state: ProviderState, event: Extract<PartyEvent, { type: 'sealedOff' }>): Step {
  const { phase } = state;
  if (phase.at !== 'releasing') return [state, []];
  const { counters, statement } = event;
  return enter(state, { at: 'released', epoch: phase.epoch, counters, statement }, 'released', {
    epoch: phase.epoch,
    through: statement.through,
  });
}
