import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AntirioError } from '@antirio/kernel';

export type Database = DatabaseSync;

export interface DatabaseOptions {
  /**
   * The write-ahead log is worked into the file when it has so many bytes (default 4 MiB). The more there are, the seldomer all wait for
   * that, and the seldomer a page that changes often is written again.
   */
  readonly walBytes?: number;
  /** Pages kept in memory (default 512 KiB; more are in the system's cache of files, a moment away). */
  readonly cacheBytes?: number;
  /**
   * What it holds can be made again from other files: a commit is not synced by itself, and the newest may be lost with the power; what
   * is left is whole. What must not be lost is done by `inDurableTransaction`.
   */
  readonly isDerived?: boolean;
  /** A file that is begun now can give back what was deleted: see `PRAGMA incremental_vacuum`. */
  readonly givesBack?: boolean;
}

const PAGE_BYTES = 4096;

const synchronous = (isDerived: boolean): string => `PRAGMA synchronous=${isDerived ? 'NORMAL' : 'FULL'};`;

const settings = ({
  walBytes = 4 << 20,
  cacheBytes = 512 << 10,
  isDerived = false,
  givesBack = false,
}: DatabaseOptions): string =>
  `${givesBack ? 'PRAGMA auto_vacuum=INCREMENTAL; ' : ''}PRAGMA journal_mode=WAL; ${synchronous(isDerived)}` +
  ' PRAGMA busy_timeout=5000; PRAGMA foreign_keys=ON;' +
  ` PRAGMA cache_size=-${Math.ceil(cacheBytes / 1024)};` +
  ` PRAGMA wal_autocheckpoint=${Math.ceil(walBytes / PAGE_BYTES)}; PRAGMA journal_size_limit=${walBytes * 2};`;

/**
 * Opens a SQLite file for durable work: WAL, every commit fsynced, the WAL bounded. `migrations` run once each, in order;
 * `PRAGMA user_version` counts them.
 */
export function openDatabase(
  path: string,
  migrations: readonly string[],
  options: DatabaseOptions = {},
): Database {
  mkdirSync(dirname(path), { recursive: true });
  const db = new DatabaseSync(path);
  try {
    db.exec(settings(options));
    const row = db.prepare('PRAGMA user_version').get();
    const done = Number(row?.['user_version'] ?? 0);
    if (done > migrations.length)
      throw new AntirioError('badConfig', `${path} was written by a newer version`, { path, version: done });
    for (const [index, sql] of migrations.entries())
      if (index >= done) inTransaction(db, () => db.exec(`${sql}; PRAGMA user_version=${index + 1}`));
  } catch (cause) {
    db.close();
    if (cause instanceof AntirioError) throw cause;
    throw new AntirioError('unavailable', `cannot open the store ${path}`, { path }, cause);
  }
  return db;
}

/** Runs the work in one transaction: all of it is durable when this returns, or none of it happened. */
export function inTransaction<T>(db: Database, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** The same where the database is derived: what it did is durable too. */
export function inDurableTransaction<T>(db: Database, work: () => T): T {
  db.exec(synchronous(false));
  try {
    return inTransaction(db, work);
  } finally {
    db.exec(synchronous(true));
  }
}
