import { Worker } from 'node:worker_threads';
import type { Order, Stretch, StretchResult } from './stretch.ts';

/** So many at a stretch: little is lost where a run is interrupted, and all threads end at about the same time. */
const MOST_AT_A_STRETCH = 25;

/**
 * Runs seeds on several threads. `settle` gets the results in the order of the seeds, whoever was faster, so that all seeds before
 * the last one that it got are done. Ends early, and without an error, where the signal says so.
 * @throws what a thread died of.
 */
export async function runInParts(
  order: Order,
  { from, count }: Stretch,
  workers: number,
  settle: (result: StretchResult) => void,
  signal: AbortSignal,
): Promise<void> {
  const size = Math.min(MOST_AT_A_STRETCH, Math.ceil(count / workers));
  const end = from + count;
  const early = new Map<number, StretchResult>();
  let next = from;
  let settled = from;
  const draw = (): Stretch | undefined => {
    const stretch = { from: next, count: Math.min(size, end - next) };
    next += stretch.count;
    return stretch.count === 0 ? undefined : stretch;
  };
  const take = (result: StretchResult): void => {
    early.set(result.from, result);
    for (let one = early.get(settled); one !== undefined; one = early.get(settled)) {
      early.delete(settled);
      settled += one.count;
      settle(one);
    }
  };
  const failure = new AbortController();
  const stop = AbortSignal.any([signal, failure.signal]);
  const parts = Array.from({ length: Math.min(workers, count) }, () =>
    runPart(order, draw, take, stop).catch((error: unknown) => {
      failure.abort();
      throw error;
    }),
  );
  await Promise.all(parts);
}

/** One thread, until there is nothing to draw any more. */
function runPart(
  order: Order,
  draw: () => Stretch | undefined,
  take: (result: StretchResult) => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('part.ts', import.meta.url), { workerData: order });
    const end = (): void => void worker.terminate();
    const goOn = (): void => {
      const stretch = signal.aborted ? undefined : draw();
      if (stretch === undefined) end();
      else worker.postMessage(stretch);
    };
    worker.on('message', (result: StretchResult) => {
      if (!signal.aborted) take(result);
      goOn();
    });
    worker.on('error', reject);
    worker.on('exit', () => {
      signal.removeEventListener('abort', end);
      resolve();
    });
    signal.addEventListener('abort', end);
    goOn();
  });
}
