import type { EdgeId } from '@antirio/kernel';
import { z } from 'zod';
import { callEnded, failuresOf, type CallBook } from './calls.ts';
import {
  createDetector,
  currentNonce,
  heardBeat,
  heardOtherwise,
  isFresh,
  isSuspect,
  rotateNonce,
  type Detector,
} from './detector.ts';
import { createLeaseHolder } from './lease.ts';
import {
  contractRecord,
  takeAnswer,
  type CallArgs,
  type Datagram,
  type DownCounters,
  type Evidence,
} from './messages.ts';
import {
  actUnder,
  callOnce,
  fenceOf,
  leaseNews,
  renew,
  wantBlock,
  type Acting,
  type Context,
  type Desired,
  type Milestone,
  type Observed,
  type PartyEffect,
  type PartyEvent,
} from './party.ts';
import type { HandbackStatement } from './statement.ts';
import type { ContractTerms } from './terms.ts';

/** Where the provider's side of one contract stands. Durable before anything that follows from it is done. */
export type ProviderPhase =
  | { readonly at: 'preparing' }
  | { readonly at: 'ready' }
  /** It asks for the keys. */
  | { readonly at: 'opening'; readonly from: number; readonly evidence: Evidence }
  /** It collects with open keys and waits for the epoch; it may not act. */
  | { readonly at: 'reading'; readonly from: number }
  | { readonly at: 'active'; readonly from: number; readonly epoch: number }
  | { readonly at: 'releasing'; readonly from: number; readonly epoch: number }
  | {
      readonly at: 'released';
      readonly epoch: number;
      readonly counters: DownCounters;
      readonly statement: HandbackStatement;
    }
  | { readonly at: 'stating'; readonly statement: HandbackStatement; readonly counters: DownCounters }
  | { readonly at: 'stated' }
  | { readonly at: 'ended' };

export interface ProviderState {
  readonly terms: ContractTerms;
  readonly phase: ProviderPhase;
  /** What follows is forgotten at a restart. */
  readonly bootId: string;
  readonly detector: Detector;
  readonly suspicion: Suspicion | undefined;
  readonly calls: CallBook;
  readonly acting: Acting;
  readonly observed: Observed;
  readonly vigilAt: number;
  readonly sealAskedAt: number;
  /** The set's epoch as far as known: what a take expects. */
  readonly knownEpoch: number;
}

interface Suspicion {
  readonly since: number;
  readonly probesSent: number;
  readonly witness: 'asked' | 'dead' | 'alive';
}

type Step = readonly [ProviderState, readonly PartyEffect[]];

const VIGIL_EVERY_MS = 500;
const PROBES = 3;
const PROBE_EVERY_MS = 40;
const PROBE_WAIT_MS = 150;
const RECORD_EVERY_MS = 500;
const SEAL_AGAIN_MS = 1000;

export function createProvider(
  terms: ContractTerms,
  phase: ProviderPhase,
  bootId: string,
  now: number,
): ProviderState {
  const lease = createLeaseHolder(terms.leaseMs, now);
  const acting: Acting = { lease, wanted: [], nonce: 0 };
  const epoch = phase.at === 'active' ? phase.epoch : 0;
  return {
    terms,
    phase,
    bootId,
    detector: createDetector(
      { intervalMs: terms.heartbeatIntervalMs, missedBeats: terms.missedBeats },
      bootId,
      now,
    ),
    suspicion: undefined,
    calls: {},
    acting: epoch === 0 ? acting : actUnder(acting, epoch, now),
    observed: {},
    vigilAt: -Infinity,
    sealAskedAt: -Infinity,
    knownEpoch: 0,
  };
}

export function providerStep(state: ProviderState, event: PartyEvent, context: Context): Step {
  switch (event.type) {
    case 'tick':
      return onTick(state, context);
    case 'datagram':
      return onDatagram(state, event.from, event.datagram, context);
    case 'answer':
      return onAnswer(state, event, context);
    case 'observed':
      return [{ ...state, observed: { ...state.observed, ...event.observed } }, []];
    case 'returnAsked':
      return onReturnAsked(state, event.epoch);
    case 'sealedOff':
      return onSealedOff(state, event);
    case 'counterAsked':
      return [{ ...state, acting: wantBlock(state.acting, state.terms.slots.provider, event) }, []];
    case 'stated':
      return [state, []];
  }
}

