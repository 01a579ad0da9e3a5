/** What goes on in a room for each of its contracts, one thing for each, until the contract is left or the room stops. */
export interface PerContract<T> {
  /** By contract; what is being left is not in it any more. */
  readonly all: ReadonlyMap<string, T>;
  /** Undefined where something goes on for the contract already, and once the room was told to stop: nothing is started then. */
  begin(contractId: string, start: () => T): T | undefined;
  /** Resolves when it is over; rejects as `end` does, which ends it otherwise than by stopping it. */
  leave(contractId: string, end?: (one: T) => Promise<unknown>): Promise<void>;
  /** Resolves when all is over, also what is being left. */
  stop(): Promise<void>;
}

export function createPerContract<T extends { stop(): Promise<unknown> }>(): PerContract<T> {
  const all = new Map<string, T>();
  const leaving = new Set<Promise<unknown>>();
  let isStopped = false;
  return {
    all,
    begin(contractId, start) {
      if (isStopped || all.has(contractId)) return undefined;
      const one = start();
      all.set(contractId, one);
      return one;
    },
    async leave(contractId, end = (one) => one.stop()) {
      const one = all.get(contractId);
      if (one === undefined) return;
      all.delete(contractId);
      const ending = end(one);
      // whoever leaves it hears of a failure, and nobody else
      const over: Promise<unknown> = ending.catch(() => undefined).then(() => leaving.delete(over));
      leaving.add(over);
      await ending;
    },
    async stop() {
      isStopped = true;
      await Promise.all([...all.values()].map((one) => one.stop()));
      all.clear();
      await Promise.all(leaving);
    },
  };
}
