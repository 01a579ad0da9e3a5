import type { Database } from '@antirio/host';
import { addTo, filterBytes, keyHashOf, mayHave, probesOf, type KeyHash } from './key-filter.ts';
import { createRecentKeys, type RecentKeys } from './recent-keys.ts';

/** Finds events by their UUIDs. */
export interface EventKeys {
  /** The event with this UUID. */
  find(uuid: Uint8Array): Found | undefined;
  /** Within a transaction; ids come in ascending order. */
  add(uuid: Uint8Array, id: number): void;
  /** Within a transaction: lets go of the keys of events that are no more. */
  prune(): void;
  /** No event that comes later may have this id or a lower one. */
  readonly closedThrough: number;
  /** What was added since the last commit is not there. */
  rolledBack(): void;
}

export interface Found {
  readonly id: number;
  readonly table: 'single' | 'event';
}

/** So many events make a run. Until then their keys are in memory only, read again from the events when the store is opened. */
const RUN = 65_536;
const KEYS_PER_BUCKET = 64;
/** A key's 32 bits and how far its id is from the run's first. */
const ENTRY_BYTES = 8;

interface Run {
  readonly id: number;
  readonly first: number;
  readonly last: number;
  readonly filter: Uint8Array;
}

function prepareAll(db: Database) {
  return {
    single: db.prepare('SELECT uuid FROM single WHERE id = ?'),
    event: db.prepare('SELECT uuid FROM event WHERE id = ?'),
    bucket: db.prepare('SELECT entries FROM event_key WHERE id = ?'),
    addRun: db.prepare('INSERT INTO key_run(id, first, last, filter) VALUES(?,?,?,?)'),
    addBucket: db.prepare('INSERT INTO event_key(id, entries) VALUES(?,?)'),
    dropRun: db.prepare('DELETE FROM key_run WHERE id = ?'),
    dropBuckets: db.prepare('DELETE FROM event_key WHERE id BETWEEN ? AND ?'),
    runs: db.prepare('SELECT id, first, last, filter FROM key_run ORDER BY id'),
    runsThere: db.prepare('SELECT count(*) AS runs, coalesce(max(last), 0) AS last FROM key_run'),
    recent: db.prepare(
      'SELECT id, uuid FROM single WHERE id > ?1 UNION ALL SELECT id, uuid FROM event WHERE id > ?1 ORDER BY id',
    ),
    inUse: db.prepare(
      'SELECT EXISTS(SELECT 1 FROM single WHERE id BETWEEN ?1 AND ?2) OR EXISTS(SELECT 1 FROM event WHERE id BETWEEN ?1 AND ?2) AS yes',
    ),
  };
}

const sameBytes = (a: Uint8Array, b: unknown): boolean =>
  b instanceof Uint8Array && Buffer.compare(a, b) === 0;

/**
 * A B-tree of UUIDs would have every commit change as many pages as it has events, all over the file. Here the keys of the newest events
 * are in memory; when there are enough for a run, they are written in one piece, sorted by hash into buckets that are found by number.
 * A run has a filter in memory that says which keys it surely has not, so that a new UUID is known to be new without reading anything.
 * What a key leads to is compared with the event's own UUID: keys of deleted events do no harm, and go with their run.
 */
class SqliteEventKeys implements EventKeys {
  readonly #sql: ReturnType<typeof prepareAll>;
  readonly #runSize: number;
  readonly #buckets: number;
  readonly #filterBytes: number;
  readonly #recent: RecentKeys;
  #runs: readonly Run[] = [];
  /** Of the keys in memory, for the run they will be. */
  #filter: Uint8Array;

  constructor(db: Database, runSize: number) {
    this.#sql = prepareAll(db);
    this.#runSize = runSize;
    this.#buckets = Math.ceil(runSize / KEYS_PER_BUCKET);
    this.#filterBytes = filterBytes(runSize);
    this.#filter = new Uint8Array(this.#filterBytes);
    this.#recent = createRecentKeys(runSize);
    this.#load();
  }

  get closedThrough(): number {
    return this.#runs.at(-1)?.last ?? 0;
  }

  find(uuid: Uint8Array): Found | undefined {
    const hash = keyHashOf(uuid);
    return this.#firstOf(uuid, this.#recent.idsOf(hash.key)) ?? this.#inRuns(uuid, hash);
  }

