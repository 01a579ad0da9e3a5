import { setImmediate as nextTurn } from 'node:timers/promises';
import { describeError } from '@antirio/kernel';
import { createThrottle, sleep, type BusHandler, type Log } from '@antirio/host';
import {
  createManyRunner,
  currentWaiter,
  runHandler,
  wouldWaitForItself,
  type Runner,
  type Waiter,
} from './handling.ts';

/** What one subscription has still to handle: begun in order, bounded. Nothing is dropped: who offers waits. */
export interface Inbox {
  readonly failed: number;
  offer(topic: string, payload: Uint8Array, wait: OfferWait): Promise<Offered>;
  /**
   * Takes no more. Runs what waits already where that is `required`, for a bounded time, and tells of what it forgets; resolves when no
   * handler runs any more (at once when called from the handler itself).
   */
  close(): Promise<void>;
}

export interface OfferWait {
  /** Until there was room for it in the queue, or until its handler is through. */
  readonly until: 'accepted' | 'handled';
  /** The run of a handler in which it is offered. */
  readonly waiter?: Waiter;
}

/** `refused`: waited for, and its handler failed or never ran. */
export type Offered = 'taken' | 'refused';

export interface InboxOptions {
  readonly filter: string;
  readonly handler: BusHandler;
  readonly log: Log;
  /** Handlers under way at once (default 1). */
  readonly concurrency?: number | undefined;
  /** Messages that wait for their handler. */
  readonly maxMessages?: number | undefined;
  /** Bytes of messages that wait or are handled. */
  readonly maxBytes?: number | undefined;
  /** What was taken is handled before the end. */
  readonly required?: boolean | undefined;
  /** For how long, at most (default 5 s). */
  readonly drainMs?: number | undefined;
}

interface Entry {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly waiter: Waiter;
  accept?: () => void;
  finish?: (how: Offered) => void;
}

const TAKEN = Promise.resolve<Offered>('taken');
const REFUSED = Promise.resolve<Offered>('refused');
/** Handlers without input or output of their own would otherwise keep sockets and timers waiting. */
const RUNS_PER_TURN = 64;
const REPORT_EVERY_MS = 1000;
const DRAIN_MS = 5000;

export function createInbox(options: InboxOptions): Inbox {
  const { filter, handler, log, concurrency = 1, maxMessages = 1024, maxBytes = 8 << 20 } = options;
  const { required = false, drainMs = DRAIN_MS } = options;
  const queue: Entry[] = [];
  const outside: Entry[] = [];
  const running = new Set<Entry>();
  const report = createThrottle(REPORT_EVERY_MS);
  const self = {};
  const runOne: Runner =
    concurrency > 1 ? createManyRunner(self) : (waiter, run) => runHandler(self, waiter, run);
  let bytes = 0;
  let failed = 0;
  let closed = false;
  let working = false;
  let place: PromiseWithResolvers<undefined> | undefined;
  let idle: PromiseWithResolvers<undefined> | undefined;

  const take = (entry: Entry): void => {
    queue.push(entry);
    bytes += entry.payload.length;
    entry.accept?.();
  };
  const hasRoom = (): boolean => queue.length < maxMessages && (bytes < maxBytes || queue.length === 0);
  const letIn = (): void => {
    while (outside.length > 0 && hasRoom()) {
      const entry = outside.shift();
      if (entry !== undefined) take(entry);
    }
  };
  const end = (entry: Entry, how: Offered): void => {
    bytes -= entry.payload.length;
    running.delete(entry);
    entry.finish?.(how);
    place?.resolve(undefined);
    if (running.size === 0) {
      idle?.resolve(undefined);
      idle = undefined;
    }
    letIn();
  };
  const fail = (entry: Entry, error: unknown): void => {
    failed += 1;
    const { topic } = entry;
    report((others) =>
      log.warn({ filter, topic, error: describeError(error), others }, 'a message was not handled'),
    );
    end(entry, 'refused');
  };
  const begin = (entry: Entry): void => {
    running.add(entry);
    try {
      const done = runOne(entry.waiter, () => handler(entry.topic, entry.payload));
      Promise.resolve(done).then(
        () => end(entry, 'taken'),
        (error: unknown) => fail(entry, error),
      );
    } catch (error) {
      fail(entry, error);
    }
  };
  const work = async (): Promise<void> => {
    if (working) return;
    working = true;
    for (let runs = 1; ; runs++) {
      while (running.size >= concurrency) {
        place = Promise.withResolvers();
        await place.promise;
      }
      const entry = queue.shift();
      if (entry === undefined) break;
      letIn();
      begin(entry);
      if (runs % RUNS_PER_TURN === 0) await nextTurn();
    }
    working = false;
  };
  /** The promise that whoever offers waits for; set up before the entry may be handled. */
  const waitingFor = (entry: Entry, until: OfferWait['until'], roomNow: boolean): Promise<Offered> => {
    if (until === 'accepted' && roomNow) return TAKEN;
    const { promise, resolve } = Promise.withResolvers<Offered>();
    if (until === 'handled') entry.finish = resolve;
    else entry.accept = () => resolve('taken');
    return promise;
  };
  const untilIdle = (): Promise<undefined> => (idle ??= Promise.withResolvers()).promise;
  const drained = async (): Promise<void> => {
    const late = new AbortController();
    const end = sleep(drainMs, late.signal).then(() => late.abort());
    while (!late.signal.aborted && queue.length + outside.length + running.size > 0)
      await Promise.race([untilIdle(), end]);
    late.abort();
  };
  const forget = (): void => {
    const entries = [...queue.splice(0), ...outside.splice(0)];
    // Of the others their publishers are told.
    const lost = entries.filter(({ finish }) => finish === undefined).length;
    if (lost > 0) log.warn({ filter, lost }, 'messages were not handled before the end');
    for (const entry of entries) {
      bytes -= entry.payload.length;
      entry.accept?.();
      entry.finish?.('refused');
    }
  };
  return {
    get failed() {
      return failed;
    },
    offer(topic, payload, { until, waiter }) {
      if (closed) return REFUSED;
      const circular = wouldWaitForItself(waiter, self);
      const entry: Entry = { topic, payload, waiter: circular ? undefined : waiter };
      const roomNow = hasRoom() && outside.length === 0;
      const offered = circular ? TAKEN : waitingFor(entry, until, roomNow);
      if (roomNow) take(entry);
      else outside.push(entry);
      void work();
      return offered;
    },
    async close() {
      closed = true;
      const own = wouldWaitForItself(currentWaiter(), self);
      if (required && !own) await drained();
      forget();
      if (running.size > 0 && !own) await untilIdle();
    },
  };
}
