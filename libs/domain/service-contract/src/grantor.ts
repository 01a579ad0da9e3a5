import type { EdgeId } from '@antirio/kernel';
import {
  firstPromise,
  LEAD_BY_GRANTOR_MS,
  promise,
  promisedUntil,
  silentUntil,
  takeable,
  type EpochRecord,
  type LeasePromise,
} from './lease.ts';
import type { LeaseGrant, LeaseRefused, LeaseRequest, Reservation } from './messages.ts';

/** Where no contract says how long a lease lasts. */
export const DEFAULT_LEASE_MS = 3000;
/** How fine a challenge tells the time. */
const CHALLENGE_MS = 250;

/**
 * Who gives epochs and leases. All of it is memory, lost at a restart: silence for one lease after the start makes that safe.
 * The ledger has the last word on epochs; what is kept here orders its answers, which may come late.
 */
export interface GrantorState {
  readonly startedAt: number;
  readonly bootId: string;
  readonly sets: Readonly<Record<string, GrantedSet>>;
}

/** Who answers requests, by the moment of its start. */
type Start = Pick<GrantorState, 'bootId' | 'startedAt'>;

export interface GrantedSet {
  readonly promise: (LeasePromise & { readonly madeAt: number }) | undefined;
  /** The newest epoch that we know of: a record of an older one was read before it was given. */
  readonly epoch: number;
  /** A take is on its way to the ledger: until its outcome is known, nobody is promised anything. */
  readonly taking: boolean;
  /** Until then, what was sent under an earlier epoch may still come on air. */
  readonly quietUntil: number;
  /** Until when the holder of the epoch has acted for sure without us. */
  readonly acts?: { readonly epoch: number; readonly until: number };
}

/** What the ledger says of the set, read after the request came. */
export interface LeaseFacts {
  readonly record: EpochRecord;
  /** Of the set's contracts; never shorter than the holder's own. */
  readonly leaseMs: number;
  /** Which FCntDown blocks are the edge's; undefined where it has none in this set. */
  readonly slot: number | undefined;
  /** The holder is a provider, and has had the epoch for as long as its contract lets it act. */
  readonly servedOut?: boolean;
}

export type LeaseAnswer =
  | { readonly kind: 'silence' }
  | { readonly kind: 'refused'; readonly body: LeaseRefused }
  /** The blocks are to be reserved durably before the grant leaves. */
  | {
      readonly kind: 'granted';
      readonly body: Omit<LeaseGrant, 'blocks'>;
      readonly reserve: readonly Reservation[];
    };

const unknownSet: GrantedSet = { promise: undefined, epoch: 0, taking: false, quietUntil: -Infinity };

export function createGrantor(bootId: string, now: number): GrantorState {
  return { startedAt: now, bootId, sets: {} };
}

export function grantedSet(state: GrantorState, setId: string): GrantedSet {
  return state.sets[setId] ?? unknownSet;
}

function withSet(state: GrantorState, setId: string, set: GrantedSet): GrantorState {
  return { ...state, sets: { ...state.sets, [setId]: set } };
}

/**
 * What a request must repeat to count: it says that its sender has heard from us just now. A recorded one does not, however
 * long ago we started.
 */
export function grantorChallenge({ bootId, startedAt }: Start, now: number): string {
  return `${bootId}.${Math.floor((now - startedAt) / CHALLENGE_MS)}`;
}

export function isFresh(start: Start, challenge: string, leaseMs: number, now: number): boolean {
  const ageMs = ageOf(start, challenge, now);
  return ageMs !== undefined && ageMs <= leaseMs + CHALLENGE_MS;
}

/** How long ago the challenge was made; undefined where it is not of this start. */
function ageOf({ bootId, startedAt }: Start, challenge: string, now: number): number | undefined {
  const [boot, count = ''] = challenge.split('.');
  if (boot !== bootId || !/^\d{1,15}$/.test(count)) return undefined;
  const ageMs = now - startedAt - Number(count) * CHALLENGE_MS;
  return ageMs >= 0 ? ageMs : undefined;
}

/**
 * The holder, which we do not hear, acts on by the promises of the others: one of them has shown its word, which repeats a challenge of
 * ours and so is no older than that. It acts for one lease from then on, as the others count it.
 */
export function actsByPromises(
  state: GrantorState,
  setId: string,
  { epoch, heard }: { readonly epoch: number; readonly heard: string },
  leaseMs: number,
  now: number,
): GrantorState {
  const ageMs = ageOf(state, heard, now);
  if (ageMs === undefined) return state;
  const set = grantedSet(state, setId);
  const until = promisedUntil(now - ageMs, leaseMs);
  const known = set.acts?.epoch === epoch ? set.acts.until : -Infinity;
  return withSet(state, setId, { ...set, acts: { epoch, until: Math.max(until, known) } });
}

/**
 * The answer, given `now`, to a lease request that came at `receivedAt`: what is promised counts from there, however long the
 * ledger took to say what it knows. The challenge is as young as the answer: a slow ledger makes nobody's next request stale.
 */
