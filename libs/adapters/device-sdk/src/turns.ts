import { describeError } from '@antirio/kernel';
import type { Log } from '@antirio/host';

/** Work that is done one piece after the other, in order. */
export interface Turns {
  /** False where too many wait: the piece is not done. */
  add(what: string, work: () => Promise<void>): boolean;
  /** The same for one who waits for it; fails as the work does. */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** When all that was added is done. */
  idle(): Promise<void>;
}

/** `onFailure` runs where a piece failed. */
export function createTurns(maxWaiting: number, log: Log, onFailure: () => void): Turns {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  const run = <T>(work: () => Promise<T>): Promise<T> => {
    waiting += 1;
    const mine = last.then(work).finally(() => (waiting -= 1));
    last = mine.catch(() => undefined);
    return mine;
  };
  return {
    run,
    add(what, work) {
      if (waiting >= maxWaiting) return false;
      run(work).catch((error: unknown) => {
        log.warn({ what, error: describeError(error) }, 'a change could not be followed');
        onFailure();
      });
      return true;
    },
    async idle() {
      await last;
    },
  };
}
