import { openDatabase, type Database } from '@antirio/host';
import { AntirioError, canonicalJson } from '@antirio/kernel';
import {
  EMPTY_STATE_HASH,
  MemoryState,
  cursorBehind,
  nextStateHash,
  type BlockRun,
  type LedgerEvent,
  type Receipt,
  type StateView,
  type Write,
} from '@antirio/ledger-machine';
import { BUCKETS, StateTree, appHashOf, bucketOf, type Entry } from './state-tree.ts';

/** Where the application stands; what is committed of it is on the disk. */
export interface AppHead {
  /** 0 before the first block. */
  readonly height: number;
  /** Of the newest block, in ms since the Unix epoch. */
  readonly time: number;
  readonly stateHash: string;
  /** Empty before a genesis. */
  readonly appHash: Uint8Array;
  /** Events up to this cursor are no longer kept. */
  readonly forgotten: string;
}

export const MIGRATIONS = [
  `CREATE TABLE state(bucket INTEGER, key TEXT, value TEXT NOT NULL, PRIMARY KEY(bucket, key)) WITHOUT ROWID;
   CREATE TABLE head(one INTEGER PRIMARY KEY CHECK(one = 1), height INTEGER, time INTEGER, state_hash TEXT, app_hash BLOB, forgotten TEXT);
   CREATE TABLE events(cursor TEXT PRIMARY KEY, event TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE hashes(height INTEGER PRIMARY KEY, state_hash TEXT NOT NULL);
   CREATE TABLE refusals(tx_hash TEXT PRIMARY KEY, height INTEGER NOT NULL, receipt TEXT NOT NULL) WITHOUT ROWID`,
];

const NOTHING: AppHead = {
  height: 0,
  time: 0,
  stateHash: EMPTY_STATE_HASH,
  appHash: new Uint8Array(),
  forgotten: '',
};

/** For how many blocks the answer to what left no trace can be asked for. */
const REFUSALS_FOR = 1000;

interface Staged {
  readonly head: AppHead;
  readonly writes: readonly Write[];
  readonly keep: () => void;
}

export interface StagedBlock {
  readonly height: number;
  readonly time: number;
  readonly run: BlockRun;
  /** By the hash of the transaction's bytes: anyone may send bytes that name another's transaction. */
  readonly refusals: readonly (readonly [hash: string, receipt: Receipt])[];
}

/**
 * The application's state, in memory to be read, in a SQLite file to be there after a crash. A block is staged in a transaction of the
 * file, and is there as a whole, durably, or not at all.
 */
export class StateStore {
  readonly #db: Database;
  readonly #eventsKept: number;
  #state = new MemoryState();
  #tree: StateTree;
  #head: AppHead;
  #staged: Staged | undefined;

  constructor(path: string, eventsKept: number) {
    this.#db = openDatabase(path, MIGRATIONS);
    this.#eventsKept = eventsKept;
    this.#tree = this.#load();
    this.#head = this.#loadHead();
    this.#refuseDamage(path);
  }

  get head(): AppHead {
    return this.#head;
  }

  get state(): StateView {
    return this.#state;
  }

