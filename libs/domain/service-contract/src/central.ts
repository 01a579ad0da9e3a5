import type { EdgeId } from '@antirio/kernel';
import { opensWhenOffline } from './activation.ts';
import {
  actsByPromises,
  answerLease,
  beginTake,
  createGrantor,
  endTake,
  grantedSet,
  leaseRuns,
  type GrantorState,
  type LeaseFacts,
  type Taken,
} from './grantor.ts';
import { MAX_DOWNLINK_LEAD_MS, type EpochRecord } from './lease.ts';
import { isHeldByOther } from './other-provider.ts';
import type { Datagram, LeaseGrant, LeaseRequest, Reservation } from './messages.ts';
import { keepsOnly } from './relay.ts';
import type { ContractTerms } from './terms.ts';
import {
  ask,
  foundDead,
  probeAnswered,
  probing,
  silentWitness,
  type Verdict,
  type WitnessState,
} from './witness.ts';

/** What parties ask the central arbitrator, with what the ledger said when the question came. */
export type CentralQuestion =
  | { readonly method: 'witness'; readonly customer: EdgeId }
  /** The key share against a ring root; `life` is the contract's state. */
  | {
      readonly method: 'open';
      readonly terms: ContractTerms;
      readonly life: string;
      readonly record: EpochRecord;
      /** The customer's own signed word about this epoch has been shown, or one that is not about it. */
      readonly word?: 'counts' | 'stale';
      /** The newest opening is too old for the holders: another is recorded. */
      readonly stale?: boolean;
    }
  | {
      readonly method: 'take';
      readonly terms: ContractTerms;
      readonly record: EpochRecord;
      readonly by: EdgeId;
      readonly expected: number;
      /** As in `LeaseFacts`: who has served for as long as it may is given nothing more before somebody else was. */
      readonly servedOut?: boolean;
    };

export type CentralEvent =
  | { readonly type: 'tick' }
  | { readonly type: 'probeReply'; readonly from: EdgeId; readonly nonce: string }
  | {
      readonly type: 'leaseRequest';
      readonly from: EdgeId;
      readonly request: LeaseRequest;
      readonly facts: LeaseFacts;
      readonly receivedAt: number;
    }
  /** A customer's word that it acts by the promises of others; it is the holder of that epoch. */
  | {
      readonly type: 'acts';
      readonly setId: string;
      readonly epoch: number;
      readonly heard: string;
      readonly leaseMs: number;
    }
  | { readonly type: 'asked'; readonly id: string; readonly question: CentralQuestion }
  /** What the ledger made of a submission. It must be known for sure: an open question is asked again until it is. */
  | { readonly type: 'recorded'; readonly id: string; readonly ok: boolean };

export type CentralAnswer =
  | { readonly kind: 'witness'; readonly heard: boolean }
  /** The rim adds our share of the keys. */
  | { readonly kind: 'opened' }
  | { readonly kind: 'taken'; readonly epoch: number; readonly actAfterMs: number }
  /** Part of the protocol: the asking machine knows what to make of it. */
  | { readonly kind: 'refused'; readonly reason: string; readonly retryInMs?: number }
  /** The ledger refused what we submitted; the rim has its words. */
  | { readonly kind: 'failed' };

export type CentralEffect =
  | { readonly type: 'send'; readonly to: EdgeId; readonly datagram: Datagram }
  /** Reserve the blocks on the disk, then send the grant with them. */
  | {
      readonly type: 'grant';
      readonly to: EdgeId;
      readonly body: Omit<LeaseGrant, 'blocks'>;
      readonly reserve: readonly Reservation[];
    }
  | { readonly type: 'submit'; readonly id: string; readonly submission: Submission }
  | { readonly type: 'answer'; readonly id: string; readonly answer: CentralAnswer };

export type Submission =
  | { readonly kind: 'open' }
  /** How long ago the leases ended; null where the holder released its epoch, or is the other party. */
  | {
      readonly kind: 'take';
      readonly customerLeaseEndedMsAgo: number | null;
      readonly holderLeaseEndedMsAgo: number | null;
    };

