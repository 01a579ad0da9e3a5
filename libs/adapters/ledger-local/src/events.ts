import { AntirioError, describeError } from '@antirio/kernel';
import { sleep, type Log } from '@antirio/host';
import type { LedgerEvent } from '@antirio/ledger-machine';

const RETRY_MS = 1000;

/** The newest events, and those who wait for more. */
export class EventFeed {
  readonly #kept: number;
  readonly #log: Log;
  #events: LedgerEvent[] = [];
  #forgotten = '';
  #waiting: (() => void)[] = [];

  constructor(kept: number, log: Log) {
    this.#kept = kept;
    this.#log = log;
  }

  add(events: readonly LedgerEvent[]): void {
    this.#events.push(...events);
    if (this.#events.length > this.#kept * 2) {
      const gone = this.#events.length - this.#kept;
      this.#forgotten = this.#events[gone - 1]?.cursor ?? this.#forgotten;
      this.#events = this.#events.slice(gone);
    }
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #indexAfter(from: string): number {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.cursor ?? '') <= from) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Events behind the cursor, or from the oldest that is kept.
   * @throws AntirioError gone when events behind the cursor are forgotten.
   */
  after(from: string | undefined, limit: number): LedgerEvent[] {
    if (from === undefined) return this.#events.slice(0, limit);
    if (from < this.#forgotten)
      throw new AntirioError('gone', `events behind ${from} are no longer kept`, { from });
    const start = this.#indexAfter(from);
    return this.#events.slice(start, start + limit);
  }

  /** Resolves when there are new events, or the signal is given. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        this.#waiting = this.#waiting.filter((other) => other !== wake);
        resolve();
      };
      this.#waiting.push(wake);
      signal.addEventListener('abort', wake);
    });
  }

  /** Calls for each event, one after the other; one that fails is tried again until it does not. */
  follow(from: string | undefined, fn: (event: LedgerEvent) => void | Promise<void>): { close(): void } {
    const stopped = new AbortController();
    let cursor = from;
    this.after(cursor, 1);
    const run = async (): Promise<void> => {
      while (!stopped.signal.aborted) {
        const [event] = this.after(cursor, 1);
        if (event === undefined) await this.next(stopped.signal);
        else if (await this.#deliver(event, fn)) cursor = event.cursor;
        else await sleep(RETRY_MS, stopped.signal);
      }
    };
    run().catch((error: unknown) =>
      this.#log.error({ error: describeError(error), cursor }, 'a follower of the ledger is lost'),
    );
    return { close: () => stopped.abort() };
  }

  async #deliver(event: LedgerEvent, fn: (event: LedgerEvent) => void | Promise<void>): Promise<boolean> {
    try {
      await fn(event);
      return true;
    } catch (error) {
      this.#log.warn(
        { error: describeError(error), cursor: event.cursor },
        'an event could not be handled, will try again',
      );
      return false;
    }
  }
}