  #loadHead(): AppHead {
    const row = this.#db.prepare('SELECT * FROM head').get();
    if (row === undefined) return NOTHING;
    return {
      height: Number(row['height']),
      time: Number(row['time']),
      stateHash: String(row['state_hash']),
      appHash: new Uint8Array(row['app_hash'] as Uint8Array),
      forgotten: String(row['forgotten']),
    };
  }

  #load(): StateTree {
    const buckets: Entry[][] = Array.from({ length: BUCKETS }, () => []);
    const writes: Write[] = [];
    for (const row of this.#db
      .prepare('SELECT bucket, key, value FROM state ORDER BY bucket, key')
      .iterate()) {
      const entry: Entry = [String(row['key']), String(row['value'])];
      buckets[Number(row['bucket'])]?.push(entry);
      writes.push([entry[0], JSON.parse(entry[1])]);
    }
    this.#state = new MemoryState();
    this.#state.apply(writes);
    return new StateTree((bucket) => buckets[bucket] ?? []);
  }

  #refuseDamage(path: string): void {
    const { appHash, stateHash } = this.#head;
    if (appHash.length === 0 || Buffer.compare(appHash, appHashOf(stateHash, this.#tree.groups())) === 0)
      return;
    this.#db.close();
    throw new AntirioError('corrupt', `${path} does not hold the state that it says`, { path });
  }

  #entriesOf = (bucket: number): Entry[] =>
    this.#db
      .prepare('SELECT key, value FROM state WHERE bucket = ? ORDER BY key')
      .all(bucket)
      .map((row) => [String(row['key']), String(row['value'])]);

  #write(writes: readonly Write[]): Set<number> {
    const put = this.#db.prepare('INSERT OR REPLACE INTO state VALUES(?, ?, ?)');
    const remove = this.#db.prepare('DELETE FROM state WHERE bucket = ? AND key = ?');
    const touched = new Set<number>();
    for (const [key, value] of writes) {
      const bucket = bucketOf(key);
      touched.add(bucket);
      if (value === undefined) remove.run(bucket, key);
      else put.run(bucket, key, canonicalJson(value));
    }
    return touched;
  }

  #writeHead({ height, time, stateHash, appHash, forgotten }: AppHead): void {
    this.#db
      .prepare('INSERT OR REPLACE INTO head VALUES(1, ?, ?, ?, ?, ?)')
      .run(height, time, stateHash, appHash, forgotten);
  }

  /** Begins anew with these records; nothing is committed yet. The hash is that of block 0. */
  stageGenesis(writes: readonly Write[], time: number): Uint8Array {
    this.abandon();
    this.#db.exec('BEGIN IMMEDIATE');
    this.#empty();
    this.#state = new MemoryState();
    const stateHash = nextStateHash(EMPTY_STATE_HASH, writes);
    const { groups, keep } = this.#tree.with(this.#everyBucket(writes), this.#entriesOf);
    const appHash = appHashOf(stateHash, groups);
    this.#db.prepare('INSERT INTO hashes VALUES(0, ?)').run(stateHash);
    this.#stage({ height: 0, time, stateHash, appHash, forgotten: '' }, writes, keep);
    return appHash;
  }

  #empty(): void {
    for (const table of ['state', 'head', 'events', 'hashes', 'refusals'])
      this.#db.exec(`DELETE FROM ${table}`);
  }

  /** All of them may be others than before. */
  #everyBucket(writes: readonly Write[]): Iterable<number> {
    this.#write(writes);
    return Array.from({ length: BUCKETS }, (_, bucket) => bucket);
  }

  #stage(head: AppHead, writes: readonly Write[], keep: () => void): void {
    this.#writeHead(head);
    this.#staged = { head, writes, keep };
  }

  /** Puts a block into the open transaction; a staged one is forgotten. The hash is the application's after it. */
  stage({ height, time, run, refusals }: StagedBlock): Uint8Array {
    this.abandon();
    this.#db.exec('BEGIN IMMEDIATE');
    const { groups, keep } = this.#tree.with(this.#write(run.writes), this.#entriesOf);
    const { stateHash } = run;
    const appHash = appHashOf(stateHash, groups);
    if (stateHash !== this.#head.stateHash)
      this.#db.prepare('INSERT INTO hashes VALUES(?, ?)').run(height, stateHash);
    this.#addRefusals(height, refusals);
    const forgotten = this.#addEvents(run.events);
    this.#stage({ height, time, stateHash, appHash, forgotten }, run.writes, keep);
    return appHash;
  }

  #addRefusals(height: number, refusals: StagedBlock['refusals']): void {
    const add = this.#db.prepare('INSERT OR REPLACE INTO refusals VALUES(?, ?, ?)');
    for (const [hash, receipt] of refusals) add.run(hash, height, canonicalJson(receipt));
    if (height % REFUSALS_FOR === 0)
      this.#db.prepare('DELETE FROM refusals WHERE height < ?').run(height - REFUSALS_FOR);
  }

  #addEvents(events: readonly LedgerEvent[]): string {
    const add = this.#db.prepare('INSERT INTO events VALUES(?, ?)');
    for (const event of events) add.run(event.cursor, JSON.stringify(event));
    if (events.length === 0) return this.#head.forgotten;
    const oldest = this.#db
      .prepare('SELECT cursor FROM events ORDER BY cursor DESC LIMIT 1 OFFSET ?')
      .get(this.#eventsKept);
    if (oldest === undefined) return this.#head.forgotten;
    const forgotten = String(oldest['cursor']);
    this.#db.prepare('DELETE FROM events WHERE cursor <= ?').run(forgotten);
    return forgotten;
  }

  /** What is staged is durable when this returns, and is what can be read. */
  commit(): void {
    const staged = this.#staged;
    if (staged === undefined) throw new AntirioError('internal', 'there is no block to commit');
    this.#db.exec('COMMIT');
    this.#staged = undefined;
    this.#state.apply(staged.writes);
    staged.keep();
    this.#head = staged.head;
  }

  /** What is staged never was. */
  abandon(): void {
    this.#staged = undefined;
    if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
  }

  /** Takes the place of everything that was here, as a whole. The entries' hashes have been compared with `head.appHash`. */
  replace(head: AppHead, entries: Iterable<Entry>): void {
    this.abandon();
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      this.#empty();
      const put = this.#db.prepare('INSERT INTO state VALUES(?, ?, ?)');
      for (const [key, value] of entries) put.run(bucketOf(key), key, value);
      this.#writeHead({ ...head, forgotten: cursorBehind(head.height) });
      this.#db.prepare('INSERT INTO hashes VALUES(?, ?)').run(head.height, head.stateHash);
      this.#db.exec('COMMIT');
    } finally {
      this.abandon();
    }
    this.#tree = this.#load();
    this.#head = this.#loadHead();
  }

  groups(): readonly Uint8Array[] {
    return this.#tree.groups();
  }

  /** @throws AntirioError gone, conflict */
  events(from: string | undefined, limit: number): LedgerEvent[] {
    const { height } = this.#head;
    // What the staged block forgets cannot be read any more.
    const { forgotten } = this.#staged?.head ?? this.#head;
    if (from !== undefined && from < forgotten)
      throw new AntirioError('gone', `events behind ${from} are no longer kept`, { from });
    if (from !== undefined && from > cursorBehind(height))
      throw new AntirioError('conflict', `${from} is ahead of this ledger, which is at block ${height}`, {
        from,
      });
    return this.#db
      .prepare('SELECT event FROM events WHERE cursor > ? AND cursor <= ? ORDER BY cursor LIMIT ?')
      .all(from ?? '', cursorBehind(height), limit)
      .map((row) => JSON.parse(String(row['event'])) as LedgerEvent);
  }

  /** Undefined where there is no such block here, or none that is known any more. */
  stateHashAt(height: number): string | undefined {
    if (height > this.#head.height) return undefined;
    const row = this.#db
      .prepare('SELECT state_hash FROM hashes WHERE height <= ? ORDER BY height DESC LIMIT 1')
      .get(height);
    return row === undefined ? undefined : String(row['state_hash']);
  }

  /** The receipt of one that was refused in a block, also where it left no other trace. */
  refusalOf(hash: string): Receipt | undefined {
    const row = this.#db
      .prepare('SELECT receipt FROM refusals WHERE tx_hash = ? AND height <= ?')
      .get(hash, this.#head.height);
    return row === undefined ? undefined : (JSON.parse(String(row['receipt'])) as Receipt);
  }

  close(): void {
    if (!this.#db.isOpen) return;
    this.abandon();
    this.#db.close();
  }
}
