import { closeSync, fdatasync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { AntirioError, describeError, isAntirioError, type Clock } from '@antirio/kernel';
import type { Database } from './database.ts';
import type { Check } from './service.ts';

const fdatasyncAsync = promisify(fdatasync);
const SQLITE_FULL = 13;
const PROBE_EVERY_MS = 10_000;

export interface GroupCommitOptions {
  readonly db: Database;
  readonly path: string;
  /** Pieces of work that may wait before further ones are refused (default 20 000). */
  readonly maxPending?: number;
  /** The sum of the bytes they were said to have (default 64 MiB). */
  readonly maxPendingBytes?: number;
  /** Pieces of work in one transaction at most (default 1000). */
  readonly maxBatch?: number;
  /** Within the transaction, after the last piece of work. */
  readonly beforeCommit?: () => void;
  /** What was remembered of a transaction that did not happen must be forgotten. */
  readonly onRollback?: () => void;
}

/** Pieces of work on a SQLite store that share transactions, each acknowledged when its transaction is on the disk. */
export interface GroupCommit {
  /**
   * Runs the work in the next transaction; resolves with its result once that is durable. Work that refuses (with an AntirioError)
   * does so before it writes: its neighbours in the transaction are not concerned.
   * @throws AntirioError unavailable when too much waits already; storageFull; or what the work threw.
   */
  run<R>(bytes: number, work: () => R): Promise<R>;
  readonly pending: number;
  /** What was refused because too much waited. */
  readonly refused: number;
  /** Whether the store takes writes: known from the last one, or tried when that was 10 s ago or failed. */
  check(clock: Clock): Promise<Check>;
  /** Waits for what is under way; refuses what comes later. */
  close(): Promise<void>;
}

interface Entry {
  readonly bytes: number;
  readonly work: () => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

type Outcome =
  { readonly ok: true; readonly result: unknown } | { readonly ok: false; readonly error: unknown };

function storeError(cause: unknown): AntirioError {
  const full = (cause as { errcode?: unknown }).errcode === SQLITE_FULL;
  return full
    ? new AntirioError('storageFull', 'the store is full', {}, cause)
    : new AntirioError('unavailable', 'the store failed', {}, cause);
}

function syncDirectory(path: string): void {
  const fd = openSync(dirname(path), 'r');
  fsyncSync(fd);
  closeSync(fd);
}

/**
 * SQLite writes each commit to the write-ahead log without waiting for the disk (`synchronous=NORMAL`), and the log is synced from
 * here, off the event loop: while one sync is under way the next transaction gathers. SQLite itself syncs what checkpoints need.
 */
export function createGroupCommit(options: GroupCommitOptions): GroupCommit {
  const { db, maxBatch = 1000, maxPending = 20_000, maxPendingBytes = 64 << 20 } = options;
  db.exec('PRAGMA synchronous=NORMAL; CREATE TABLE IF NOT EXISTS probe(id INTEGER PRIMARY KEY, at INTEGER)');
  db.exec('INSERT OR REPLACE INTO probe VALUES(1, 0)');
  const probe = db.prepare('UPDATE probe SET at = ? WHERE id = 1');
  const wal = openSync(`${options.path}-wal`, 'r');
  syncDirectory(options.path);

  let queue: Entry[] = [];
  let pending = 0;
  let pendingBytes = 0;
  let refused = 0;
  let failure: AntirioError | undefined;
  let broken = false;
  let triedAt = -Infinity;
  let closed = false;
  let working: Promise<void> | undefined;

  const attempt = (entry: Entry): Outcome => {
    try {
      return { ok: true, result: entry.work() };
    } catch (error) {
      if (isAntirioError(error)) return { ok: false, error };
      throw error;
    }
  };
  const transact = (batch: readonly Entry[]): Outcome[] => {
    if (broken) throw failure ?? storeError(undefined);
    db.exec('BEGIN IMMEDIATE');
    try {
      const outcomes = batch.map(attempt);
      options.beforeCommit?.();
      db.exec('COMMIT');
      return outcomes;
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      options.onRollback?.();
      throw error;
    }
  };
  const sync = async (): Promise<void> => {
    try {
      await fdatasyncAsync(wal);
    } catch (cause) {
      // The kernel may have dropped what it could not write: only opening the store again tells what is there.
      broken = true;
      throw cause;
    }
  };
  const commit = async (batch: readonly Entry[]): Promise<void> => {
    try {
      const outcomes = transact(batch);
      await sync();
      failure = undefined;
      outcomes.forEach((outcome, index) => {
        if (outcome.ok) batch[index]?.resolve(outcome.result);
        else batch[index]?.reject(outcome.error);
      });
    } catch (cause) {
      failure = isAntirioError(cause) ? cause : storeError(cause);
      for (const entry of batch) entry.reject(failure);
    }
  };
  const work = async (): Promise<void> => {
    // Requests that were read in the same turn of the event loop share the first transaction.
    await new Promise((resolve) => setImmediate(resolve));
    while (queue.length > 0) {
      const batch = queue.slice(0, maxBatch);
      queue = queue.slice(maxBatch);
      await commit(batch);
      for (const entry of batch) pendingBytes -= entry.bytes;
      pending -= batch.length;
    }
    working = undefined;
  };
  const run = <R>(bytes: number, body: () => R): Promise<R> => {
    if (closed) return Promise.reject(new AntirioError('unavailable', 'the store is closed'));
    if (pending >= maxPending || pendingBytes + bytes > maxPendingBytes) {
      refused += 1;
      return Promise.reject(new AntirioError('unavailable', 'the store does not keep up', { pending }));
    }
    pending += 1;
    pendingBytes += bytes;
    const done = Promise.withResolvers<R>();
    queue.push({
      bytes,
      work: body,
      resolve: (result) => done.resolve(result as R),
      reject: (error) => done.reject(error),
    });
    working ??= work();
    return done.promise;
  };
  const check = async (clock: Clock): Promise<Check> => {
    const told = refused === 0 ? {} : { detail: `${refused} refused because too much waited` };
    if (failure === undefined && clock.monotonic() - triedAt < PROBE_EVERY_MS) return { ok: true, ...told };
    try {
      await run(0, () => probe.run(Math.trunc(clock.now())));
      triedAt = clock.monotonic();
      return { ok: true, ...told };
    } catch (error) {
      return { ok: false, detail: describeError(error) };
    }
  };
  return {
    run,
    check,
    get pending() {
      return pending;
    },
    get refused() {
      return refused;
    },
    async close() {
      closed = true;
      await working;
      closeSync(wal);
    },
  };
}
