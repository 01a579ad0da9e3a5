import { sha256Hex, utf8 } from '@antirio/kernel';
import type { Beat } from './messages.ts';

/**
 * Tells from an edge's beats whether it may be dead. Times are the receiver's monotonic milliseconds.
 *
 * A beat counts only if it echoes one of the receiver's newest nonces: a recorded beat, or one of an earlier boot, proves
 * nothing. Suspicion begins `missedBeats` intervals after the last beat, and later where arrivals have been irregular.
 */
export interface Detector {
  readonly intervalMs: number;
  readonly missedBeats: number;
  readonly lastHeardAt: number;
  readonly bootId: string;
  readonly sequence: number;
  /** Smoothed deviation of arrivals from the interval (as TCP's RTTVAR, RFC 6298). */
  readonly jitterMs: number;
  readonly nonceSecret: string;
  readonly nonceNumber: number;
  readonly nonceAt: number;
}

const NONCES_FRESH = 3;
const MIN_SLACK_MS = 20;

export function createDetector(
  options: { readonly intervalMs: number; readonly missedBeats: number },
  secret: string,
  now: number,
): Detector {
  return {
    ...options,
    lastHeardAt: now,
    bootId: '',
    sequence: -1,
    jitterMs: 0,
    nonceSecret: secret,
    nonceNumber: 0,
    nonceAt: now,
  };
}

function nonceOf(detector: Detector, number: number): string {
  return sha256Hex(utf8(`${detector.nonceSecret}/${number}`)).slice(0, 16);
}

export function currentNonce(detector: Detector): string {
  return nonceOf(detector, detector.nonceNumber);
}

/** A new nonce every `everyMs`; the last few stay fresh. */
export function rotateNonce(detector: Detector, now: number, everyMs: number): Detector {
  return now - detector.nonceAt < everyMs
    ? detector
    : { ...detector, nonceNumber: detector.nonceNumber + 1, nonceAt: now };
}

export function isFresh(detector: Detector, nonce: string): boolean {
  for (let i = 0; i < NONCES_FRESH; i++)
    if (nonceOf(detector, detector.nonceNumber - i) === nonce) return true;
  return false;
}

/** The detector after a beat; unchanged when the beat is old, replayed or not fresh. */
export function heardBeat(
  detector: Detector,
  beat: Pick<Beat, 'bootId' | 'sequence' | 'echo'>,
  now: number,
): Detector {
  const newer = beat.bootId !== detector.bootId || beat.sequence > detector.sequence;
  if (!newer || !isFresh(detector, beat.echo)) return detector;
  const deviation = Math.abs(now - detector.lastHeardAt - detector.intervalMs);
  const jitterMs =
    detector.sequence < 0
      ? 0
      : detector.jitterMs + (Math.min(deviation, detector.intervalMs) - detector.jitterMs) / 4;
  return { ...detector, lastHeardAt: now, bootId: beat.bootId, sequence: beat.sequence, jitterMs };
}

/** A fresh answer to a probe is as good as a beat. */
export function heardOtherwise(detector: Detector, now: number): Detector {
  return { ...detector, lastHeardAt: now };
}

export function suspicionAt(detector: Detector): number {
  const slack = Math.min(Math.max(MIN_SLACK_MS, 4 * detector.jitterMs), detector.intervalMs * 2);
  return detector.lastHeardAt + detector.missedBeats * detector.intervalMs + slack;
}

export function isSuspect(detector: Detector, now: number): boolean {
  return now >= suspicionAt(detector);
}