export interface CentralState {
  readonly grantor: GrantorState;
  readonly witness: WitnessState;
  /** Contracts whose keys we opened since our start. */
  readonly opened: Readonly<Record<string, true>>;
  /** When a provider's take was first refused because the customer's lease ran. */
  readonly refusedSince: Readonly<Record<string, number>>;
  readonly pending: Readonly<Record<string, Pending>>;
}

type Pending =
  | { readonly at: 'witness' }
  /** Waits for the witness's word on the customer. */
  | { readonly at: 'lives'; readonly contractId: string }
  | { readonly at: 'opening'; readonly contractId: string }
  | {
      readonly at: 'taking';
      readonly contractId: string;
      readonly setId: string;
      readonly taken: Taken;
    };

export interface CentralContext {
  /** This host's monotonic milliseconds. */
  readonly now: number;
  /** Unguessable, and new each time. */
  readonly nonce: () => string;
}

type Step = readonly [CentralState, readonly CentralEffect[]];

const VERDICT_COUNTS_MS = 3000;
const TAKE_AGAIN_MS = 250;
const OPEN_BY_RIGHT: ReadonlySet<string> = new Set(['ACTIVE', 'RETURNING', 'HANDED_BACK']);

export function createCentral(bootId: string, now: number): CentralState {
  const grantor = createGrantor(bootId, now);
  return { grantor, witness: silentWitness, opened: {}, refusedSince: {}, pending: {} };
}

/** The central arbitrator: witness, keeper of keys, grantor of epochs and leases. */
export function centralStep(state: CentralState, event: CentralEvent, context: CentralContext): Step {
  switch (event.type) {
    case 'tick':
      return onTick(state, context.now);
    case 'probeReply': {
      const found = probeAnswered(state.witness, event.from, event.nonce, context.now);
      if (found === undefined) return [state, []];
      return onVerdict({ ...state, witness: found[0] }, found[1]);
    }
    case 'leaseRequest':
      return onLeaseRequest(state, event, context.now);
    case 'acts': {
      const grantor = actsByPromises(state.grantor, event.setId, event, event.leaseMs, context.now);
      return [{ ...state, grantor }, []];
    }
    case 'asked':
      return onAsked(state, event.id, event.question, context);
    case 'recorded':
      return onRecorded(state, event.id, event.ok, context.now);
  }
}

function answered(state: CentralState, id: string, answer: CentralAnswer): Step {
  const { [id]: _done, ...pending } = state.pending;
  return [{ ...state, pending }, [{ type: 'answer', id, answer }]];
}

function waiting(state: CentralState, id: string, pending: Pending): CentralState {
  return { ...state, pending: { ...state.pending, [id]: pending } };
}

function onTick(state: CentralState, now: number): Step {
  if (Object.keys(state.witness.questions).length === 0) return [state, []];
  const [witness, probes, verdicts] = probing(state.witness, now);
  let next: CentralState = { ...state, witness };
  const effects: CentralEffect[] = probes.map(({ to, nonce }) => ({
    type: 'send',
    to,
    datagram: { kind: 'probe', body: { nonce } },
  }));
  for (const verdict of verdicts) {
    const [after, more] = onVerdict(next, verdict);
    next = after;
    effects.push(...more);
  }
  return [next, effects];
}

function onVerdict(state: CentralState, { heard, askers }: Verdict): Step {
  let next = state;
  const effects: CentralEffect[] = [];
  for (const id of askers) {
    const asked = next.pending[id];
    if (asked === undefined) continue;
    const [after, more] =
      asked.at === 'lives' && !heard
        ? submitOpening(next, id, asked.contractId)
        : answered(
            next,
            id,
            asked.at === 'lives' ? { kind: 'refused', reason: 'customerLives' } : { kind: 'witness', heard },
          );
    next = after;
    effects.push(...more);
  }
  return [next, effects];
}