/** What the edge should be doing for this contract now. */
export function providerDesires(state: ProviderState, now: number): Desired {
  const { phase, terms } = state;
  const open = phase.at === 'reading' || phase.at === 'active' || phase.at === 'releasing';
  return {
    fence: phase.at === 'active' ? fenceOf(state.acting, terms.slots.provider, now) : { state: 'shut' },
    service: phase.at === 'ended' ? 'absent' : open ? 'active' : 'standby',
    gapFilling: false,
  };
}

function enter(
  state: ProviderState,
  phase: ProviderPhase,
  milestone: Milestone,
  detail: Record<string, unknown> = {},
): Step {
  return [{ ...state, phase }, [{ type: 'note', milestone, detail }]];
}

function onTick(state: ProviderState, context: Context): Step {
  const { now } = context;
  const watched = keepVigil(state, now);
  const next = byPhase[state.phase.at](watched[0], context);
  return [next[0], [...watched[1], ...next[1]]];
}

/** Fresh nonces to the customer, in every phase: its beats echo them. */
function keepVigil(state: ProviderState, now: number): Step {
  if (state.phase.at === 'preparing' || state.phase.at === 'ended' || now - state.vigilAt < VIGIL_EVERY_MS)
    return [state, []];
  const detector = rotateNonce(state.detector, now, VIGIL_EVERY_MS);
  const { contractId, customer } = state.terms;
  const body = {
    contractId,
    nonce: currentNonce(detector),
    ringNext: state.observed.ring?.next ?? 0,
    phase: state.phase.at,
  };
  return [
    { ...state, detector, vigilAt: now },
    [{ type: 'send', to: customer, datagram: { kind: 'vigil', body } }],
  ];
}

type PhaseTick = (state: ProviderState, context: Context) => Step;

const byPhase: { readonly [P in ProviderPhase['at']]: PhaseTick } = {
  preparing(state, { now }) {
    const { observed, terms } = state;
    if (observed.service !== 'standby' || observed.keysHeld !== true || observed.ring === undefined)
      return [state, []];
    const { contractId, image } = terms;
    return call(
      state,
      { method: 'ready', args: { contractId, imageCid: image.imageCid, configCid: image.configCid } },
      now,
    );
  },
  ready: (state, { now }) => watch(state, now),
  opening(state, { now }) {
    const { phase, terms } = state;
    if (phase.at !== 'opening') return [state, []];
    const { from, evidence } = phase;
    return call(state, { method: 'open', args: { contractId: terms.contractId, from, evidence } }, now);
  },
  reading(state, context) {
    const again = reopenIfForgotten(state, context.now);
    if (again[1].length > 0) return again;
    const { contractId } = state.terms;
    if (state.knownEpoch === 0) return call(state, { method: 'record', args: { contractId } }, context.now);
    return call(state, { method: 'take', args: { contractId, expected: state.knownEpoch } }, context.now);
  },
  active(state, { now }) {
    const [acting, effects] = renew(state.acting, state.terms, state.bootId, now);
    const again = reopenIfForgotten({ ...state, acting }, now);
    return [again[0], [...effects, ...again[1]]];
  },
  releasing(state, { now }) {
    const again = reopenIfForgotten(state, now);
    const { phase } = again[0];
    if (phase.at !== 'releasing' || again[1].length > 0) return again;
    // Answered once by the rim; asked again in case it was busy or failed.
    if (now - again[0].sealAskedAt < SEAL_AGAIN_MS) return again;
    return [{ ...again[0], sealAskedAt: now }, [{ type: 'sealOff', from: phase.from, epoch: phase.epoch }]];
  },
  released(state, { now }) {
    const { phase, terms } = state;
    if (phase.at !== 'released') return [state, []];
    const { epoch, counters } = phase;
    return call(state, { method: 'release', args: { contractId: terms.contractId, epoch, counters } }, now);
  },
  stating(state, { now }) {
    const { phase, terms } = state;
    if (phase.at !== 'stating') return [state, []];
    const { statement, counters } = phase;
    return call(
      state,
      { method: 'statement', args: { contractId: terms.contractId, statement, counters } },
      now,
    );
  },
  stated: (state, { now }) =>
    call(state, { method: 'record', args: { contractId: state.terms.contractId } }, now),
  ended: (state) => [state, []],
};

function call(state: ProviderState, request: CallArgs, now: number): Step {
  const [calls, effects] = callOnce(state.calls, state.terms.central, request, now);
  return [{ ...state, calls }, effects];
}

