import { renameSync, rmSync } from 'node:fs';
import { inDurableTransaction, inTransaction, openDatabase, type Database } from '@antirio/host';
import { RECORD_OVERHEAD, type Extent } from './pack.ts';

/** Where a block is. */
export interface Location extends Extent {
  readonly pack: number;
}

export interface IndexedBlock extends Location {
  readonly digest: Uint8Array;
}

/** Which block is where: derived from the packs, so it may be lost. What it gained last may go with the power; what it forgot of packs does not. */
export interface BlockIndex {
  find(digest: Uint8Array): Location | undefined;
  /** Adds what a sync of the pack has made durable, and up to where that is; all of it or nothing. */
  commit(pack: number, through: number, blocks: readonly IndexedBlock[]): void;
  forget(digest: Uint8Array): void;
  /** Up to where the records of each known pack are in the index. */
  packs(): Map<number, number>;
  /** Durably: a pack of this number may hold others next. */
  forgetPack(pack: number): void;
  count(): number;
  blocksOf(pack: number): IndexedBlock[];
  /** Begins a mark phase: nothing is marked. */
  beginMarking(): void;
  mark(digest: Uint8Array): void;
  /** Forgets every block that is not marked; gives how many, and the bytes of records that each pack still needs. */
  sweep(): { forgotten: number; needed: Map<number, number> };
  close(): void;
}

const MIGRATIONS = [
  `CREATE TABLE block (digest BLOB PRIMARY KEY, pack INTEGER NOT NULL, "offset" INTEGER NOT NULL, length INTEGER NOT NULL) WITHOUT ROWID;
   CREATE INDEX block_pack ON block (pack);
   CREATE TABLE pack (id INTEGER PRIMARY KEY, "through" INTEGER NOT NULL)`,
];

/** Opens the index; one that SQLite cannot read is put away, and the packs are read again. */
export function openBlockIndex(path: string): BlockIndex {
  let db: Database;
  try {
    db = openDatabase(path, MIGRATIONS, { isDerived: true });
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    renameSync(path, `${path}.damaged`);
    for (const rest of ['-wal', '-shm']) rmSync(path + rest, { force: true });
    db = openDatabase(path, MIGRATIONS, { isDerived: true });
  }
  return new SqliteIndex(db);
}

const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

function isUnreadable(error: unknown): boolean {
  const cause = error instanceof Error ? (error.cause as { errcode?: unknown } | undefined) : undefined;
  return cause?.errcode === SQLITE_CORRUPT || cause?.errcode === SQLITE_NOTADB;
}

class SqliteIndex implements BlockIndex {
  readonly #db: Database;
  readonly #find;
  readonly #insert;
  readonly #remove;
  readonly #mark;

  constructor(db: Database) {
    this.#db = db;
    this.#find = db.prepare('SELECT pack, "offset", length FROM block WHERE digest = ?');
    this.#insert = db.prepare(
      'INSERT OR REPLACE INTO block (digest, pack, "offset", length) VALUES (?, ?, ?, ?)',
    );
    this.#remove = db.prepare('DELETE FROM block WHERE digest = ?');
    db.exec('CREATE TEMP TABLE marked (digest BLOB PRIMARY KEY) WITHOUT ROWID');
    this.#mark = db.prepare('INSERT OR IGNORE INTO marked (digest) VALUES (?)');
  }

  find(digest: Uint8Array): Location | undefined {
    const row = this.#find.get(digest);
    if (row === undefined) return undefined;
    return { pack: Number(row['pack']), offset: Number(row['offset']), length: Number(row['length']) };
  }

  commit(pack: number, through: number, blocks: readonly IndexedBlock[]): void {
    inTransaction(this.#db, () => {
      for (const block of blocks) this.#insert.run(block.digest, block.pack, block.offset, block.length);
      this.#db.prepare('INSERT OR REPLACE INTO pack (id, "through") VALUES (?, ?)').run(pack, through);
    });
  }

  forget(digest: Uint8Array): void {
    this.#remove.run(digest);
  }

  packs(): Map<number, number> {
    const rows = this.#db.prepare('SELECT id, "through" FROM pack').all();
    return new Map(rows.map((row) => [Number(row['id']), Number(row['through'])]));
  }

  forgetPack(pack: number): void {
    inDurableTransaction(this.#db, () => {
      this.#db.prepare('DELETE FROM block WHERE pack = ?').run(pack);
      this.#db.prepare('DELETE FROM pack WHERE id = ?').run(pack);
    });
  }

  count(): number {
    return Number(this.#db.prepare('SELECT COUNT(*) AS n FROM block').get()?.['n'] ?? 0);
  }

  blocksOf(pack: number): IndexedBlock[] {
    const rows = this.#db
      .prepare('SELECT digest, "offset", length FROM block WHERE pack = ? ORDER BY "offset"')
      .all(pack);
    return rows.map((row) => ({
      digest: row['digest'] as Uint8Array,
      pack,
      offset: Number(row['offset']),
      length: Number(row['length']),
    }));
  }

  beginMarking(): void {
    this.#db.exec('DELETE FROM marked');
  }

  mark(digest: Uint8Array): void {
    this.#mark.run(digest);
  }

  sweep(): { forgotten: number; needed: Map<number, number> } {
    return inTransaction(this.#db, () => {
      const { changes } = this.#db
        .prepare('DELETE FROM block WHERE digest NOT IN (SELECT digest FROM marked)')
        .run();
      const rows = this.#db
        .prepare('SELECT pack, SUM(length + ?) AS bytes FROM block GROUP BY pack')
        .all(RECORD_OVERHEAD);
      this.#db.exec('DELETE FROM marked');
      return {
        forgotten: Number(changes),
        needed: new Map(rows.map((row) => [Number(row['pack']), Number(row['bytes'])])),
      };
    });
  }

  close(): void {
    this.#db.close();
  }
}
