import type { EdgeId } from '@antirio/kernel';
import { grantorChallenge, isFresh } from './grantor.ts';
import { MAX_DOWNLINK_LEAD_MS, promisedUntil, silentUntil, surelyPassed } from './lease.ts';
import type { LeaseGrant, LeaseRefused, LeaseRequest, LastRelease } from './messages.ts';

/**
 * A party's promise to the holder of its set's epoch: not to act under a later one before its end. Only that is promised: it goes on
 * listening, reading, and asking for the epoch, which it then assumes when what the holder sent last is off the air. In memory:
 * whoever restarts may have promised, and keeps silent for as long.
 */
export interface Promiser {
  readonly startedAt: number;
  readonly bootId: string;
  /** Until then, by our own clock, somebody else may act by what we promised; before our start, too. */
  readonly until: number;
  /** When we promised last, and under which epoch the other acts. */
  readonly promisedAt: number;
  readonly epoch: number;
  /** Which run of the other asked for it; undefined: nobody since our start, and before it whoever may have. */
  readonly to: string | undefined;
  /** The newest epoch that we have heard of: nothing is promised under an earlier one. */
  readonly newest: number;
}

export function createPromiser(bootId: string, leaseMs: number, now: number): Promiser {
  return {
    startedAt: now,
    bootId,
    until: silentUntil(now, leaseMs),
    promisedAt: -Infinity,
    epoch: 0,
    to: undefined,
    newest: 0,
  };
}

/** When what is sent until then is off the air. */
const airedBy = (until: number): number => until + surelyPassed(MAX_DOWNLINK_LEAD_MS);

/** Under an earlier epoch something may still come on air, by our own promise. */
export function isBound({ until }: Promiser, now: number): boolean {
  return now < airedBy(until);
}

/** A machine of this edge over the same set and in the same role, under another contract, over or not: what it does this edge does. */
export interface Sibling {
  readonly contractId: string;
  /** The other party of its contract. */
  readonly other: EdgeId;
  /** It answers nobody who asks for a promise. */
  readonly isSilent: boolean;
  readonly promiser: Promiser;
  /** The newest epoch that it acted under, or does. */
  readonly acted: number;
}

/** One that has promised nothing since its start keeps the silence after that for itself: with a new contract a machine begins anew. */
const hasPromised = ({ promiser }: Sibling): boolean => promiser.promisedAt > -Infinity;

/** Until when somebody else may act by what any machine of this edge has promised. The first epoch of a set follows none. */
function promisedBy(promiser: Promiser, siblings: readonly Sibling[], epoch: number): number {
  if (epoch <= 1) return -Infinity;
  return Math.max(promiser.until, ...siblings.filter(hasPromised).map((one) => one.promiser.until));
}

/** An epoch that is ours is not assumed while somebody else may act by our promise. */
export function mustWait(
  promiser: Promiser,
  siblings: readonly Sibling[],
  epoch: number,
  now: number,
): boolean {
  return now < promisedBy(promiser, siblings, epoch);
}

/** From when we act under an epoch that is assumed now: the grantor's `quietMs` are over, and what was sent by our promise is off the air. */
export function actFrom(
  promiser: Promiser,
  siblings: readonly Sibling[],
  { epoch, quietMs }: { readonly epoch: number; readonly quietMs: number },
  now: number,
): number {
  return Math.max(now + surelyPassed(quietMs), airedBy(promisedBy(promiser, siblings, epoch)));
}

/** Whether none of them acts, or could know of its right to act, under a later epoch than the one to be promised for. */
export function allHoldStill(siblings: readonly Sibling[], epoch: number): boolean {
  return siblings.every(({ promiser, acted }) => acted < epoch && promiser.newest <= epoch);
}

/** Of several machines that could answer another party one does: the first in the order of their contracts. */
export function answersFor(
  { contractId }: Pick<Sibling, 'contractId'>,
  other: EdgeId,
  siblings: readonly Sibling[],
): boolean {
  return !siblings.some((one) => !one.isSilent && one.other === other && one.contractId < contractId);
}

export function heardOfEpoch(promiser: Promiser, epoch: number): Promiser {
  return epoch <= promiser.newest ? promiser : { ...promiser, newest: epoch };
}

/**
 * Whom we promised has shut its fence and released its epoch, as the ledger says: nobody acts by our promise any more. Only that very run
 * of it frees us: one that has come back with an old disk knows nothing of the release, and what it was promised stands. What was
 * sent last may still wait in a gateway, and a grantor that has not heard of it for long does not wait for that.
 */
export function freed(promiser: Promiser, lastRelease: LastRelease | undefined, now: number): Promiser {
  const isOver =
    lastRelease !== undefined && lastRelease.epoch >= promiser.epoch && lastRelease.bootId === promiser.to;
  return isOver ? { ...promiser, until: Math.min(promiser.until, now) } : promiser;
}

export interface PromiseFacts {
  readonly leaseMs: number;
  /** Whether, as far as we know, the asker is the holder of the set's epoch, and that is not ours. */
  readonly holds: boolean;
  /** Who else could be given the next epoch, as far as we know. */
  readonly parties: readonly EdgeId[];
  /** The grantor's challenge as we have it. */
  readonly heard: string;
  /** Whether the asker has said so in words that we can show. */
  readonly proven: boolean;
}

/** As many as an answer has room for. */
const PARTIES_MAX = 8;

export type PromiseAnswer =
  | { readonly kind: 'silence' }
  | { readonly kind: 'stale'; readonly body: LeaseRefused }
  | { readonly kind: 'promised'; readonly body: LeaseGrant };

export function answerPromise(
  promiser: Promiser,
  from: EdgeId,
  request: LeaseRequest,
  facts: PromiseFacts,
  now: number,
): readonly [Promiser, PromiseAnswer] {
  const { leaseMs, holds, parties, heard } = facts;
  const { setId, epoch, bootId, sequence } = request;
  const silent = now < silentUntil(promiser.startedAt, leaseMs) || parties.length > PARTIES_MAX;
  if (silent || !holds || promiser.newest > epoch) return [promiser, { kind: 'silence' }];
  const answer = { setId, epoch, bootId, sequence, challenge: grantorChallenge(promiser, now), heard };
  if (!facts.proven || !isFresh(promiser, request.challenge, leaseMs, now))
    return [promiser, { kind: 'stale', body: { ...answer, reason: 'stale', current: epoch, holder: from } }];
  const until = Math.max(promiser.until, promisedUntil(now, leaseMs));
  const bound = { ...promiser, until, promisedAt: now, epoch: Math.max(promiser.epoch, epoch), to: bootId };
  return [bound, { kind: 'promised', body: { ...answer, leaseMs, blocks: [], parties: [...parties] } }];
}