export function answerLease(
  state: GrantorState,
  from: EdgeId,
  request: LeaseRequest,
  facts: LeaseFacts,
  receivedAt: number,
  now = receivedAt,
): readonly [GrantorState, LeaseAnswer] {
  const { setId, epoch, bootId, sequence } = request;
  const { record, leaseMs, slot, servedOut = false } = facts;
  const answer = { setId, epoch, bootId, sequence, challenge: grantorChallenge(state, now) };
  const refuse = (reason: LeaseRefused['reason']): LeaseAnswer => ({
    kind: 'refused',
    body: { ...answer, reason, current: record.epoch, holder: record.holder },
  });
  if (!isFresh(state, request.challenge, leaseMs, receivedAt)) return [state, refuse('stale')];
  const set = grantedSet(state, setId);
  if (set.taking || record.epoch < set.epoch) return [state, { kind: 'silence' }];
  const known = { ...set, epoch: record.epoch };
  const promised = promise(record, set.promise, { epoch, by: from, leaseMs }, state.startedAt, receivedAt);
  if (!promised.ok) {
    const silent = promised.reason === 'restarted';
    return [withSet(state, setId, known), silent ? { kind: 'silence' } : refuse(promised.reason)];
  }
  if (servedOut) return [withSet(state, setId, known), refuse('servedOut')];
  const reserve = slot === undefined ? [] : request.reserve.filter((one) => one.slot === slot);
  const next = { ...known, promise: { ...promised.promise, madeAt: receivedAt } };
  return [withSet(state, setId, next), { kind: 'granted', body: { ...answer, leaseMs }, reserve }];
}

export type TakeBegun =
  | {
      readonly ok: true;
      /** When the taker may act, on our clock. */
      readonly actFrom: number;
      /** How long ago the holder's lease ended; undefined where it released its epoch instead. */
      readonly endedMsAgo: number | undefined;
    }
  | {
      readonly ok: false;
      readonly reason: 'leaseRuns' | 'restarted' | 'superseded';
      readonly retryInMs: number;
    };

/** Begins to give the epoch after `expected`; from here to `endTake` no lease of the set is promised. */
export function beginTake(
  state: GrantorState,
  setId: string,
  record: EpochRecord,
  expected: number,
  leaseMs: number,
  now: number,
): readonly [GrantorState, TakeBegun] {
  const set = grantedSet(state, setId);
  if (set.taking || record.epoch < set.epoch)
    return [state, { ok: false, reason: 'superseded', retryInMs: 0 }];
  const verdict = takeable(record, set.promise, expected, leaseMs, state.startedAt, now);
  if (!verdict.ok) return [state, verdict];
  const actFrom = Math.max(now + verdict.actAfterMs, set.quietUntil);
  const until =
    set.promise?.epoch === record.epoch ? set.promise.until : silentUntil(state.startedAt, leaseMs);
  const endedMsAgo = verdict.leaseEnded ? Math.max(0, now - until) : undefined;
  return [withSet(state, setId, { ...set, taking: true }), { ok: true, actFrom, endedMsAgo }];
}

export interface Taken {
  readonly epoch: number;
  readonly actFrom: number;
  readonly holder: EdgeId;
  readonly leaseMs: number;
}

/**
 * What became of it on the ledger. Whoever has just taken an epoch has one lease's time to ask for its first one: of several
 * providers that see the same failure, none takes it from the one that was first.
 */
export function endTake(
  state: GrantorState,
  setId: string,
  taken: Taken | undefined,
  now: number,
): GrantorState {
  const set = { ...grantedSet(state, setId), taking: false };
  if (taken === undefined) return withSet(state, setId, set);
  const { epoch, actFrom, holder, leaseMs } = taken;
  const quietUntil = Math.max(set.quietUntil, actFrom);
  const first = { ...firstPromise(epoch, holder, leaseMs, now), madeAt: now };
  return withSet(state, setId, { ...set, epoch, promise: first, quietUntil });
}

/** Whether what we promised the holder of the record's epoch, now or before our start, may still run. */
export function leaseRuns(
  state: GrantorState,
  setId: string,
  record: EpochRecord,
  leaseMs: number,
  now: number,
): boolean {
  if (record.released) return false;
  const set = grantedSet(state, setId);
  if (set.taking || record.epoch < set.epoch || now < silentUntil(state.startedAt, leaseMs)) return true;
  return set.promise?.epoch === record.epoch && now < set.promise.until;
}

/** For how long, ms, what was sent under an earlier epoch of the set may still come on air. */
export function quietMs(state: GrantorState, setId: string, now: number): number {
  const { quietUntil, taking } = grantedSet(state, setId);
  // An epoch may be on the ledger already while we do not know yet what became of our submission.
  if (taking) return Math.ceil(Math.max(quietUntil - now, LEAD_BY_GRANTOR_MS));
  const until = Math.max(quietUntil, state.startedAt + LEAD_BY_GRANTOR_MS);
  return Math.ceil(Math.max(0, until - now));
}
