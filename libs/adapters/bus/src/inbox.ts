import { setImmediate as nextTurn } from 'node:timers/promises';
import { describeError } from '@antirio/kernel';
import type { BusHandler, Log } from '@antirio/host';
import { currentWaiter, runHandler, wouldWaitForItself, type Waiter } from './handling.ts';

/** What one subscription has still to handle: in order, one at a time, bounded. Nothing is dropped: who offers waits. */
export interface Inbox {
  readonly failed: number;
  offer(topic: string, payload: Uint8Array, waiter?: Waiter): Offered;
  /** Forgets what waits; resolves when no handler runs any more (at once when called from the handler itself). */
  close(): Promise<void>;
}

export interface Offered {
  /** There was room for it in the queue. */
  readonly accepted: Promise<void>;
  /** Its handler is through, whatever came of it. */
  readonly handled: Promise<void>;
}

export interface InboxOptions {
  readonly filter: string;
  readonly handler: BusHandler;
  readonly log: Log;
  readonly maxMessages?: number;
  readonly maxBytes?: number;
}

interface Entry {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly waiter: Waiter;
  readonly accept: () => void;
  readonly finish: () => void;
}

const DONE = Promise.resolve();
/** Handlers without input or output of their own would otherwise keep sockets and timers waiting. */
const RUNS_PER_TURN = 64;

export function createInbox(options: InboxOptions): Inbox {
  const { filter, handler, log, maxMessages = 1024, maxBytes = 8 << 20 } = options;
  const queue: Entry[] = [];
  const outside: Entry[] = [];
  const self = {};
  let bytes = 0;
  let failed = 0;
  let closed = false;
  let working: Promise<void> | undefined;

  const take = (entry: Entry): void => {
    queue.push(entry);
    bytes += entry.payload.length;
    entry.accept();
  };
  const hasRoom = (): boolean => queue.length < maxMessages && (bytes < maxBytes || queue.length === 0);
  const letIn = (): void => {
    while (outside.length > 0 && hasRoom()) {
      const entry = outside.shift();
      if (entry !== undefined) take(entry);
    }
  };
  const handle = async (entry: Entry): Promise<void> => {
    try {
      await runHandler(self, entry.waiter, () => handler(entry.topic, entry.payload));
    } catch (error) {
      failed += 1;
      log.warn({ filter, topic: entry.topic, error: describeError(error) }, 'a message was not handled');
    }
    entry.finish();
  };
  const work = async (): Promise<void> => {
    for (let runs = 1; ; runs++) {
      const entry = queue.shift();
      if (entry === undefined) break;
      bytes -= entry.payload.length;
      letIn();
      await handle(entry);
      if (runs % RUNS_PER_TURN === 0) await nextTurn();
    }
    working = undefined;
  };
  return {
    get failed() {
      return failed;
    },
    offer(topic, payload, waiter) {
      if (closed) return { accepted: DONE, handled: DONE };
      const accepted = Promise.withResolvers<undefined>();
      const handled = Promise.withResolvers<undefined>();
      const accept = (): void => accepted.resolve(undefined);
      const finish = (): void => handled.resolve(undefined);
      const circular = wouldWaitForItself(waiter, self);
      const entry: Entry = { topic, payload, waiter: circular ? undefined : waiter, accept, finish };
      if (hasRoom() && outside.length === 0) take(entry);
      else outside.push(entry);
      working ??= work();
      return circular
        ? { accepted: DONE, handled: DONE }
        : { accepted: accepted.promise, handled: handled.promise };
    },
    async close() {
      closed = true;
      for (const entry of [...queue.splice(0), ...outside.splice(0)]) {
        entry.accept();
        entry.finish();
      }
      bytes = 0;
      if (!wouldWaitForItself(currentWaiter(), self)) await working;
    },
  };
}
