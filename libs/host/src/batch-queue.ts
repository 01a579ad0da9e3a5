import { AntirioError } from '@antirio/kernel';

export interface BatchLimits {
  /** Pieces of work that may wait before further ones are refused (default 20 000). */
  readonly maxPending?: number;
  /** The sum of the bytes they were said to have (default 64 MiB). */
  readonly maxPendingBytes?: number;
  /** Pieces of work done together at most (default 1000). */
  readonly maxBatch?: number;
}

export interface RunOptions {
  /** The caller bounds by itself how much it hands over: never refused because too much waits. */
  readonly bounded?: boolean;
}

export interface BatchEntry<T> {
  readonly bytes: number;
  readonly item: T;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Pieces of work for a store that are done some at a time, in the order in which they came; how many wait is bounded. */
export class BatchQueue<T> {
  readonly #limits: BatchLimits;
  readonly #commit: (batch: readonly BatchEntry<T>[]) => Promise<() => void>;
  #queue: BatchEntry<T>[] = [];
  #pending = 0;
  #pendingBytes = 0;
  #refused = 0;
  #closed = false;
  #working: Promise<void> | undefined;

  /** @param commit never rejects; returns how to tell the owners. */
  constructor(limits: BatchLimits, commit: (batch: readonly BatchEntry<T>[]) => Promise<() => void>) {
    this.#limits = limits;
    this.#commit = commit;
  }

  get pending(): number {
    return this.#pending;
  }

  /** What was refused because too much waited. */
  get refused(): number {
    return this.#refused;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** @throws AntirioError unavailable when too much waits already, or it is closed. */
  add<R>(bytes: number, item: T, { bounded = false }: RunOptions = {}): Promise<R> {
    if (this.#closed) return Promise.reject(new AntirioError('unavailable', 'the store is closed'));
    const { maxPending = 20_000, maxPendingBytes = 64 << 20 } = this.#limits;
    const isFull = this.#pending >= maxPending || this.#pendingBytes + bytes > maxPendingBytes;
    if (isFull && !bounded) {
      this.#refused += 1;
      const details = { pending: this.#pending };
      return Promise.reject(new AntirioError('unavailable', 'the store does not keep up', details));
    }
    this.#pending += 1;
    this.#pendingBytes += bytes;
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    this.#queue.push({ bytes, item, resolve: resolve as BatchEntry<T>['resolve'], reject });
    this.#working ??= this.#work();
    return promise;
  }

  /** Waits for what is under way; refuses what comes later. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#working;
  }

  async #work(): Promise<void> {
    // Requests that were read in the same turn of the event loop share the first batch.
    await new Promise((resolve) => setImmediate(resolve));
    const { maxBatch = 1000 } = this.#limits;
    while (this.#queue.length > 0) {
      const batch = this.#queue.slice(0, maxBatch);
      this.#queue = this.#queue.slice(maxBatch);
      const settle = await this.#commit(batch);
      // Before its owner hears of it: who waited for its turn finds room.
      for (const entry of batch) this.#pendingBytes -= entry.bytes;
      this.#pending -= batch.length;
      settle();
    }
    this.#working = undefined;
  }
}
