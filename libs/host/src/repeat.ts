import type { Log } from './log.ts';
import { describeError } from '@antirio/kernel';

/** A piece of work done again and again, never twice at once. */
export interface Repeating {
  /** Runs it as soon as the current run is over, without waiting for the interval. */
  poke(): void;
  /** No new run begins; resolves when the current one is over. */
  stop(): Promise<void>;
}

/** How a run went. One that `rested` had nothing to do yet: whether what failed before would fail again it does not know. */
export type Ran = 'worked' | 'rested';

/** A failing run is logged (once until one has worked again) and tried at the next interval. */
export function repeat(
  name: string,
  intervalMs: number,
  log: Log,
  work: (() => void | Promise<void>) | (() => Promise<Ran>),
): Repeating {
  let stopped = false;
  let poked = false;
  let failing = '';
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;

  const run = async (): Promise<void> => {
    poked = false;
    try {
      if ((await work()) === 'rested') return;
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
