import { createWork, type Work } from '@antirio/durable-work';
import type { Log } from '@antirio/host';
import type { Clock, Random } from '@antirio/kernel';
import type { OrchestratorOptions } from '../options.ts';

/** Records that are worked on until nothing is left to do, in the background and again after a restart. */
export interface Flow {
  /** Something about this record changed: its next step is due now. */
  hurry(key: string): void;
  start(): void;
  stop(): Promise<void>;
}

export interface FlowOptions {
  readonly name: string;
  readonly unfinished: () => readonly string[];
  /** Resolves with whether the next step is due at once; otherwise it is after `followIntervalMs`. */
  readonly advance: (key: string) => Promise<boolean>;
  readonly failed: (key: string, error: unknown, final: boolean) => void;
  readonly options: Pick<OrchestratorOptions, 'followIntervalMs' | 'maxAttempts'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const AT_ONCE = 8;

export function createFlow(flow: FlowOptions): Flow {
  const { clock, options, name, random, log } = flow;
  const dueAt = new Map<string, number>();
  const hurried = new Set<string>();
  const isDue = (key: string): boolean => (dueAt.get(key) ?? 0) <= clock.monotonic();
  const run = async (key: string): Promise<void> => {
    // Whoever hurries while it runs means the step after this one
    dueAt.delete(key);
    let again: boolean;
    try {
      again = await flow.advance(key);
    } catch (error) {
      flow.failed(key, error, false);
      throw error;
    }
    if (!again && !hurried.delete(key)) dueAt.set(key, clock.monotonic() + options.followIntervalMs);
  };
  const work: Work = createWork({
    name,
    unfinished: () => {
      const keys = flow.unfinished();
      for (const key of dueAt.keys()) if (!keys.includes(key)) dueAt.delete(key);
      return keys.filter(isDue);
    },
    run,
    failed: (key, error) => flow.failed(key, error, true),
    attempts: options.maxAttempts,
    atOnce: AT_ONCE,
    firstDelayMs: options.followIntervalMs,
    maxDelayMs: 30_000,
    clock,
    random,
    log,
  });
  return {
    hurry(key) {
      hurried.add(key);
      dueAt.delete(key);
      work.hurry(key);
    },
    start: () => work.start(),
    stop: () => work.stop(),
  };
}
