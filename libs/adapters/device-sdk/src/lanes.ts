import { AntirioError } from '@antirio/kernel';

/** A bounded number of sendings at once; who comes then waits, and beyond that is refused. */
export interface Lanes {
  /** @throws AntirioError busy where too many wait already; else as the work does */
  run<T>(work: () => Promise<T>): Promise<T>;
  readonly counts: { readonly waited: number; readonly refused: number; readonly underWay: number };
}

export function createLanes(atOnce: number, maxWaiting: number): Lanes {
  const waiting: (() => void)[] = [];
  const counts = { waited: 0, refused: 0, underWay: 0 };
  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) counts.underWay -= 1;
    else next();
  };
  const enter = async (): Promise<void> => {
    if (counts.underWay < atOnce) {
      counts.underWay += 1;
      return;
    }
    if (waiting.length >= maxWaiting) {
      counts.refused += 1;
      throw new AntirioError('busy', `${waiting.length} values wait to be sent`);
    }
    counts.waited += 1;
    await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return {
    counts,
    async run(work) {
      await enter();
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}