function onLeaseRequest(
  state: CentralState,
  event: Extract<CentralEvent, { type: 'leaseRequest' }>,
  now: number,
): Step {
  const { from, request, facts, receivedAt } = event;
  const [grantor, answer] = answerLease(state.grantor, from, request, facts, receivedAt, now);
  const next = { ...state, grantor };
  switch (answer.kind) {
    case 'silence':
      return [next, []];
    case 'refused':
      return [next, [{ type: 'send', to: from, datagram: { kind: 'leaseRefused', body: answer.body } }]];
    case 'granted':
      return [next, [{ type: 'grant', to: from, body: answer.body, reserve: answer.reserve }]];
  }
}

function onAsked(state: CentralState, id: string, question: CentralQuestion, context: CentralContext): Step {
  const { now, nonce } = context;
  switch (question.method) {
    case 'witness': {
      const witness = ask(state.witness, question.customer, id, nonce(), now);
      return [waiting({ ...state, witness }, id, { at: 'witness' }), []];
    }
    case 'open':
      return onOpen(state, id, question, context);
    case 'take':
      return onTake(state, id, question, now);
  }
}

/** The keys are open by right already: asking again after a restart changes nothing. */
function isOpenAlready(state: CentralState, question: Extract<CentralQuestion, { method: 'open' }>): boolean {
  const { terms, life, record, stale = false } = question;
  const recorded = state.opened[terms.contractId] === true && !stale;
  return recorded || OPEN_BY_RIGHT.has(life) || record.holder === terms.provider;
}

function onOpen(
  state: CentralState,
  id: string,
  question: Extract<CentralQuestion, { method: 'open' }>,
  { now, nonce }: CentralContext,
): Step {
  const { terms, word } = question;
  const { contractId, customer, opening } = terms;
  if (keepsOnly(terms)) return answered(state, id, { kind: 'refused', reason: 'keepsOnly' });
  if (servesAlready(state, question, now)) return standDown(state, id, contractId);
  if (isOpenAlready(state, question)) return answered(state, id, { kind: 'opened' });
  if (word === 'stale') return answered(state, id, { kind: 'refused', reason: 'staleWord' });
  if (word !== 'counts' && !opensWhenOffline(terms))
    return answered(state, id, { kind: 'refused', reason: 'notAgreed' });
  if (opening === 'autonomous' || word === 'counts') return submitOpening(state, id, contractId);
  if (foundDead(state.witness, customer, VERDICT_COUNTS_MS, now)) return submitOpening(state, id, contractId);
  const witness = ask(state.witness, customer, id, nonce(), now);
  return [waiting({ ...state, witness }, id, { at: 'lives', contractId }), []];
}

/** Another provider of the set serves the customer: nobody else needs its keys. */
function servesAlready(
  { grantor }: CentralState,
  { terms, life, record }: Extract<CentralQuestion, { method: 'open' }>,
  now: number,
): boolean {
  if (OPEN_BY_RIGHT.has(life) || !isHeldByOther(terms, record)) return false;
  return leaseRuns(grantor, terms.set.setId, record, terms.leaseMs, now);
}

function standDown(state: CentralState, id: string, contractId: string): Step {
  return answered(forgetOpening(state, contractId), id, { kind: 'refused', reason: 'otherHolds' });
}

function submitOpening(state: CentralState, id: string, contractId: string): Step {
  return [
    waiting(state, id, { at: 'opening', contractId }),
    [{ type: 'submit', id, submission: { kind: 'open' } }],
  ];
}

type TakeAsked = Extract<CentralQuestion, { method: 'take' }>;

