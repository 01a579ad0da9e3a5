import type { z } from 'zod';
import type { EdgeId } from '@antirio/kernel';
import { callEnded, callKey, isReleaseVain } from './calls.ts';
import {
  endWith,
  hearsCentre,
  isLeftBehind,
  isStable,
  lapsedBy,
  mayAsk,
  mayTakeBack,
  onEpoch,
  onHolder,
  onOwnTake,
  onTaken,
  takeFromOther,
  takeReleased,
} from './customer-epochs.ts';
import { standsBy, type CustomerPhase, type CustomerState, type Step } from './customer-state.ts';
import { takeBackAfter } from './full-disk.ts';
import { letsGo } from './letting-go.ts';
import { keepsAgain, unkept } from './unkept.ts';
import { call, chain, enter } from './step.ts';
import { clockOf, whenScheduled } from './customer-schedule.ts';
import {
  askWhatIsOurs,
  freedBy,
  holderOf,
  notYet,
  onPromiseDatagram,
  renewLease,
} from './customer-promises.ts';
import { onReleaseKnown, onTold, onYieldAnswer, whenYielded, whileYielding } from './customer-yield.ts';
import { deliver, onDelivered, renewKeys } from './key-renewal.ts';
import { countFailures } from './flapping.ts';
import { lookAgain } from './restating.ts';
import { REKEYED_EVERY_MS, followAgreement, isRekeying, tellRekeyed } from './rekey-wait.ts';
import { feel, whenOverloaded } from './overload.ts';
import { gatewaysDue, onDeafClaim, sense, whileGuarded } from './deaf.ts';
import { mayAct } from './lease.ts';
import { areRoomsThere } from './room-senses.ts';
import {
  contractRecord,
  isOver,
  takeAnswer,
  type CallArgs,
  type ContractRecord,
  type Datagram,
  type Vigil,
} from './messages.ts';
import {
  fenceOf,
  leaseNews,
  wantBlock,
  type Context,
  type Desired,
  type Observed,
  type PartyEvent,
} from './party.ts';

const RECORD_EVERY_MS = 500;
/** Where nothing is pending: a contract may also end without us. */
const RECORD_SELDOM_MS = 10_000;
const STATE_AGAIN_MS = 1000;

export function customerStep(state: CustomerState, event: PartyEvent, context: Context): Step {
  return chain(turn(state, event, context), (next) => countFailures(state, next, context.now));
}

function turn(state: CustomerState, event: PartyEvent, context: Context): Step {
  switch (event.type) {
    case 'tick':
      return onTick(state, context);
    case 'datagram':
      return onDatagram(state, event.from, event.datagram, context);
    case 'answer':
      return onAnswer(state, event, context);
    case 'observed':
      return [onObserved(state, event.observed, context.now), []];
    case 'stated':
      return onStated(state, event);
    case 'unkept':
      return [event.by === state.terms.customer ? unkept(state, context.now) : state, []];
    case 'counterAsked':
      return [{ ...state, acting: wantBlock(state.acting, state.terms.slots.customer, event) }, []];
    default:
      return onTold(state, event, context.now) ?? [state, []];
  }
}

export function customerDesires(state: CustomerState, now: number): Desired {
  const { acting, terms } = state;
  // Before the first record of the contract too: on an old disk it may be further than it seems here.
  const own = fenceOf(acting, terms.slots.customer, now);
  const acts = !standsBy(state) && !letsGo(state, now);
  return { fence: acts ? own : { state: 'shut' }, service: 'active', gapFilling: true };
}

function onTick(state: CustomerState, context: Context): Step {
  const { now } = context;
  const beaten = sendBeat(state, context);
  const known = chain(beaten, (one) => askWhatIsOurs(one, context));
  const renewed = chain(known, (one) => renewLease(one, context));
  const asked = chain(renewed, (one) => askRecord(one, now));
  return chain(asked, (one) => byPhase[one.phase.at](one, now));
}

function yieldsNow({ at }: CustomerPhase): { readonly yields?: true } {
  return at === 'yielding' || at === 'yielded' ? { yields: true } : {};
}