/** After a restart, or of the service alone, the keys are gone: the central arbitrator gives its share again. */
function reopenIfForgotten(state: ProviderState, now: number): Step {
  const { phase, observed, terms } = state;
  if (observed.service !== 'needsSecrets' || !('from' in phase)) return [state, []];
  const evidence: Evidence = {
    lastBeatMsAgo: 0,
    lastSequence: state.detector.sequence,
    probesUnanswered: 0,
    witness: 'unasked',
  };
  const args = { contractId: terms.contractId, from: phase.from, evidence };
  return call(state, { method: 'open', args }, now);
}

function watch(state: ProviderState, now: number): Step {
  const { detector, terms } = state;
  if (!isSuspect(detector, now)) return [{ ...state, suspicion: undefined }, []];
  const suspicion = state.suspicion ?? { since: now, probesSent: 0, witness: 'asked' as const };
  const effects: PartyEffect[] = [];
  if (state.suspicion === undefined)
    effects.push({
      type: 'note',
      milestone: 'suspected',
      detail: { silentMs: Math.round(now - detector.lastHeardAt) },
    });
  let next: ProviderState = { ...state, suspicion };
  const due = Math.floor((now - suspicion.since) / PROBE_EVERY_MS) + 1;
  if (suspicion.probesSent < Math.min(due, PROBES) || (suspicion.probesSent >= PROBES && due % 25 === 0)) {
    next = { ...next, suspicion: { ...suspicion, probesSent: suspicion.probesSent + 1 } };
    effects.push({
      type: 'send',
      to: terms.customer,
      datagram: { kind: 'probe', body: { nonce: currentNonce(detector) } },
    });
  }
  if (terms.opening === 'witnessed' && suspicion.witness !== 'dead') {
    const asked = call(next, { method: 'witness', args: { contractId: terms.contractId } }, now);
    return [asked[0], [...effects, ...asked[1]]];
  }
  if (now - suspicion.since < PROBE_WAIT_MS) return [next, effects];
  const decided = decide(next, now);
  return [decided[0], [...effects, ...decided[1]]];
}

function decide(state: ProviderState, now: number): Step {
  const { detector, suspicion, terms } = state;
  const evidence: Evidence = {
    lastBeatMsAgo: Math.round(now - detector.lastHeardAt),
    lastSequence: detector.sequence,
    probesUnanswered: suspicion?.probesSent ?? 0,
    witness: terms.opening === 'witnessed' ? 'dead' : 'unasked',
  };
  return enter(
    { ...state, suspicion: undefined },
    { at: 'opening', from: state.observed.ring?.from ?? 1, evidence },
    'confirmed',
    evidence,
  );
}

function onDatagram(state: ProviderState, from: EdgeId, datagram: Datagram, { now }: Context): Step {
  if (from === state.terms.customer) return onCustomerDatagram(state, datagram, now);
  const news =
    from === state.terms.central ? leaseNews(state.acting, state.terms.set.setId, datagram) : undefined;
  if (news === undefined) return [state, []];
  if ('refused' in news) return onSuperseded(state, news.refused.epoch, news.refused.current);
  const [acting, effects] = news.granted;
  return [{ ...state, acting }, effects];
}

function onCustomerDatagram(state: ProviderState, datagram: Datagram, now: number): Step {
  const { terms, detector } = state;
  if (datagram.kind === 'beat' && datagram.body.contractId === terms.contractId)
    return [{ ...state, detector: heardBeat(detector, datagram.body, now) }, []];
  if (datagram.kind === 'probeReply' && isFresh(detector, datagram.body.nonce))
    return [{ ...state, detector: heardOtherwise(detector, now), suspicion: undefined }, []];
  return [state, []];
}

