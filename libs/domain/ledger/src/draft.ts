import type { Key } from './records.ts';
import type { MachineEvent } from './receipt.ts';
import type { StateView, Write } from './state.ts';

/** Changes over a state that is not touched: a transaction reads its own writes, and none is left if it is refused. */
export class Draft implements StateView {
  readonly #base: StateView;
  readonly #changes = new Map<string, unknown>();
  readonly #events: MachineEvent[] = [];

  constructor(base: StateView) {
    this.#base = base;
  }

  get(key: string): unknown {
    return this.#changes.has(key) ? this.#changes.get(key) : this.#base.get(key);
  }

  /** What is kept under a typed key. */
  read<T>(key: Key<T>): T | undefined {
    return this.get(key) as T | undefined;
  }

  *range(prefix: string): Iterable<readonly [string, unknown]> {
    const added = [...this.#changes.keys()].filter((key) => key.startsWith(prefix)).sort();
    let next = 0;
    for (const [key, value] of this.#base.range(prefix)) {
      for (; next < added.length && (added[next] ?? '') < key; next++) yield* this.#own(added[next]);
      if (!this.#changes.has(key)) yield [key, value];
    }
    for (; next < added.length; next++) yield* this.#own(added[next]);
  }

  *#own(key: string | undefined): Iterable<readonly [string, unknown]> {
    const value = key === undefined ? undefined : this.#changes.get(key);
    if (key !== undefined && value !== undefined) yield [key, value];
  }

  put<T>(key: Key<T>, value: T): void {
    this.#changes.set(key, value);
  }

  remove(key: string): void {
    this.#changes.set(key, undefined);
  }

  emit(type: string, key: string, data: Readonly<Record<string, unknown>> = {}): void {
    this.#events.push({ type, key, data });
  }

  events(): readonly MachineEvent[] {
    return this.#events;
  }

  /** Sorted by key. */
  writes(): Write[] {
    return [...this.#changes].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}
