import { sha256Hex, utf8 } from '@antirio/kernel';
import type { Beat } from './messages.ts';

/**
 * Tells from an edge's beats whether it may be dead. Times are the receiver's monotonic milliseconds.
 *
 * A beat counts only if it echoes one of the receiver's newest nonces: a recorded beat, or one of an earlier boot, proves
 * nothing. Evidence accrues: one beat before the last that may be missed doubt begins, and is settled by probes; suspicion
 * follows `missedBeats` intervals after the last beat. Both come later where arrivals have been irregular.
 */
export interface Detector extends ProbeNonces {
  readonly intervalMs: number;
  readonly missedBeats: number;
  readonly lastHeardAt: number;
  readonly bootId: string;
  readonly sequence: number;
  /** Smoothed deviation of arrivals from the interval (as TCP's RTTVAR, RFC 6298). */
  readonly jitterMs: number;
  readonly nonceNumber: number;
  /** The newest nonces, the last one first. */
  readonly fresh: readonly string[];
  readonly nonceAt: number;
  /** Number of the newest nonce that a beat has echoed. */
  readonly echoedNumber: number;
  /** How long an answer may well take, at most: from nonces to the beats that first echo them. */
  readonly roundTripMs: number;
}

/** What the nonces of probes are drawn from: each probe has one of its own. */
export interface ProbeNonces {
  /** New with every start, and with every question of the witness. */
  readonly nonceSecret: string;
  /** How many were drawn. */
  readonly probes: number;
}

const NONCES_FRESH = 3;
const MIN_SLACK_MS = 20;
/** Of a round trip that was longer than the last ones, this much is remembered at each new one. */
const ROUND_TRIP_DECAY = 7 / 8;

export function createDetector(
  options: { readonly intervalMs: number; readonly missedBeats: number },
  secret: string,
  now: number,
): Detector {
  return {
    ...options,
    fresh: noncesBefore(secret, 0),
    lastHeardAt: now,
    bootId: '',
    sequence: -1,
    jitterMs: 0,
    nonceSecret: secret,
    nonceNumber: 0,
    nonceAt: now,
    echoedNumber: 0,
    roundTripMs: 0,
    probes: 0,
  };
}

function nonceOf(secret: string, number: number | `probe ${number}`): string {
  return sha256Hex(utf8(`${secret}/${number}`)).slice(0, 16);
}

/** As many as stay fresh, up to this number. */
function noncesBefore(secret: string, number: number): readonly string[] {
  return Array.from({ length: NONCES_FRESH }, (_, i) => nonceOf(secret, number - i));
}

export function currentNonce({ fresh, nonceSecret, nonceNumber }: Detector): string {
  return fresh[0] ?? nonceOf(nonceSecret, nonceNumber);
}

/** A new nonce every `everyMs`; the last few stay fresh. */
export function rotateNonce(detector: Detector, now: number, everyMs: number): Detector {
  if (now - detector.nonceAt < everyMs) return detector;
  const nonceNumber = detector.nonceNumber + 1;
  const fresh = [nonceOf(detector.nonceSecret, nonceNumber), ...detector.fresh].slice(0, NONCES_FRESH);
  return { ...detector, nonceNumber, fresh, nonceAt: now };
}

function freshNumberOf(detector: Detector, nonce: string): number | undefined {
  const age = detector.fresh.indexOf(nonce);
  return age < 0 ? undefined : detector.nonceNumber - age;
}

export function isFresh(detector: Detector, nonce: string): boolean {
  return freshNumberOf(detector, nonce) !== undefined;
}

/** The nonces of so many new probes. */
export function drawProbes<T extends ProbeNonces>(source: T, count: number): readonly [T, readonly string[]] {
  if (count === 0) return [source, []];
  const { nonceSecret, probes } = source;
  const nonces = Array.from({ length: count }, (_, i) => nonceOf(nonceSecret, `probe ${probes + i}`));
  return [{ ...source, probes: probes + count }, nonces];
}

/** Whether this answers one of the newest `among` probes. */
export function answersProbe({ nonceSecret, probes }: ProbeNonces, nonce: string, among: number): boolean {
  for (let i = 1; i <= Math.min(among, probes); i++)
    if (nonceOf(nonceSecret, `probe ${probes - i}`) === nonce) return true;
  return false;
}

/** The detector after a beat; unchanged when the beat is old, replayed or not fresh. */
export function heardBeat(
  detector: Detector,
  beat: Pick<Beat, 'bootId' | 'sequence' | 'echo'>,
  now: number,
): Detector {
  const newer = beat.bootId !== detector.bootId || beat.sequence > detector.sequence;
  const echoed = newer ? freshNumberOf(detector, beat.echo) : undefined;
  if (echoed === undefined) return detector;
  const deviation = Math.abs(now - detector.lastHeardAt - detector.intervalMs);
  const jitterMs =
    detector.sequence < 0
      ? 0
      : detector.jitterMs + (Math.min(deviation, detector.intervalMs) - detector.jitterMs) / 4;
  const { bootId, sequence } = beat;
  return { ...timed(detector, echoed, now), lastHeardAt: now, bootId, sequence, jitterMs };
}

/** The first echo of the newest nonce tells of the round trip: it took that, and the wait for the next beat. */
function timed(detector: Detector, echoed: number, now: number): Detector {
  if (echoed <= detector.echoedNumber) return detector;
  if (echoed !== detector.nonceNumber) return { ...detector, echoedNumber: echoed };
  const tookMs = Math.max(0, now - detector.nonceAt - detector.intervalMs);
  const roundTripMs = Math.max(tookMs, detector.roundTripMs * ROUND_TRIP_DECAY);
  return { ...detector, echoedNumber: echoed, roundTripMs };
}

/** A fresh answer to a probe is as good as a beat. */
export function heardOtherwise(detector: Detector, now: number): Detector {
  return { ...detector, lastHeardAt: now };
}

function silentSince(detector: Detector, missed: number): number {
  const slack = Math.min(Math.max(MIN_SLACK_MS, 4 * detector.jitterMs), detector.intervalMs * 2);
  return detector.lastHeardAt + missed * detector.intervalMs + slack;
}

/** From when on probes are worth their while. */
export function isDoubtful(detector: Detector, now: number): boolean {
  return now >= silentSince(detector, Math.max(1, detector.missedBeats - 1));
}

export function suspicionAt(detector: Detector): number {
  return silentSince(detector, detector.missedBeats);
}

export function isSuspect(detector: Detector, now: number): boolean {
  return now >= suspicionAt(detector);
}