/** What is said to a take before the epoch is looked at any further. */
function answerAtOnce(
  { grantor }: CentralState,
  { terms, record, by, expected, servedOut = false }: TakeAsked,
  now: number,
): CentralAnswer | undefined {
  // The answer to the same request was lost on its way.
  if (record.epoch === expected + 1 && record.holder === by) {
    const quietMs = grantedSet(grantor, terms.set.setId).quietUntil - now;
    const actAfterMs = Math.ceil(Math.max(quietMs, MAX_DOWNLINK_LEAD_MS));
    return { kind: 'taken', epoch: record.epoch, actAfterMs };
  }
  if (by === terms.provider && keepsOnly(terms)) return { kind: 'refused', reason: 'keepsOnly' };
  return servedOut && by === record.holder ? { kind: 'refused', reason: 'servedOut' } : undefined;
}

function onTake(state: CentralState, id: string, question: TakeAsked, now: number): Step {
  const { terms, record, by, expected } = question;
  const { contractId, leaseMs, customer } = terms;
  const { setId } = terms.set;
  const atOnce = answerAtOnce(state, question, now);
  if (atOnce !== undefined) return answered(state, id, atOnce);
  const [grantor, begun] = beginTake(state.grantor, setId, record, expected, leaseMs, now);
  const next = { ...state, grantor };
  if (!begun.ok) {
    const lost = by === terms.provider && begun.reason === 'leaseRuns' && isHeldByOther(terms, record);
    return lost ? standDown(next, id, contractId) : refuseTake(next, id, terms, by, begun, now);
  }
  const { actFrom, endedMsAgo = null } = begun;
  const customers = record.holder === customer;
  const submission: Submission = {
    kind: 'take',
    customerLeaseEndedMsAgo: customers ? endedMsAgo : null,
    holderLeaseEndedMsAgo: customers ? null : endedMsAgo,
  };
  const taken = { epoch: expected + 1, actFrom, holder: by, leaseMs };
  const pending: Pending = { at: 'taking', contractId, setId, taken };
  return [waiting(next, id, pending), [{ type: 'submit', id, submission }]];
}

function refuseTake(
  state: CentralState,
  id: string,
  { contractId, provider, set }: ContractTerms,
  by: EdgeId,
  { reason, retryInMs }: { readonly reason: string; readonly retryInMs: number },
  now: number,
): Step {
  const retry: CentralAnswer = {
    kind: 'refused',
    reason,
    retryInMs: Math.min(Math.ceil(retryInMs), TAKE_AGAIN_MS),
  };
  if (reason !== 'leaseRuns' || by !== provider) return answered(state, id, retry);
  const since = state.refusedSince[contractId];
  const madeAt = grantedSet(state.grantor, set.setId).promise?.madeAt ?? -Infinity;
  if (since === undefined || madeAt <= since) {
    const refusedSince = { ...state.refusedSince, [contractId]: since ?? now };
    return answered({ ...state, refusedSince }, id, retry);
  }
  // The customer has renewed its lease since: it is up, and keeps its epoch.
  return answered(forgetOpening(state, contractId), id, { kind: 'refused', reason: 'customerHolds' });
}

function forgetOpening(state: CentralState, contractId: string): CentralState {
  const { [contractId]: _opened, ...opened } = state.opened;
  const { [contractId]: _since, ...refusedSince } = state.refusedSince;
  return { ...state, opened, refusedSince };
}

function onRecorded(state: CentralState, id: string, ok: boolean, now: number): Step {
  const pending = state.pending[id];
  if (pending?.at === 'opening') {
    if (!ok) return answered(state, id, { kind: 'failed' });
    const fresh = forgetOpening(state, pending.contractId);
    const opened = { ...fresh.opened, [pending.contractId]: true as const };
    return answered({ ...fresh, opened }, id, { kind: 'opened' });
  }
  if (pending?.at !== 'taking') return [state, []];
  const { contractId, setId, taken } = pending;
  const { epoch, actFrom } = taken;
  const grantor = endTake(state.grantor, setId, ok ? taken : undefined, now);
  const next = { ...state, grantor };
  if (!ok) return answered(next, id, { kind: 'failed' });
  const actAfterMs = Math.ceil(Math.max(0, actFrom - now));
  return answered(forgetOpening(next, contractId), id, { kind: 'taken', epoch, actAfterMs });
}