/** Somebody holds a later epoch: nothing to return any more, only to state. */
function onSuperseded(state: ProviderState, asked: number, current: number): Step {
  const { phase } = state;
  if (phase.at !== 'active' || asked !== phase.epoch || current <= phase.epoch) return [state, []];
  return enter(state, { at: 'releasing', from: phase.from, epoch: phase.epoch }, 'fenced', {
    supersededBy: current,
  });
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

type Answer = Extract<PartyEvent, { type: 'answer' }>;

function onAnswer(state: ProviderState, answer: Answer, context: Context): Step {
  const { now } = context;
  const paced = answer.ok ? pace(answer.method) : answer.retryInMs;
  const calls = callEnded(
    state.calls,
    answer.method,
    now,
    { ok: answer.ok, againInMs: paced },
    context.random(),
  );
  const next = { ...state, calls };
  if (!answer.ok) return onRefusal(next, answer.method, answer.code, now);
  return onSuccess[answer.method]?.(next, answer.value, now) ?? [next, []];
}

function pace(method: Answer['method']): number | undefined {
  return method === 'record' ? RECORD_EVERY_MS : method === 'witness' ? 200 : undefined;
}

const openAnswer = z.object({ share: z.unknown(), epoch: z.int().min(0) });
const witnessAnswer = z.object({ heard: z.boolean() });

type OnSuccess = (state: ProviderState, value: unknown, now: number) => Step;

const onSuccess: Partial<Record<Answer['method'], OnSuccess>> = {
  ready(state, _value, now) {
    if (state.phase.at !== 'preparing') return [state, []];
    return enter({ ...state, detector: heardOtherwise(state.detector, now) }, { at: 'ready' }, 'ready');
  },
  witness: (state, value, now) => onWitness(state, witnessAnswer.parse(value).heard, now),
  open: (state, value) => onOpened(state, openAnswer.parse(value)),
  take: (state, value, now) => onTaken(state, takeAnswer.parse(value), now),
  release(state) {
    const { phase } = state;
    return phase.at === 'released'
      ? [{ ...state, phase: { at: 'stating', statement: phase.statement, counters: phase.counters } }, []]
      : [state, []];
  },
  statement: (state) =>
    state.phase.at === 'stating' ? enter(state, { at: 'stated' }, 'stated') : [state, []],
  record: (state, value) => onRecord(state, contractRecord.parse(value)),
};

function onWitness(state: ProviderState, heard: boolean, now: number): Step {
  if (state.suspicion === undefined || state.phase.at !== 'ready') return [state, []];
  if (!heard) return [{ ...state, suspicion: { ...state.suspicion, witness: 'dead' } }, []];
  // The customer lives and only the way between us is cut: nothing to take over.
  const detector = heardOtherwise(state.detector, now);
  return [{ ...state, detector, suspicion: undefined }, [{ type: 'note', milestone: 'cleared', detail: {} }]];
}

function onOpened(state: ProviderState, value: z.output<typeof openAnswer>): Step {
  const open: PartyEffect = { type: 'openKeys', share: value.share };
  if (state.phase.at !== 'opening') return [state, [open]];
  const next = enter(
    { ...state, knownEpoch: value.epoch },
    { at: 'reading', from: state.phase.from },
    'opened',
    {
      from: state.phase.from,
    },
  );
  return [next[0], [open, ...next[1]]];
}

function onTaken(state: ProviderState, value: z.output<typeof takeAnswer>, now: number): Step {
  if (state.phase.at !== 'reading') return [state, []];
  const acting = actUnder(state.acting, value.epoch, now + value.actAfterMs * 1.02);
  return enter(
    { ...state, acting },
    { at: 'active', from: state.phase.from, epoch: value.epoch },
    'activated',
    value,
  );
}

function onRecord(state: ProviderState, record: z.output<typeof contractRecord>): Step {
  if (record.state === 'SETTLED' || record.state === 'CANCELLED')
    return state.phase.at === 'ended'
      ? [state, []]
      : enter(state, { at: 'ended' }, 'ended', { state: record.state });
  return [{ ...state, knownEpoch: record.epoch }, []];
}

function onRefusal(state: ProviderState, method: Answer['method'], code: string, now: number): Step {
  const lives = code === 'customerLives' || code === 'customerHolds';
  if (method === 'open' && state.phase.at === 'opening' && lives) return backToReady(state, now);
  if (method === 'take' && state.phase.at === 'reading') {
    if (code === 'customerHolds') return backToReady(state, now);
    return [{ ...state, knownEpoch: code === 'superseded' ? 0 : state.knownEpoch }, []];
  }
  return [state, []];
}

/** The customer was not dead after all. Keys that were opened stay exposed; the contract lives on. */
function backToReady(state: ProviderState, now: number): Step {
  const detector = heardOtherwise(state.detector, now);
  return enter({ ...state, detector, suspicion: undefined, knownEpoch: 0 }, { at: 'ready' }, 'cleared', {});
}

export function providerTroubles(state: ProviderState): string[] {
  const methods = ['ready', 'open', 'take', 'release', 'statement'] as const;
  return methods
    .filter((method) => failuresOf(state.calls, method) > 3)
    .map((method) => `${method} keeps failing`);
}
