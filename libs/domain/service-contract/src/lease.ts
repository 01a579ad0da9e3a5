import type { EdgeId } from '@antirio/kernel';
import type { LastRelease } from './messages.ts';

/**
 * Leases: the holder of an epoch acts only while the grantor has promised to give no other, or all who could be given it have
 * promised not to act under it (promises.ts). The holder counts from when it
 * sent its request and a little short, the grantor from when it received it and a little long, so that clocks whose rates
 * differ from the true one by up to 2 % agree on the safe side. Times are each party's own monotonic milliseconds.
 */
export interface LeaseHolder {
  readonly leaseMs: number;
  readonly startedAt: number;
  readonly epoch: number;
  /** Acting is allowed before this and after `actFrom`. */
  readonly until: number;
  readonly actFrom: number;
  readonly lastRequestAt: number;
  readonly outstanding: readonly { readonly sequence: number; readonly sentAt: number }[];
}

/** The grantor's side for one set. Lives in memory only: whoever restarts keeps silent for one whole lease instead. */
export interface LeasePromise {
  readonly epoch: number;
  readonly holder: EdgeId;
  readonly until: number;
}

const HOLDER_RATE = 0.98;
const PROMISER_RATE = 1.02;
/** A downlink leaves the fence at most this long before it is on air. */
export const MAX_DOWNLINK_LEAD_MS = 3000;
/**
 * The same on the grantor's clock, which may be fast: part of it passes there before whoever takes the epoch is told how long to wait, and
 * only what is left is waited for as long as surely passes it.
 */
export const LEAD_BY_GRANTOR_MS = MAX_DOWNLINK_LEAD_MS * PROMISER_RATE;
const OUTSTANDING_KEPT = 64;

/** How long to wait on one's own clock until a duration of somebody else's clock has passed for sure. */
export function surelyPassed(durationMs: number): number {
  return (durationMs * PROMISER_RATE) / HOLDER_RATE;
}

/** Until when whoever started at `startedAt` keeps silent: what it may have promised or sent before is over then. */
export function silentUntil(startedAt: number, leaseMs: number): number {
  return startedAt + leaseMs * PROMISER_RATE;
}

/** Until when a promise runs that is made now, as its maker counts. */
export function promisedUntil(now: number, leaseMs: number): number {
  return now + leaseMs * PROMISER_RATE;
}

function ownSilence(startedAt: number, leaseMs: number): number {
  return startedAt + surelyPassed(Math.max(leaseMs, MAX_DOWNLINK_LEAD_MS));
}

export function createLeaseHolder(leaseMs: number, startedAt: number): LeaseHolder {
  return {
    leaseMs,
    startedAt,
    epoch: 0,
    until: 0,
    actFrom: ownSilence(startedAt, leaseMs),
    lastRequestAt: -Infinity,
    outstanding: [],
  };
}

/** A newly taken epoch: no lease yet, and no acting before `actFrom`. */
export function holdEpoch(lease: LeaseHolder, epoch: number, actFrom: number): LeaseHolder {
  return {
    ...lease,
    epoch,
    until: 0,
    actFrom: Math.max(actFrom, ownSilence(lease.startedAt, lease.leaseMs)),
    lastRequestAt: -Infinity,
    outstanding: [],
  };
}

export function leaseDue(lease: LeaseHolder, now: number): boolean {
  return now - lease.lastRequestAt >= lease.leaseMs / 4;
}

export function leaseRequested(lease: LeaseHolder, sequence: number, now: number): LeaseHolder {
  const outstanding = [...lease.outstanding, { sequence, sentAt: now }].slice(-OUTSTANDING_KEPT);
  return { ...lease, lastRequestAt: now, outstanding };
}

/** What the answer to an outstanding request changes; `promisedMs` is how long the grantor says that it promises. */
export function leaseGranted(
  lease: LeaseHolder,
  epoch: number,
  sequence: number,
  promisedMs: number,
): LeaseHolder {
  const request = lease.outstanding.find((one) => one.sequence === sequence);
  if (request === undefined || epoch !== lease.epoch) return lease;
  const duration = Math.min(lease.leaseMs, promisedMs);
  return {
    ...lease,
    until: Math.max(lease.until, request.sentAt + duration * HOLDER_RATE),
    outstanding: lease.outstanding.filter((one) => one.sentAt > request.sentAt),
  };
}

export function mayAct(lease: LeaseHolder, now: number): boolean {
  return now >= lease.actFrom && now < lease.until;
}

export type Promised =
  | { readonly ok: true; readonly promise: LeasePromise }
  | { readonly ok: false; readonly reason: 'restarted' | 'superseded' | 'released' };

/** What the ledger says of a set's epoch. */
export interface EpochRecord {
  readonly epoch: number;
  readonly holder: EdgeId;
  readonly released: boolean;
  /** Of the set's epoch that was released last. */
  readonly lastRelease?: LastRelease | undefined;
}

/** Whether the grantor, up since `startedAt`, promises the holder of `epoch` to give no other for one lease. */
export function promise(
  record: EpochRecord,
  known: LeasePromise | undefined,
  request: { readonly epoch: number; readonly by: EdgeId; readonly leaseMs: number },
  startedAt: number,
  now: number,
): Promised {
  if (now < silentUntil(startedAt, request.leaseMs)) return { ok: false, reason: 'restarted' };
  if (record.epoch !== request.epoch || record.holder !== request.by)
    return { ok: false, reason: 'superseded' };
  if (record.released) return { ok: false, reason: 'released' };
  const until = promisedUntil(now, request.leaseMs);
  return {
    ok: true,
    promise: { epoch: record.epoch, holder: record.holder, until: Math.max(until, known?.until ?? 0) },
  };
}

/** What the taker of an epoch is promised before it has asked for anything. */
export function firstPromise(epoch: number, holder: EdgeId, leaseMs: number, now: number): LeasePromise {
  return { epoch, holder, until: promisedUntil(now, leaseMs) };
}

export type Takeable =
  | {
      readonly ok: true;
      /** From now until the taker may act, ms. */ readonly actAfterMs: number;
      readonly leaseEnded: boolean;
    }
  | {
      readonly ok: false;
      readonly reason: 'leaseRuns' | 'restarted' | 'superseded';
      readonly retryInMs: number;
    };

/** Whether the epoch after `expected` may be given now: only once its holder released it or its lease has ended. */
export function takeable(
  record: EpochRecord,
  known: LeasePromise | undefined,
  expected: number,
  leaseMs: number,
  startedAt: number,
  now: number,
): Takeable {
  if (record.epoch !== expected) return { ok: false, reason: 'superseded', retryInMs: 0 };
  // A released epoch's holder shut its fence first, but what it sent before may still wait in a gateway.
  if (record.released) return { ok: true, actAfterMs: LEAD_BY_GRANTOR_MS, leaseEnded: false };
  const silent = silentUntil(startedAt, leaseMs);
  if (now < silent) return { ok: false, reason: 'restarted', retryInMs: silent - now };
  // An epoch that nobody was promised: what its holder sent before it was bound to leases may still wait in a gateway.
  if (known?.epoch !== record.epoch) return { ok: true, actAfterMs: LEAD_BY_GRANTOR_MS, leaseEnded: true };
  if (now < known.until) return { ok: false, reason: 'leaseRuns', retryInMs: known.until - now };
  return { ok: true, actAfterMs: Math.max(0, known.until + LEAD_BY_GRANTOR_MS - now), leaseEnded: true };
}
