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

/**
 * A heap in parallel arrays, four children to each; what is due at the same moment happens in the order in which it was asked for.
 * A class: functions made anew for each of many worlds are compiled anew for each as well.
 */
class Agenda implements Engine {
  now = 0;
  events = 0;
  readonly #times: number[] = [];
  readonly #orders: number[] = [];
  readonly #runs: (() => void)[] = [];
  #order = 0;

  at(time: number, run: () => void): void {
    this.#push(Math.max(time, this.now), run);
  }

  after(delayMs: number, run: () => void): void {
    this.#push(this.now + Math.max(0, delayMs), run);
  }

  runUntil(time: number, stop: () => boolean): void {
    while (this.#times.length > 0 && (this.#times[0] ?? Infinity) <= time && !stop()) {
      this.now = this.#times[0] ?? this.now;
      this.events++;
      this.#pop()?.();
    }
    if (!stop()) this.now = time;
  }

  #put(i: number, time: number, ordinal: number, run: () => void): void {
    this.#times[i] = time;
    this.#orders[i] = ordinal;
    this.#runs[i] = run;
  }

  #push(time: number, run: () => void): void {
    const times = this.#times;
    const ordinal = this.#order++;
    let hole = times.length;
    this.#put(hole, time, ordinal, run);
    while (hole > 0) {
      const parent = (hole - 1) >> 2;
      const above = times[parent] ?? 0;
      // what is there came before, and goes first at the same moment
      if (above <= time) break;
      this.#put(hole, above, this.#orders[parent] ?? 0, this.#runs[parent] ?? run);
      hole = parent;
    }
    this.#put(hole, time, ordinal, run);
  }

  #isBefore(i: number, time: number, ordinal: number): boolean {
    const other = this.#times[i] ?? Infinity;
    return other < time || (other === time && (this.#orders[i] ?? 0) < ordinal);
  }

  /** Of the children of a place; where it has none, a place that is none. */
  #firstBelow(hole: number): number {
    const times = this.#times;
    const orders = this.#orders;
    let first = 4 * hole + 1;
    const end = Math.min(first + 4, times.length);
    for (let child = first + 1; child < end; child++)
      if (this.#isBefore(child, times[first] ?? 0, orders[first] ?? 0)) first = child;
    return first;
  }

  #pop(): (() => void) | undefined {
    const times = this.#times;
    const orders = this.#orders;
    const runs = this.#runs;
    const top = runs[0];
    const time = times.pop();
    const ordinal = orders.pop();
    const run = runs.pop();
    if (times.length === 0 || time === undefined || ordinal === undefined || run === undefined) return top;
    let hole = 0;
    for (;;) {
      const child = this.#firstBelow(hole);
      if (!this.#isBefore(child, time, ordinal)) break;
      this.#put(hole, times[child] ?? 0, orders[child] ?? 0, runs[child] ?? run);
      hole = child;
    }
    this.#put(hole, time, ordinal, run);
    return top;
  }
}

export function createEngine(): Engine {
  return new Agenda();
}
