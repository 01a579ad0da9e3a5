/** The simulated time and what is to happen in it. Times are true milliseconds, which no node of the world sees. */
export interface Engine {
  readonly now: number;
  /** How many events have happened. */
  readonly events: number;
  at(time: number, run: () => void): void;
  after(delayMs: number, run: () => void): void;
  /** Lets everything happen until then, or until `stop` says so. */
  runUntil(time: number, stop: () => boolean): void;
}

/** A binary heap in parallel arrays; what is due at the same moment happens in the order in which it was asked for. */
export function createEngine(): Engine {
  const times: number[] = [];
  const orders: number[] = [];
  const runs: (() => void)[] = [];
  let now = 0;
  let order = 0;
  let events = 0;

  const isBefore = (i: number, time: number, ordinal: number): boolean => {
    const other = times[i] ?? Infinity;
    return other < time || (other === time && (orders[i] ?? 0) < ordinal);
  };
  const put = (i: number, time: number, ordinal: number, run: () => void): void => {
    times[i] = time;
    orders[i] = ordinal;
    runs[i] = run;
  };
  const move = (from: number, to: number): void => {
    const run = runs[from];
    if (run !== undefined) put(to, times[from] ?? 0, orders[from] ?? 0, run);
  };
  const push = (time: number, run: () => void): void => {
    const ordinal = order++;
    let hole = times.length;
    put(hole, time, ordinal, run);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (isBefore(parent, time, ordinal)) break;
      move(parent, hole);
      hole = parent;
    }
    put(hole, time, ordinal, run);
  };
  // eslint-disable-next-line complexity -- the innermost loop of every run: a binary heap over three plain arrays
  const pop = (): (() => void) | undefined => {
    const first = runs[0];
    const time = times.pop();
    const ordinal = orders.pop();
    const run = runs.pop();
    if (times.length === 0 || time === undefined || ordinal === undefined || run === undefined) return first;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= times.length) break;
      if (child + 1 < times.length && isBefore(child + 1, times[child] ?? 0, orders[child] ?? 0)) child++;
      if (!isBefore(child, time, ordinal)) break;
      move(child, hole);
      hole = child;
    }
    put(hole, time, ordinal, run);
    return first;
  };
  return {
    get now() {
      return now;
    },
    get events() {
      return events;
    },
    at: (time, run) => {
      push(Math.max(time, now), run);
    },
    after: (delayMs, run) => {
      push(now + Math.max(0, delayMs), run);
    },
    runUntil(time, stop) {
      while (times.length > 0 && (times[0] ?? Infinity) <= time && !stop()) {
        now = times[0] ?? now;
        events++;
        pop()?.();
      }
      if (!stop()) now = time;
    },
  };
}
