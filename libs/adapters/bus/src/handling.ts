import { AsyncLocalStorage } from 'node:async_hooks';

/** One run of a subscription's handler, and the run that waits for it. */
interface Handling {
  readonly subscription: object;
  waitedForBy: Handling | undefined;
  over: boolean;
}

const running = new AsyncLocalStorage<Handling>();

/** The run in which the caller's code stands, if any. */
export type Waiter = Handling | undefined;

export function currentWaiter(): Waiter {
  return running.getStore();
}

/**
 * Whether a handler of this subscription would wait for itself if the waiter waited for one more of its messages: handlers run one
 * at a time, so that a cycle (A publishes to B, whose handler publishes to A) would never end.
 */
export function wouldWaitForItself(waiter: Waiter, subscription: object): boolean {
  for (let run = waiter; run !== undefined && !run.over; run = run.waitedForBy)
    if (run.subscription === subscription) return true;
  return false;
}

/** Runs a handler so that what it publishes and closes is known to come from it. */
export async function runHandler(
  subscription: object,
  waiter: Waiter,
  handler: () => void | Promise<void>,
): Promise<void> {
  const run: Handling = { subscription, waitedForBy: waiter, over: false };
  try {
    await running.run(run, handler);
  } finally {
    // Timers that the handler began keep its context: they are no longer part of it.
    run.over = true;
    run.waitedForBy = undefined;
  }
}

/** Runs a handler as `runHandler` does. */
export type Runner = (waiter: Waiter, handler: () => void | Promise<void>) => void | Promise<void>;

/**
 * For a subscription that runs many handlers at once: those that nobody waits for are one run that is never over, which costs next to
 * nothing for each message.
 */
export function createManyRunner(subscription: object): Runner {
  const shared: Handling = { subscription, waitedForBy: undefined, over: false };
  const inShared = running.run(shared, () => AsyncLocalStorage.snapshot());
  return (waiter, handler) =>
    waiter === undefined ? inShared(handler) : runHandler(subscription, waiter, handler);
}