  add(uuid: Uint8Array, id: number): void {
    this.#remember(uuid, id);
    if (this.#recent.size === this.#runSize) this.#close();
  }

  prune(): void {
    // The last one stays: it says which ids were given.
    for (const run of this.#runs.slice(0, -1)) {
      if (this.#sql.inUse.get(run.first, run.last)?.['yes'] !== 0) continue;
      this.#sql.dropRun.run(run.id);
      this.#sql.dropBuckets.run(run.id * this.#buckets, (run.id + 1) * this.#buckets - 1);
      this.#runs = this.#runs.filter((other) => other !== run);
    }
  }

  rolledBack(): void {
    const { runs, last } = this.#sql.runsThere.get() ?? {};
    if (runs !== this.#runs.length || last !== this.closedThrough) {
      this.#load();
      return;
    }
    let gone = 0;
    while (gone < this.#recent.size && !this.#isThere(this.#recent.at(this.#recent.size - gone - 1).id))
      gone += 1;
    if (gone > 0) this.#recent.drop(gone);
  }

  #load(): void {
    this.#runs = this.#sql.runs.all() as unknown as Run[];
    this.#forget();
    for (const row of this.#sql.recent.iterate(this.closedThrough))
      this.#remember(row['uuid'] as Uint8Array, Number(row['id']));
  }

  #remember(uuid: Uint8Array, id: number): void {
    const hash = keyHashOf(uuid);
    this.#recent.add(hash, id);
    addTo(this.#filter, hash);
  }

  #forget(): void {
    this.#recent.clear();
    this.#filter = new Uint8Array(this.#filterBytes);
  }

  #isThere(id: number): boolean {
    return this.#sql.single.get(id) !== undefined || this.#sql.event.get(id) !== undefined;
  }

  #firstOf(uuid: Uint8Array, ids: readonly number[]): Found | undefined {
    for (const id of ids)
      for (const table of ['single', 'event'] as const) {
        const row = this.#sql[table].get(id);
        if (row !== undefined && sameBytes(uuid, row['uuid'])) return { id, table };
      }
    return undefined;
  }

  #inRuns(uuid: Uint8Array, hash: KeyHash): Found | undefined {
    if (this.#runs.length === 0) return undefined;
    const probes = probesOf(hash, this.#filterBytes);
    for (const run of this.#runs) {
      if (!mayHave(run.filter, probes)) continue;
      const found = this.#firstOf(uuid, this.#idsIn(run, hash.key));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #bucketOf(run: number, key: number): number {
    return run * this.#buckets + Math.floor((key / 2 ** 32) * this.#buckets);
  }

  #idsIn({ id, first }: Run, key: number): number[] {
    const entries = this.#sql.bucket.get(this.#bucketOf(id, key))?.['entries'];
    const ids: number[] = [];
    if (!(entries instanceof Uint8Array)) return ids;
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
    for (let at = 0; at < entries.length; at += ENTRY_BYTES)
      if (view.getUint32(at) === key) ids.push(first + view.getUint32(at + 4));
    return ids;
  }

  /** Writes the keys in memory as a run. */
  #close(): void {
    const id = (this.#runs.at(-1)?.id ?? 0) + 1;
    const first = this.#recent.at(0).id;
    const last = this.#recent.at(this.#recent.size - 1).id;
    const filter = this.#filter;
    const buckets: number[][] = Array.from({ length: this.#buckets }, () => []);
    for (let index = 0; index < this.#recent.size; index++) {
      const entry = this.#recent.at(index);
      buckets[this.#bucketOf(0, entry.key)]?.push(entry.key, entry.id - first);
    }
    this.#sql.addRun.run(id, first, last, filter);
    buckets.forEach((entries, bucket) => {
      if (entries.length > 0) this.#sql.addBucket.run(id * this.#buckets + bucket, bytesOf(entries));
    });
    this.#runs = [...this.#runs, { id, first, last, filter }];
    this.#forget();
  }
}

function bytesOf(words: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < words.length; index++) view.setUint32(index * 4, words[index] ?? 0);
  return bytes;
}

export function createEventKeys(db: Database, runSize = RUN): EventKeys {
  return new SqliteEventKeys(db, runSize);
}
