import { canonicalBytes, sha256Hex, utf8 } from '@antirio/kernel';

/** JSON values by key, as a rule may read them. */
export interface StateView {
  get(key: string): unknown;
  /** Keys that start so, in the order of their UTF-16 code units, with their values. */
  range(prefix: string): Iterable<readonly [string, unknown]>;
}

/** `undefined` removes the key. */
export type Write = readonly [string, unknown];

/** A state hash is over the one before it and the sorted writes, so that it stands for the whole history. */
export function nextStateHash(stateHash: string, writes: readonly Write[]): string {
  const changes = writes.map(([key, value]) => (value === undefined ? [key] : [key, value]));
  return sha256Hex(utf8(stateHash), canonicalBytes(changes));
}

export const EMPTY_STATE_HASH = sha256Hex();

/** Index of the first key that is not below `key`. */
function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? '') < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

const familyOf = (key: string): string => key.slice(0, key.indexOf('/') + 1);

/** The state in memory, with its keys in order (by family, the part before the first slash). */
export class MemoryState implements StateView {
  readonly #values = new Map<string, unknown>();
  readonly #families = new Map<string, string[]>();

  get(key: string): unknown {
    return this.#values.get(key);
  }

  /** The prefix must reach to the first slash at least; an empty one means everything. */
  *range(prefix: string): Iterable<readonly [string, unknown]> {
    if (!prefix.includes('/')) {
      for (const key of [...this.#values.keys()].sort())
        if (key.startsWith(prefix)) yield [key, this.#values.get(key)];
      return;
    }
    const sorted = this.#families.get(familyOf(prefix)) ?? [];
    for (let i = lowerBound(sorted, prefix); i < sorted.length; i++) {
      const key = sorted[i];
      if (key === undefined || !key.startsWith(prefix)) return;
      yield [key, this.#values.get(key)];
    }
  }

  apply(writes: readonly Write[]): void {
    for (const [key, value] of writes) {
      if (value === undefined) this.#remove(key);
      else this.#set(key, value);
    }
  }

  #set(key: string, value: unknown): void {
    if (!this.#values.has(key)) {
      const sorted = this.#families.get(familyOf(key)) ?? [];
      sorted.splice(lowerBound(sorted, key), 0, key);
      this.#families.set(familyOf(key), sorted);
    }
    this.#values.set(key, value);
  }

  #remove(key: string): void {
    if (!this.#values.delete(key)) return;
    const sorted = this.#families.get(familyOf(key)) ?? [];
    sorted.splice(lowerBound(sorted, key), 1);
  }
}