function sendBeat(state: CustomerState, { now, wall }: Context): Step {
  const { phase, terms } = state;
  const tooEarly = phase.at === 'arming' && phase.epoch === undefined;
  if (tooEarly || now - state.beatAt < terms.heartbeatIntervalMs) return [state, []];
  const { contractId, provider, heartbeatIntervalMs } = terms;
  const { lease } = state.acting;
  const body = {
    contractId,
    epoch: lease.epoch,
    bootId: state.bootId,
    sequence: state.sequence,
    echo: state.echo,
    clock: wall,
    storeOk: state.observed.storeOk !== false && areRoomsThere(state.senses.rooms),
    leaseLeftMs:
      !standsBy(state) && !letsGo(state, now) && mayAct(lease, now) ? Math.floor(lease.until - now) : 0,
  };
  // Kept on the grid of the interval, so that a late tick does not stretch it.
  const beatAt = now - state.beatAt < 2 * heartbeatIntervalMs ? state.beatAt + heartbeatIntervalMs : now;
  const due = gatewaysDue(state, now);
  const gatewaysAt = due.gateways === undefined ? state.gatewaysAt : now;
  const next = { ...state, beatAt, gatewaysAt, sequence: state.sequence + 1 };
  const told = { ...body, ...yieldsNow(phase), ...due };
  return [next, [{ type: 'send', to: provider, datagram: { kind: 'beat', body: told } }]];
}

function askRecord(state: CustomerState, now: number): Step {
  const { phase, terms } = state;
  const settledDown =
    phase.at === 'ended' ||
    (phase.at === 'guarded' &&
      state.record !== undefined &&
      state.renewal === undefined &&
      mayAct(state.acting.lease, now));
  if (settledDown && (phase.at === 'ended' || now - state.recordAt < RECORD_SELDOM_MS)) return [state, []];
  return call(state, terms.central, { method: 'record', args: { contractId: terms.contractId } }, now);
}

type PhaseTick = (state: CustomerState, now: number) => Step;

const standGuard: PhaseTick = (state, now) => {
  // over but for its payment: nothing is given to its provider any more
  if (isRekeying(state.record)) return chain(takeFromOther(state, now), (one) => tellRekeyed(one, now));
  const held = chain(takeFromOther(state, now), (one) => takeReleased(one, now));
  const taken = chain(held, (one) => renewKeys(one, now));
  const sensed = chain(taken, (one) => whileGuarded(one, now));
  const strained = chain(sensed, (one) => whenOverloaded(one, now));
  return chain(strained, (one) => whenScheduled(one, now));
};

