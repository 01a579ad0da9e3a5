import { z } from 'zod';
import { callEnded, callKey, isReleaseVain } from './calls.ts';
import { onHearingTold } from './degraded.ts';
import { heardOtherwise } from './detector.ts';
import { isDisputed } from './dispute.ts';
import { openingRecorded, shareRefused, shareReleased } from './gathering.ts';
import { MAX_DOWNLINK_LEAD_MS } from './lease.ts';
import { contractRecord, isOver, takeAnswer, type ContractRecord } from './messages.ts';
import { isServedByOther } from './other-provider.ts';
import { actUnder, waitOf, type Context, type PartyEvent } from './party.ts';
import { actFrom, heardOfEpoch, mustWait } from './promiser.ts';
import { heardRecord } from './provider-promises.ts';
import { stillGives, wordOf } from './provider-yield.ts';
import { isRekeying } from './rekey-wait.ts';
import { keepsOnly } from './relay.ts';
import { nothingGathered, type ProviderPhase, type ProviderState, type Step } from './provider-state.ts';
import { chain, enter } from './step.ts';
import { createWatch, unasked, witnessed } from './watch.ts';

const RECORD_PACE_MS = 500;
const WITNESS_PACE_MS = 200;
const UNDRILLED_PACE_MS = 1000;
/** A word that is ahead of the centre's clock comes of age; until then we watch the customer in between, as ever. */
const STALE_AGAIN_MS = 10_000;

type Answer = Extract<PartyEvent, { type: 'answer' }>;

/** What the provider makes of an answer to one of its calls. */
export function onAnswer(state: ProviderState, answer: Answer, context: Context): Step {
  const { now } = context;
  const paceMs = answer.ok ? pace(answer.method) : undrilledPace(state, answer.method);
  const key = callKey(answer.method, answer.holder);
  const calls = callEnded(state.calls, key, now, { ...answer, paceMs }, context.random());
  const next = { ...state, calls };
  if (answer.method === 'share' && answer.holder !== undefined)
    return answer.ok
      ? shareReleased(next, answer.holder, shareAnswer.parse(answer.value).share, now)
      : shareRefused(next, answer.holder, answer.code);
  if (!answer.ok) return onRefusal(next, answer.method, answer.code, now);
  return onSuccess[answer.method]?.(next, answer.value, context) ?? [next, []];
}

/** READY waits for a drill, which may be passed at any moment. */
function undrilledPace({ terms }: ProviderState, method: Answer['method']): number | undefined {
  return method === 'ready' && terms.drills.perMonth > 0 ? UNDRILLED_PACE_MS : undefined;
}

function pace(method: Answer['method']): number | undefined {
  return method === 'record' ? RECORD_PACE_MS : method === 'witness' ? WITNESS_PACE_MS : undefined;
}

const shareAnswer = z.object({ share: z.unknown() });
const witnessAnswer = z.object({ heard: z.boolean() });

type OnSuccess = (state: ProviderState, value: unknown, context: Context) => Step;

const onSuccess: Partial<Record<Answer['method'], OnSuccess>> = {
  ready: (state, _value, { now }) =>
    state.phase.at === 'preparing' ? beReady(state, now) : onHearingTold(state, 'ready'),
  degrade: (state) => onHearingTold(state, 'degrade'),
  witness: (state, value, { now }) => onWitness(state, witnessAnswer.parse(value).heard, now),
  open: (state, value, { now }) => onOpened(state, value, now),
  rekey: (state) => [{ ...state, record: undefined }, []],
  take(state, value, context) {
    const { epoch, actAfterMs } = takeAnswer.parse(value);
    return onTaken(state, epoch, actAfterMs, context);
  },
  release: onReleased,
  statement: onStatementKnown,
  record: (state, value, context) => onRecord(state, contractRecord.parse(value), context),
};

function onStatementKnown(state: ProviderState): Step {
  const { phase } = state;
  if (phase.at !== 'stating') return [state, []];
  const { from, epoch } = phase.statement;
  return stated({ ...state, record: undefined, unknownSince: undefined }, from, epoch);
}

/** The customer is watched again. That it had no lease while its epoch was ours says nothing against it. */
function stated(
  state: ProviderState,
  from: number,
  epoch: number,
  detail: Record<string, unknown> = {},
): Step {
  const watching = { ...state, watch: { ...state.watch, fencedSince: undefined } };
  return enter(watching, { at: 'stated', from, epoch }, 'stated', detail);
}

function beReady(state: ProviderState, now: number): Step {
  const detector = heardOtherwise(state.watch.detector, now);
  return enter({ ...state, watch: createWatch(detector) }, { at: 'ready' }, 'ready');
}

