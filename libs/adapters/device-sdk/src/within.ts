import { sleep } from '@antirio/host';

/** What the work gives; undefined, and the work goes on by itself, where the time is over before. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  const waited = new AbortController();
  try {
    return await Promise.race([work, sleep(ms, waited.signal).then(() => undefined)]);
  } finally {
    waited.abort();
  }
}

/** Fails as soon as the signal is aborted; the work goes on by itself then. */
export function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(signal.reason as Error);
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    const over = (): void => signal.removeEventListener('abort', giveUp);
    work.then(resolve, reject).finally(over).catch(over);
  });
}
