import { repeat, type Log, type Repeating } from '@antirio/host';
import { AntirioError, describeError, type Clock, type ErrorCode, type Random } from '@antirio/kernel';
import { createBackoff, type Backoff, type BackoffOptions } from './backoff.ts';

/**
 * What is unfinished is in the room's database; this only runs it. So nothing is lost with the process: after a start
 * everything that is unfinished is due.
 */
export interface WorkOptions extends BackoffOptions {
  readonly name: string;
  /** Keys of the unfinished pieces, the most urgent first. */
  readonly unfinished: () => readonly string[];
  /** One attempt at a piece. Resolves when it has got on or is finished; what is still unfinished then is run again. */
  readonly run: (key: string, signal: AbortSignal) => Promise<void>;
  /** Told once when a piece has failed for a reason that cannot pass, or too often; it takes it out of the unfinished. */
  readonly failed: (key: string, error: unknown) => void | Promise<void>;
  /** Failures in a row, since the start, that may pass. */
  readonly attempts: number;
  readonly atOnce: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface Work {
  /** Looks for unfinished pieces now. */
  poke(): void;
  /** Tries a piece now that waits for its next attempt. */
  hurry(key: string): void;
  /** Tells what runs for a piece to stop, for nobody wants it any more: however it ends, it has not failed. */
  cancel(key: string): void;
  start(): void;
  /** Tells what runs to stop, and waits for it. */
  stop(): Promise<void>;
}

const LOOK_MS = 250;
/** Failures that another attempt may not meet again. */
const PASSING: ReadonlySet<ErrorCode> = new Set(['unavailable', 'timeout', 'busy', 'notFound', 'internal']);

export function isPassing(error: unknown): boolean {
  return !(error instanceof AntirioError) || PASSING.has(error.code);
}

export function createWork(options: WorkOptions): Work {
  return new RunningWork(options);
}

class RunningWork implements Work {
  readonly #options: WorkOptions;
  readonly #backoff: Backoff;
  readonly #running = new Map<string, { readonly stop: AbortController; readonly ended: Promise<void> }>();
  readonly #failures = new Map<string, { count: number; due: number }>();
  #looking: Repeating | undefined;

  constructor(options: WorkOptions) {
    this.#options = options;
    this.#backoff = createBackoff(options, options.random);
  }

  poke(): void {
    this.#looking?.poke();
  }

  hurry(key: string): void {
    this.#failures.delete(key);
    this.poke();
  }

  cancel(key: string): void {
    this.#running.get(key)?.stop.abort();
  }

  start(): void {
    if (this.#looking !== undefined) return;
    this.#looking = repeat(this.#options.name, LOOK_MS, this.#options.log, () => this.#look());
  }

  async stop(): Promise<void> {
    const looked = this.#looking?.stop();
    this.#looking = undefined;
    const running = [...this.#running.values()];
    for (const { stop } of running) stop.abort();
    await Promise.all([looked, ...running.map(({ ended }) => ended)]);
  }

  #look(): void {
    const now = this.#options.clock.monotonic();
    for (const key of this.#options.unfinished()) {
      if (this.#running.size >= this.#options.atOnce) return;
      if (this.#running.has(key) || (this.#failures.get(key)?.due ?? 0) > now) continue;
      const stop = new AbortController();
      const ended = this.#attempt(key, stop.signal).finally(() => {
        this.#running.delete(key);
        this.poke();
      });
      this.#running.set(key, { stop, ended });
    }
  }

  async #attempt(key: string, signal: AbortSignal): Promise<void> {
    const { run, log, name } = this.#options;
    try {
      await run(key, signal);
      this.#failures.delete(key);
    } catch (error) {
      // What was told to stop has not failed: what is still unfinished then is run again.
      if (signal.aborted) return;
      const count = (this.#failures.get(key)?.count ?? 0) + 1;
      const again = isPassing(error) && count < this.#options.attempts;
      log.warn({ work: name, key, attempt: count, again, error: describeError(error) }, 'failed');
      if (again)
        this.#failures.set(key, { count, due: this.#options.clock.monotonic() + this.#backoff(count) });
      else await this.#giveUp(key, error);
    }
  }

  async #giveUp(key: string, error: unknown): Promise<void> {
    this.#failures.delete(key);
    try {
      await this.#options.failed(key, error);
    } catch (second) {
      this.#options.log.error(
        { work: this.#options.name, key, error: describeError(second) },
        'cannot give up',
      );
      this.#failures.set(key, { count: 1, due: this.#options.clock.monotonic() + this.#backoff(1) });
    }
  }
}