function onWitness(state: ProviderState, heard: boolean, now: number): Step {
  const watches = state.phase.at === 'ready' || state.phase.at === 'stated';
  const { suspicion } = state.watch;
  if (suspicion === undefined || !watches) return [state, []];
  const next = witnessed(state.watch, heard, now);
  // The customer lives and only the way between us is cut: nothing to take over, and no news where nobody had heard of the doubt.
  return [
    { ...state, watch: next },
    heard && suspicion.told ? [{ type: 'note', milestone: 'cleared', detail: {} }] : [],
  ];
}

/** The opening is on the ledger. From here on it reads, as soon as enough shares are here. */
function onOpened(state: ProviderState, value: unknown, now: number): Step {
  const { phase } = state;
  const recorded = openingRecorded(state, value, now);
  if (phase.at !== 'opening') return recorded;
  const { from } = phase;
  const after = phase.after === undefined ? {} : { after: phase.after };
  const word = phase.word === undefined ? {} : { word: phase.word };
  return chain(recorded, (one) =>
    enter(
      { ...one, record: undefined, rimAskedAt: -Infinity },
      { at: 'reading', from, ...after, ...word },
      'opened',
      { from, opening: one.gathering.opening },
    ),
  );
}

function onTaken(state: ProviderState, epoch: number, actAfterMs: number, context: Context): Step {
  const { phase } = state;
  return phase.at === 'reading' ? serve(state, phase.from, epoch, actAfterMs, context) : [state, []];
}

function serve(
  state: ProviderState,
  from: number,
  epoch: number,
  actAfterMs: number,
  { now, siblings: others }: Context,
): Step {
  const { promiser } = state;
  const siblings = others?.() ?? [];
  // Nobody else acts by our promise any more.
  if (mustWait(promiser, siblings, epoch, now))
    return [{ ...state, promiser: heardOfEpoch(promiser, epoch) }, []];
  const acts = actFrom(promiser, siblings, { epoch, quietMs: actAfterMs }, now);
  const acting = actUnder(state.acting, epoch, acts);
  const detail = { epoch, actAfterMs: waitOf(acting, now) };
  return enter({ ...state, acting }, { at: 'active', from, epoch }, 'activated', detail);
}

function onReleased(state: ProviderState): Step {
  const { phase } = state;
  if (phase.at !== 'released') return [state, []];
  return [{ ...state, phase: { at: 'stating', statement: phase.statement, counters: phase.counters } }, []];
}

/** The ledger would give us no epoch. */
function isVain(terms: ProviderState['terms'], record: ContractRecord): boolean {
  return isServedByOther(terms, record) || isRekeying(record) || isDisputed(record);
}

function onRecord(state: ProviderState, record: ContractRecord, context: Context): Step {
  const { now } = context;
  const known: ProviderState = { ...heardRecord(state, record, now), record, recordAt: now };
  const { phase } = state;
  if (phase.at === 'ended') return [known, []];
  if (isOver(record)) return enter(known, { at: 'ended' }, 'ended', { state: record.state });
  if (phase.at === 'preparing') return record.state === 'VALIDATED' ? [known, []] : beReady(known, now);
  if (hasStated(phase, record)) return rememberStatement(known, record);
  if (isUnaware(known, record)) return catchUp(known, record, context);
  return opens(phase) && isVain(known.terms, record) ? standDown(known, now) : [known, []];
}

/** The epoch that a phase is about, of those that come after the keys were opened. */
function epochIn(phase: ProviderPhase): number | undefined {
  switch (phase.at) {
    case 'active':
    case 'releasing':
    case 'released':
    case 'stated':
      return phase.epoch;
    case 'stating':
      return phase.statement.epoch;
    case 'opening':
    case 'reading':
      return phase.after ?? 0;
    default:
      return undefined;
  }
}

/** Whether an epoch was given to us that we do not know of: the answer was lost, or our disk came back from an old backup. */
function isUnaware({ phase, terms }: ProviderState, { activation }: ContractRecord): boolean {
  if (activation === undefined || keepsOnly(terms)) return false;
  return phase.at === 'ready' || activation > (epochIn(phase) ?? activation);
}

const GOES_ON: ReadonlySet<string> = new Set(['READY', 'READY_EXPOSED']);

/** The ledger has our statement about the epoch that we take ourselves to be before it with: our disk came back from an old backup. */
function hasStated(phase: ProviderPhase, record: ContractRecord): boolean {
  const { handback, state } = record;
  // Where the contract goes on, the ledger takes no statement again of which the answer was lost.
  if (phase.at === 'stating')
    return (GOES_ON.has(state) || isRekeying(record)) && handback?.epoch === phase.statement.epoch;
  const goesOn = phase.at === 'active' || phase.at === 'releasing' || phase.at === 'released';
  return goesOn && handback?.epoch === phase.epoch;
}

