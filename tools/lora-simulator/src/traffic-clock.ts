/** The time in which traffic is planned: it stands still while paused, and slips rather than catching up in a burst. */
export interface TrafficClock {
  readonly isRunning: boolean;
  /** Traffic time in ms, 0 until the first start. */
  now(): number;
  start(): void;
  pause(): void;
  /** Called before an event planned for `at` happens: if it is late, all that follow become late with it. */
  slipTo(at: number): void;
}

// An interval is at least 25 ms longer than the second it must last: see SHORTEST_INTERVAL_MS.
const LARGEST_LAG_MS = 25;

/** A stopped traffic clock over a monotonic one. */
export function createTrafficClock(monoMs: () => number): TrafficClock {
  let origin: number | undefined;
  let stoodAt = 0;
  const now = (): number => (origin === undefined ? stoodAt : monoMs() - origin);
  return {
    get isRunning() {
      return origin !== undefined;
    },
    now,
    start() {
      origin ??= monoMs() - stoodAt;
    },
    pause() {
      stoodAt = now();
      origin = undefined;
    },
    slipTo(at) {
      const lag = now() - at - LARGEST_LAG_MS;
      if (origin !== undefined && lag > 0) origin += lag;
    },
  };
}
