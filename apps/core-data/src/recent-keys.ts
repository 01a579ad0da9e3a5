import { AntirioError } from '@antirio/kernel';
import type { KeyHash } from './key-filter.ts';

/** The keys of the newest events, in the order of their ids: some bytes each, in arrays that are there from the start. */
export interface RecentKeys {
  readonly size: number;
  add(hash: KeyHash, id: number): void;
  /** The ids under this key, newest first. */
  idsOf(key: number): readonly number[];
  at(index: number): KeyHash & { readonly id: number };
  /** Forgets the newest ones. */
  drop(count: number): void;
  clear(): void;
}

const FREE = 0;

/** A hash table with open addressing: a slot has one more than the index of its key. */
export function createRecentKeys(capacity: number): RecentKeys {
  const keys = new Uint32Array(capacity);
  const checks = new Uint32Array(capacity);
  const ids = new Float64Array(capacity);
  const slots = new Uint32Array(2 ** Math.ceil(Math.log2(capacity * 2)));
  const mask = slots.length - 1;
  let size = 0;

  const put = (index: number): void => {
    let slot = (keys[index] ?? 0) & mask;
    while (slots[slot] !== FREE) slot = (slot + 1) & mask;
    slots[slot] = index + 1;
  };
  return {
    get size() {
      return size;
    },
    add({ key, check }, id) {
      if (size === capacity) throw new AntirioError('internal', 'more keys than make a run');
      keys[size] = key;
      checks[size] = check;
      ids[size] = id;
      put(size);
      size += 1;
    },
    idsOf(key) {
      const found: number[] = [];
      for (let slot = key & mask; slots[slot] !== FREE; slot = (slot + 1) & mask) {
        const index = (slots[slot] ?? 0) - 1;
        if (keys[index] === key) found.push(ids[index] ?? 0);
      }
      return found;
    },
    at: (index) => ({ key: keys[index] ?? 0, check: checks[index] ?? 0, id: ids[index] ?? 0 }),
    drop(count) {
      size -= count;
      slots.fill(FREE);
      for (let index = 0; index < size; index++) put(index);
    },
    clear() {
      size = 0;
      slots.fill(FREE);
    },
  };
}
