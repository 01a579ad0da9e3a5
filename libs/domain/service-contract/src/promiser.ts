import type { EdgeId } from '@antirio/kernel';
import { grantorChallenge, isFresh } from './grantor.ts';
import { MAX_DOWNLINK_LEAD_MS, promisedUntil, silentUntil, surelyPassed } from './lease.ts';
import type { LeaseGrant, LeaseRefused, LeaseRequest } from './messages.ts';

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
    newest: 0,
  };
}

/** An epoch that is ours is not assumed yet: under an earlier one something may still come on air, by our own promise. */
export function isBound({ until }: Promiser, now: number): boolean {
  return now < until + surelyPassed(MAX_DOWNLINK_LEAD_MS);
}

/** The first epoch of a set follows none. */
export function mustWait(promiser: Promiser, epoch: number, now: number): boolean {
  return epoch > 1 && isBound(promiser, now);
}

export function heardOfEpoch(promiser: Promiser, epoch: number): Promiser {
  return epoch <= promiser.newest ? promiser : { ...promiser, newest: epoch };
}

/**
 * The holder has shut its fence and released its epoch, as the ledger says: nobody acts by our promise any more. What it sent last may
 * still wait in a gateway, and a grantor that has not heard of it for long, and was asked before the release came, does not wait for that.
 */
export function freed(promiser: Promiser, epoch: number, now: number): Promiser {
  return epoch < promiser.epoch ? promiser : { ...promiser, until: Math.min(promiser.until, now) };
}

/** Another machine of this edge has promised: all of them keep it. */
export function boundToo(promiser: Promiser, epoch: number, leaseMs: number, now: number): Promiser {
  const until = Math.max(promiser.until, promisedUntil(now, leaseMs));
  return { ...promiser, until, epoch: Math.max(promiser.epoch, epoch) };
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
  const bound = { ...boundToo(promiser, epoch, leaseMs, now), promisedAt: now };
  return [bound, { kind: 'promised', body: { ...answer, leaseMs, blocks: [], parties: [...parties] } }];
}