const byPhase: { readonly [P in CustomerPhase['at']]: PhaseTick } = {
  arming(state, now) {
    const { phase } = state;
    return phase.at === 'arming' ? deliver(state, phase.keys, phase.epoch !== undefined, now) : [state, []];
  },
  guarded: standGuard,
  yielding: whileYielding,
  yielded: whenYielded,
  recovering(state, now) {
    const { phase, terms, observed } = state;
    if (phase.at !== 'recovering') return [state, []];
    if (state.elsewhere !== undefined) return takeFromOther(state, now);
    const { contractId } = terms;
    const taken: Step = mayTakeBack(state, phase.epoch, now)
      ? takeBackAfter(state, phase.epoch, now)
      : [state, []];
    const ready = state.forced || observed.source?.caughtUp === true;
    if (!mayAsk(state, now) || !isStable(state, now) || !hearsCentre(state, now) || !ready) return taken;
    const back: CallArgs = { method: 'return', args: { contractId, epoch: phase.epoch } };
    return chain(taken, (one) => call(one, terms.provider, back, now));
  },
  retaken(state, now) {
    const { phase, observed, record } = state;
    if (phase.at !== 'retaken' || record?.handback?.epoch !== phase.providerEpoch) return [state, []];
    if (isOver(record)) return [state, []];
    const { from, through } = record.handback;
    if ((observed.source?.pulledThrough ?? 0) < through || now - state.stateAskedAt < STATE_AGAIN_MS)
      return [state, []];
    return [{ ...state, stateAskedAt: now }, [{ type: 'state', from, through, epoch: phase.providerEpoch }]];
  },
  stating(state, now) {
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
  stated: (state, now) =>
    chain(lookAgain(state, now), (one) => (one.phase.at === 'stated' ? standGuard(one, now) : [one, []])),
  ended: (state) => [state, []],
};

function onObserved(state: CustomerState, observed: Observed, now: number): CustomerState {
  const senses = sense(state.senses, observed, state.terms, now);
  const strain = feel(state, observed, now);
  const next = { ...state, senses, strain, observed: { ...state.observed, ...observed } };
  return keepsAgain(state, next);
}

function onDatagram(state: CustomerState, from: EdgeId, datagram: Datagram, context: Context): Step {
  const { terms } = state;
  const { now } = context;
  if (datagram.kind === 'probe' && (from === terms.provider || from === terms.central)) {
    const body = { nonce: datagram.body.nonce, bootId: state.bootId };
    return [state, [{ type: 'send', to: from, datagram: { kind: 'probeReply', body } }]];
  }
  const promised = from === terms.central ? undefined : onPromiseDatagram(state, from, datagram, context);
  if (promised !== undefined) return promised;
  if (from === terms.provider) return onProviderDatagram(state, datagram, now);
  const news =
    from === terms.central
      ? leaseNews(state.acting, terms.set.setId, datagram, holderOf(state, context))
      : undefined;
  if (news === undefined) return [state, []];
  const { acting, effects, refused } = news;
  const next = { ...state, acting };
  return refused === undefined ? [next, effects] : onEpoch(next, refused.current, refused.holder, now);
}

function onProviderDatagram(state: CustomerState, datagram: Datagram, now: number): Step {
  const { contractId } = state.terms;
  if (datagram.kind === 'deaf' && datagram.body.contractId === contractId)
    return onDeafClaim(state, datagram.body, now);
  if (datagram.kind === 'vigil' && datagram.body.contractId === contractId)
    return [onVigil(state, datagram.body, now), []];
  return [state, []];
}

function onVigil(state: CustomerState, { nonce, reads }: Vigil, now: number): CustomerState {
  const yielding = { ...state.yielding, providerReads: reads };
  return { ...state, echo: nonce, providerHeardAt: now, yielding };
}

/** Calls that are repeated on purpose, and how soon. */
const paces: Partial<Record<CallArgs['method'], number>> = {
  record: RECORD_EVERY_MS,
  return: RECORD_EVERY_MS,
  rekeyed: REKEYED_EVERY_MS,
};

type Answer = Extract<PartyEvent, { type: 'answer' }>;

function onAnswer(state: CustomerState, answer: Answer, context: Context): Step {
  const paceMs = answer.ok ? paces[answer.method] : undefined;
  const key = callKey(answer.method, answer.holder);
  const calls = callEnded(state.calls, key, context.now, { ...answer, paceMs }, context.random());
  const next = { ...state, calls };
  if (!answer.ok)
    return answer.method === 'release' && isReleaseVain(answer.code) ? onReleaseKnown(next) : [next, []];
  const isDelivery = answer.method === 'keyShare' || answer.method === 'keys';
  return isDelivery
    ? [onDelivered(next, answer.holder, answer.value), []]
    : onSuccess(next, answer.method, answer.value, context);
}

function onSuccess(state: CustomerState, method: Answer['method'], value: unknown, context: Context): Step {
  const { phase } = state;
  switch (method) {
    case 'record':
      return onRecord(state, contractRecord.parse(value), context);
    case 'take':
      return onTakeAnswer(state, takeAnswer.parse(value), context);
    case 'statement':
      return phase.at === 'stating' ? stated(state, phase) : [state, []];
    case 'return':
      return [{ ...state, returnHeard: true }, []];
    default:
      return onYieldAnswer(state, method) ?? [state, []];
  }
}

function onTakeAnswer(state: CustomerState, taken: z.output<typeof takeAnswer>, context: Context): Step {
  const waits = notYet(state, taken, context);
  return waits === undefined ? onTaken(state, taken, context) : [waits, []];
}

function onRecord(before: CustomerState, record: ContractRecord, context: Context): Step {
  const { now } = context;
  const state = freedBy(before, record, now);
  const waits = notYet(state, record, context);
  if (waits !== undefined) return [waits, []];
  const lapsedSince = lapsedBy(state, record, now);
  const known: CustomerState = { ...state, record, recordAt: now, lapsedSince, ...clockOf(record, now) };
  const { phase } = state;
  const own = onOwnTake(known, record, context);
  if (own !== undefined) return own;
  if (isOver(record) && phase.at !== 'ended' && !isLeftBehind(known, record))
    return endWith(known, record, context);
  return chain(chain(onHolder(known, record, context), followAgreement), followStatement);
}

function stated(state: CustomerState, { epoch, statement }: Extract<CustomerPhase, { at: 'stating' }>): Step {
  const { from, through } = statement;
  const about = { from, through, epoch: statement.epoch };
  return enter(state, { at: 'stated', epoch, about }, 'stated');
}

/** The provider has stated another range since, as after the loss of its disk: ours is made again, of that one. */
function followStatement(state: CustomerState): Step {
  const { phase, record } = state;
  if (phase.at !== 'stated' || phase.about === undefined) return [state, []];
  const { about, epoch } = phase;
  const theirs = record?.handback;
  if (theirs?.epoch !== about.epoch || (theirs.from === about.from && theirs.through === about.through))
    return [state, []];
  return [{ ...state, phase: { at: 'retaken', epoch, providerEpoch: about.epoch } }, []];
}

/** What was asked for of an epoch before, and took long to make, is not the answer: the ledger would refuse it for ever. */
function onStated(state: CustomerState, event: Extract<PartyEvent, { type: 'stated' }>): Step {
  const { phase } = state;
  const { statement, counters } = event;
  if (phase.at !== 'retaken' || statement.epoch !== phase.providerEpoch) return [state, []];
  return [{ ...state, phase: { at: 'stating', epoch: phase.epoch, statement, counters } }, []];
}
