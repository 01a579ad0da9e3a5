import { fromHex, sha256, utf8 } from '@antirio/kernel';

/**
 * What the state contains, hashed so that a part of it can be proven: keys fall into buckets by their own hash, buckets into groups, and
 * the root is over the groups. A change is hashed again in its bucket alone.
 */
export const GROUPS = 64;
const BUCKETS_OF_A_GROUP = 64;
export const BUCKETS = GROUPS * BUCKETS_OF_A_GROUP;

/** A record: its key, and its value as canonical JSON. */
export type Entry = readonly [key: string, value: string];

export function bucketOf(key: string): number {
  const [high = 0, low = 0] = sha256(utf8(key));
  return ((high << 8) | low) % BUCKETS;
}

/** Entries in the order of their keys. */
const hashBucket = (entries: readonly Entry[]): Uint8Array => sha256(utf8(JSON.stringify(entries)));

export const groupOf = (bucket: number): number => Math.floor(bucket / BUCKETS_OF_A_GROUP);

/** The hash of one group, out of its entries by their buckets. */
export function hashGroup(group: number, entriesOf: (bucket: number) => readonly Entry[]): Uint8Array {
  const first = group * BUCKETS_OF_A_GROUP;
  const hashes = Array.from({ length: BUCKETS_OF_A_GROUP }, (_, i) => hashBucket(entriesOf(first + i)));
  return sha256(...hashes);
}

/** What a block header says of the application: the history by its state hash, and what the state contains. */
export function appHashOf(stateHash: string, groups: readonly Uint8Array[]): Uint8Array {
  return sha256(fromHex(stateHash, 32), ...groups);
}

/** The hashes of all buckets and groups, which a few changes at a time make others. */
export class StateTree {
  readonly #buckets: Uint8Array[];
  readonly #groups: Uint8Array[];

  constructor(entriesOf: (bucket: number) => readonly Entry[]) {
    this.#buckets = Array.from({ length: BUCKETS }, (_, bucket) => hashBucket(entriesOf(bucket)));
    this.#groups = Array.from({ length: GROUPS }, (_, group) => this.#hashGroup(group, new Map()));
  }

  #hashGroup(group: number, changed: ReadonlyMap<number, Uint8Array>): Uint8Array {
    const first = group * BUCKETS_OF_A_GROUP;
    const own = this.#buckets.slice(first, first + BUCKETS_OF_A_GROUP);
    return sha256(...own.map((hash, i) => changed.get(first + i) ?? hash));
  }

  groups(): readonly Uint8Array[] {
    return this.#groups;
  }

  /** What these buckets would make of it; `keep` is called where they come to stay. */
  with(
    changed: Iterable<number>,
    entriesOf: (bucket: number) => readonly Entry[],
  ): { readonly groups: readonly Uint8Array[]; readonly keep: () => void } {
    const buckets = new Map<number, Uint8Array>();
    for (const bucket of changed) buckets.set(bucket, hashBucket(entriesOf(bucket)));
    const groups = [...this.#groups];
    for (const group of new Set([...buckets.keys()].map(groupOf)))
      groups[group] = this.#hashGroup(group, buckets);
    return {
      groups,
      keep: () => {
        for (const [bucket, hash] of buckets) this.#buckets[bucket] = hash;
        for (const [group, hash] of groups.entries()) this.#groups[group] = hash;
      },
    };
  }
}