/** What was stated stands: the customer goes by its range, and another one would contradict it. */
function rememberStatement(state: ProviderState, { handback }: ContractRecord): Step {
  if (handback === undefined) return [state, []];
  const { from, epoch } = handback;
  return stated(state, from, epoch, { recorded: true });
}

function rangeStart({ phase, observed }: ProviderState): number | undefined {
  if ('from' in phase) return phase.from;
  return 'statement' in phase ? phase.statement.from : observed.ring?.from;
}

/** We hold it still: then we serve. Somebody has taken it since: then it is for us to state what we heard. */
function catchUp(
  state: ProviderState,
  { activation = 0, holder, released: gaveUp }: ContractRecord,
  context: Context,
): Step {
  const { phase, terms, watch } = state;
  const from = rangeStart(state);
  // Just started: the ring is not known yet, and the record is asked for again.
  if (from === undefined) return [{ ...state, record: undefined }, []];
  if (holder !== terms.provider || gaveUp)
    return enter(state, { at: 'releasing', from, epoch: activation }, 'fenced', { epoch: activation });
  if (phase.at !== 'opening' && phase.at !== 'ready' && phase.at !== 'stated')
    return serve(state, from, activation, MAX_DOWNLINK_LEAD_MS, context);
  if (phase.at === 'opening') return [state, []];
  const evidence = unasked(watch, context.now);
  const after = phase.at === 'stated' ? { after: phase.epoch } : {};
  const fresh = { ...state, gathering: nothingGathered };
  return enter(fresh, { at: 'opening', from, evidence, ...after }, 'confirmed', evidence);
}

/** Nobody could be asked, or not now: nothing is known that was not known before. */
const unanswered: ReadonlySet<string> = new Set([
  'unavailable',
  'timeout',
  'busy',
  'internal',
  'leaseRuns',
  'restarted',
]);
/** The customer is up after all, or nothing is to be taken over from it. */
const lives: ReadonlySet<string> = new Set(['customerLives', 'customerHolds', 'notAgreed', 'keepsOnly']);

/** Until when the word that an opening rested on is not tried again, where the customer lives; `undefined`: it may not live, or still gives. */
function refusesUntil(state: ProviderState, code: string, now: number): number | undefined {
  if (code === 'staleWord') return now + STALE_AGAIN_MS;
  if (code === 'customerHolds' && stillGives(state, now)) return undefined;
  return lives.has(code) ? Infinity : undefined;
}

function onRefusal(state: ProviderState, method: Answer['method'], code: string, now: number): Step {
  if (code === 'otherHolds' && isTakingOver(state, method)) return standDown(state, now);
  const until = refusesUntil(state, code, now);
  if (until !== undefined && isTakingOver(state, method)) return standBy(state, now, until);
  if (method === 'release' && isReleaseVain(code)) return onReleased(state);
  const saysNothing = method === 'record' || method === 'witness' || unanswered.has(code);
  return [saysNothing ? state : { ...state, record: undefined }, []];
}

function isTakingOver({ phase }: ProviderState, method: Answer['method']): boolean {
  return (method === 'open' && phase.at === 'opening') || (method === 'take' && phase.at === 'reading');
}

const opens = ({ at }: ProviderPhase): boolean => at === 'opening' || at === 'reading';

/** The customer was not dead after all. Keys that were opened stay exposed; the contract lives on. */
export function standBy(state: ProviderState, now: number, refusedUntil = Infinity): Step {
  return watchAgain(state, 'cleared', now, refusedUntil);
}

/** Another provider of the set was first: it serves, we collect on, and our ring is the customer's for the asking. */
function standDown(state: ProviderState, now: number): Step {
  return watchAgain(state, 'stoodDown', now);
}

function watchAgain(
  state: ProviderState,
  milestone: 'cleared' | 'stoodDown',
  now: number,
  refusedUntil = Infinity,
): Step {
  const { phase } = state;
  const watching = createWatch(heardOtherwise(state.watch.detector, now));
  const refused = wordOf(state).word?.signature;
  const word = refused === undefined ? state.word : { ...state.word, refused, refusedUntil };
  const next = { ...state, watch: watching, gathering: nothingGathered, record: undefined, word };
  if ((phase.at === 'opening' || phase.at === 'reading') && phase.after !== undefined)
    return enter(next, { at: 'stated', from: phase.from, epoch: phase.after }, milestone);
  return enter(next, { at: 'ready' }, milestone);
}
