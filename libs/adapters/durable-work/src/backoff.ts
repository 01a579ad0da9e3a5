import type { Random } from '@antirio/kernel';

export interface BackoffOptions {
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
}

/** Milliseconds to wait before the attempt after `attempts` failed ones: doubled each time, bounded, jittered by half. */
export type Backoff = (attempts: number) => number;

/** Jitter keeps those who failed together from coming again together. */
export function createBackoff(options: BackoffOptions, random: Random): Backoff {
  return (attempts) => {
    const delay = Math.min(options.firstDelayMs * 2 ** Math.min(attempts - 1, 30), options.maxDelayMs);
    const [low = 0, high = 0] = random.bytes(2);
    return delay * (0.5 + (low + high * 256) / 65_536);
  };
}

/** Between three and five quarters of some milliseconds, whole: what is done now and then is not done by all at one moment. */
export function jittered(ms: number, random: Random): number {
  const [byte = 0] = random.bytes(1);
  return Math.round(ms * (0.75 + byte / 512));
}
