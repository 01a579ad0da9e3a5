import type { Log } from './log.ts';
import { describeError } from '@antirio/kernel';

/** A piece of work done again and again, never twice at once. */
export interface Repeating {
  /** Runs it as soon as the current run is over, without waiting for the interval. */
  poke(): void;
  /** No new run begins; resolves when the current one is over. */
  stop(): Promise<void>;
}

/** A failing run is logged (once until it succeeds again) and tried at the next interval. */
export function repeat(
  name: string,
  intervalMs: number,
  log: Log,
  work: () => void | Promise<void>,
): Repeating {
  let stopped = false;
  let poked = false;
  let failing = '';
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;

  const run = async (): Promise<void> => {
    poked = false;
    try {
      await work();
      if (failing !== '') log.info({ work: name }, 'recovered');
      failing = '';
    } catch (error) {
      const text = describeError(error);
      if (failing !== text) log.warn({ work: name, error: text }, 'failed, will try again');
      failing = text;
    }
  };
  const next = (): void => {
    running = undefined;
    if (!stopped) timer = setTimeout(start, poked ? 0 : intervalMs);
  };
  const start = (): void => {
    timer = undefined;
    running = run().then(next);
  };
  start();
  return {
    poke() {
      poked = true;
      if (timer === undefined || stopped) return;
      clearTimeout(timer);
      start();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
