import { closeSync, fdatasync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { StatementSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { describeError, type AntirioError, type Clock } from '@antirio/kernel';
import {
  attempt,
  settleAll,
  shortfallOf,
  storeError,
  transactSound,
  type Outcome,
  type Work,
} from './batch-outcomes.ts';
import { BatchQueue, type BatchEntry, type BatchLimits, type RunOptions } from './batch-queue.ts';
import type { Database } from './database.ts';
import type { Check } from './service.ts';

const fdatasyncAsync = promisify(fdatasync);
const PROBE_EVERY_MS = 10_000;
/** A store that was full is no more when it takes so much at once. */
const ROOM_BYTES = 1 << 20;

/** A batch is a transaction. */
export interface GroupCommitOptions extends BatchLimits {
  readonly db: Database;
  readonly path: string;
  /** Within the transaction, after the last piece of work. */
  readonly beforeCommit?: () => void;
  /** What was remembered of a transaction that did not happen must be forgotten. When this throws, nothing is taken any more. */
  readonly onRollback?: () => void;
}

/** Pieces of work on a SQLite store that share transactions, each acknowledged when its transaction is on the disk. */
export interface GroupCommit {
  /**
   * Runs the work in the next transaction; resolves with its result once that is durable. Work that refuses (with an AntirioError)
   * does so before it writes: its neighbours in the transaction are not concerned. Where one throws what is neither a refusal nor the
   * store's, that is undone and its neighbours are run again without it: nothing but the store may remember that work was run.
   * @throws AntirioError unavailable when too much waits already; storageFull; or what the work threw.
   */
  run<R>(bytes: number, work: () => R, options?: RunOptions): Promise<R>;
  readonly pending: number;
  /** What was refused because too much waited. */
  readonly refused: number;
  /** What the store failed to take: full, or broken. Its senders were told. */
  readonly failed: number;
  /** Why nothing is taken until the store is opened again, where that is so. */
  readonly broken: string | undefined;
  /** Whether the store takes writes: known from the last one, or tried when that was 10 s ago or failed. */
  check(clock: Clock): Promise<Check>;
  /** Waits for what is under way; refuses what comes later. */
  close(): Promise<void>;
}

type Entry = BatchEntry<Work>;

function syncDirectory(path: string): void {
  const fd = openSync(dirname(path), 'r');
  fsyncSync(fd);
  closeSync(fd);
}

class SqliteGroupCommit implements GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #db: Database;
  readonly #probe: StatementSync;
  readonly #needRoom: StatementSync;
  readonly #wal: number;
  readonly #queue: BatchQueue<Work>;
  #failed = 0;
  #failure: AntirioError | undefined;
  /** Small commits may succeed on a full disk: what a larger one wrote before it failed has its room in the log. */
  #wasFull = false;
  #broken = false;
  #triedAt = -Infinity;
  /** Writes something, so that it is known whether the store takes it. */
  readonly #trial = (): unknown => this.#probe.run();
  readonly #roomTrial = (): unknown => this.#needRoom.run();

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#queue = new BatchQueue(options, (batch) => this.#commit(batch));
    this.#db = options.db;
    this.#db.exec(
      'PRAGMA synchronous=NORMAL; CREATE TABLE IF NOT EXISTS probe(id INTEGER PRIMARY KEY, at INTEGER);' +
        ' INSERT OR REPLACE INTO probe VALUES(1, 0)',
    );
    this.#probe = this.#db.prepare('UPDATE probe SET at = at + 1 WHERE id = 1');
    this.#needRoom = this.#db.prepare(`UPDATE probe SET at = zeroblob(${ROOM_BYTES}) WHERE id = 1`);
    this.#wal = openSync(`${options.path}-wal`, 'r');
    syncDirectory(options.path);
  }

  get pending(): number {
    return this.#queue.pending;
  }

  get refused(): number {
    return this.#queue.refused;
  }

  get failed(): number {
    return this.#failed;
  }

  get broken(): string | undefined {
    return this.#broken ? describeError(this.#failure) : undefined;
  }

  run<R>(bytes: number, work: () => R, options?: RunOptions): Promise<R> {
    return this.#queue.add<R>(bytes, work, options);
  }

  async check(clock: Clock): Promise<Check> {
    const told = this.#told();
    const fresh = clock.monotonic() - this.#triedAt < PROBE_EVERY_MS;
    if (this.#failure === undefined && !this.#wasFull && fresh) return { ok: true, ...told };
    try {
      if (this.#wasFull) await this.run(0, this.#roomTrial);
      this.#wasFull = false;
      await this.run(0, this.#trial);
      this.#triedAt = clock.monotonic();
      return { ok: true, ...told };
    } catch (error) {
      return { ok: false, detail: describeError(error) };
    }
  }

  async close(): Promise<void> {
    if (this.#queue.isClosed) return;
    await this.#queue.close();
    closeSync(this.#wal);
  }

  #told(): { readonly detail?: string } {
    const said = shortfallOf(this.refused, this.#failed);
    return said === undefined ? {} : { detail: said };
  }

  /** Returns how to tell the owners. */
  async #commit(batch: readonly Entry[]): Promise<() => void> {
    try {
      const outcomes = transactSound(batch, (some) => this.#transact(some));
      await this.#sync();
      this.#failure = undefined;
      return () => settleAll(batch, outcomes);
    } catch (cause) {
      const failure = storeError(cause);
      this.#failure = failure;
      this.#failed += batch.filter(({ item }) => item !== this.#trial && item !== this.#roomTrial).length;
      this.#wasFull ||= failure.code === 'storageFull';
      return () => {
        for (const entry of batch) entry.reject(failure);
      };
    }
  }

  /** Nothing is written when a piece of work broke. */
  #transact(batch: readonly Entry[]): Outcome[] {
    if (this.#broken) throw storeError(this.#failure);
    const { beforeCommit } = this.#options;
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const outcomes = batch.map(attempt);
      if (outcomes.some(({ kind }) => kind === 'broke')) {
        this.#undo();
        return outcomes;
      }
      beforeCommit?.();
      this.#db.exec('COMMIT');
      return outcomes;
    } catch (error) {
      this.#undo();
      throw error;
    }
  }

  #undo(): void {
    try {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      this.#options.onRollback?.();
    } catch (cause) {
      // What is remembered may be ahead of what is stored: only opening the store again tells what is there.
      this.#broken = true;
      throw cause;
    }
  }

  async #sync(): Promise<void> {
    try {
      await fdatasyncAsync(this.#wal);
    } catch (cause) {
      // The kernel may have dropped what it could not write: only opening the store again tells what is there.
      this.#broken = true;
      throw cause;
    }
  }
}

/**
 * SQLite writes each commit to the write-ahead log without waiting for the disk (`synchronous=NORMAL`), and the log is synced from
 * here, off the event loop: while one sync is under way the next transaction gathers. SQLite itself syncs what checkpoints need.
 */
export function createGroupCommit(options: GroupCommitOptions): GroupCommit {
  return new SqliteGroupCommit(options);
}
