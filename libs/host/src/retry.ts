import type { Clock } from '@antirio/kernel';

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    if (signal?.aborted === true) done();
    else signal?.addEventListener('abort', done);
  });
}

export interface RetryOptions {
  readonly attempts: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  readonly signal?: AbortSignal;
  /** Whether this failure may pass by itself; by default every one. */
  readonly retryable?: (error: unknown) => boolean;
}

/** Tries again with doubled, jittered delays; throws the last failure. */
export async function retry<T>(options: RetryOptions, work: (attempt: number) => Promise<T>): Promise<T> {
  let delay = options.firstDelayMs;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt);
    } catch (error) {
      const again =
        attempt < options.attempts &&
        options.signal?.aborted !== true &&
        (options.retryable?.(error) ?? true);
      if (!again) throw error;
      await sleep(delay * (0.5 + Math.random()), options.signal);
      delay = Math.min(delay * 2, options.maxDelayMs);
    }
  }
}

/** Waits until the condition gives a value; undefined when the time is over. */
export async function waitFor<T>(
  clock: Clock,
  timeoutMs: number,
  condition: () => T | undefined | Promise<T | undefined>,
  intervalMs = 20,
): Promise<T | undefined> {
  const end = clock.monotonic() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (clock.monotonic() >= end) return undefined;
    await sleep(intervalMs);
  }
}
