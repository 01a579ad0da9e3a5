import { AntirioError, type Clock } from '@antirio/kernel';
import {
  attempt,
  BatchQueue,
  inTransaction,
  openDatabase,
  settleAll,
  shortfallOf,
  storeError,
  transactSound,
  type BatchEntry,
  type Check,
  type Database,
  type GroupCommit,
  type Outcome,
  type RunOptions,
  type Work,
} from '@antirio/host';
import type { Command, Plain } from './commands.ts';
import type { RedisStoreOptions } from './options.ts';
import { openRedisStore, type RedisStore, type RedisStorePorts } from './redis-store.ts';

/** What is little enough to be in memory as a whole: tables of SQLite, each with the columns that tell its rows apart. */
export interface Tables {
  readonly migrations: readonly string[];
  readonly keys: Readonly<Record<string, readonly string[]>>;
  /** Makes what other tables have from those, once they were read. */
  readonly afterLoading?: string;
}

type SqlValue = string | number | bigint | null;
type Row = Readonly<Record<string, SqlValue>>;

const SCANNED_AT_ONCE = 500;

const list = (columns: readonly string[]): string => columns.map((column) => `"${column}"`).join(', ');

/** Notes in `changed` which rows of a table a transaction writes. */
function triggersOf(table: string, key: readonly string[]): string {
  const noted = (row: 'NEW' | 'OLD'): string => {
    const values = key.map((column) => `${row}."${column}"`).join(', ');
    // a statement's own rule for conflicts would hold here as well: no row is refused
    return `INSERT INTO changed VALUES('${table}', json_array(${values}));`;
  };
  return (
    `CREATE TEMP TRIGGER "${table}_insert" AFTER INSERT ON "${table}" BEGIN ${noted('NEW')} END;` +
    `CREATE TEMP TRIGGER "${table}_update" AFTER UPDATE ON "${table}" BEGIN ${noted('OLD')} ${noted('NEW')} END;` +
    `CREATE TEMP TRIGGER "${table}_delete" AFTER DELETE ON "${table}" BEGIN ${noted('OLD')} END;`
  );
}

/** The tables in memory. */
class Mirror {
  readonly db: Database;
  readonly #tables: Tables;

  constructor(tables: Tables) {
    this.#tables = tables;
    this.db = openDatabase(':memory:', tables.migrations);
    this.db.exec('CREATE TEMP TABLE changed("table" TEXT, key TEXT)');
    for (const [table, key] of Object.entries(tables.keys)) this.db.exec(triggersOf(table, key));
  }

  get names(): readonly string[] {
    return Object.keys(this.#tables.keys);
  }

  /** What Redis has to do so that it has the rows that were written, which are then forgotten. */
  commands(keyOf: (table: string) => string): Command[] {
    const changed = this.db.prepare('SELECT DISTINCT "table", key FROM changed').all() as {
      table: string;
      key: string;
    }[];
    this.db.exec('DELETE FROM changed');
    return changed.map(({ table, key }) => {
      const row = this.#row(table, JSON.parse(key) as SqlValue[]);
      return row === undefined
        ? ['HDEL', keyOf(table), key]
        : ['HSET', keyOf(table), key, JSON.stringify(row)];
    });
  }

  /** All rows anew. */
  fill(rows: ReadonlyMap<string, readonly Row[]>): void {
    inTransaction(this.db, () => {
      for (const table of this.names) this.db.exec(`DELETE FROM "${table}"`);
      for (const [table, all] of rows) for (const row of all) this.#insert(table, row);
      this.db.exec(`${this.#tables.afterLoading ?? ''}; DELETE FROM changed`);
    });
  }

  /** What was written before and was taken back, once more. @throws where it does not fit what is there */
  redo(changes: Uint8Array): void {
    inTransaction(this.db, () => {
      if (!this.db.applyChangeset(changes))
        throw new AntirioError('conflict', 'the tables are not as they were when the changes were made');
      this.db.exec('DELETE FROM changed');
    });
  }

  #row(table: string, key: readonly SqlValue[]): Row | undefined {
    const where = (this.#tables.keys[table] ?? []).map((column) => `"${column}" = ?`).join(' AND ');
    return this.db.prepare(`SELECT * FROM "${table}" WHERE ${where}`).get(...key) as Row | undefined;
  }

  #insert(table: string, row: Row): void {
    const columns = Object.keys(row);
    const marks = columns.map(() => '?').join(', ');
    this.db
      .prepare(`INSERT OR REPLACE INTO "${table}"(${list(columns)}) VALUES(${marks})`)
      .run(...Object.values(row));
  }
}

/** All rows of a hash. */
async function rowsOf(store: RedisStore, table: string): Promise<Row[]> {
  const rows: Row[] = [];
  let cursor = '0';
  do {
    const [next, fields] = (await store.read([
      'HSCAN',
      store.key(table),
      cursor,
      'COUNT',
      SCANNED_AT_ONCE,
    ])) as [Buffer, Buffer[]];
    cursor = next.toString();
    // a field, then its value
    fields.forEach((text, index) => {
      if (index % 2 === 1) rows.push(JSON.parse(text.toString()) as Row);
    });
  } while (cursor !== '0');
  return rows;
}

/** What a batch would write, which nobody has seen yet. */
interface Planned {
  readonly outcomes: Outcome[];
  readonly commands: readonly Command[];
  readonly changes: Uint8Array;
}

/**
 * Work runs on the tables in memory, within a transaction that is taken back at once: who reads them sees what was written only when
 * Redis has it. Where it is not known whether it has, the tables are read anew before anything else is written.
 */
class MirroredCommit implements GroupCommit {
  readonly #store: RedisStore;
  readonly #mirror: Mirror;
  readonly #queue: BatchQueue<Work>;
  #failed = 0;
  #isStale = true;

  constructor(store: RedisStore, mirror: Mirror) {
    this.#store = store;
    this.#mirror = mirror;
    this.#queue = new BatchQueue({}, (batch) => this.#commit(batch));
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
    return this.#store.broken;
  }

  run<R>(bytes: number, work: () => R, options?: RunOptions): Promise<R> {
    return this.#queue.add<R>(bytes, work, options);
  }

  async check(_: Clock): Promise<Check> {
    const store = await this.#store.check();
    if (store.ok && this.#isStale)
      await this.run(0, () => undefined, { bounded: true }).catch(() => undefined);
    const said = shortfallOf(this.refused, this.#failed);
    return !store.ok || said === undefined ? store : { ok: true, detail: said };
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#store.close();
  }

  async #commit(batch: readonly BatchEntry<Work>[]): Promise<() => void> {
    try {
      if (this.#isStale) await this.#read();
      const outcomes = await this.#transacted(batch);
      return () => settleAll(batch, outcomes);
    } catch (cause) {
      const failure = storeError(cause);
      this.#failed += batch.length;
      return () => batch.forEach(({ reject }) => reject(failure));
    }
  }

  async #transacted(batch: readonly BatchEntry<Work>[]): Promise<Outcome[]> {
    const { outcomes, commands, changes } = this.#planned(batch);
    if (commands.length > 0) {
      this.#isStale = true;
      await this.#store.commit([{ commands } satisfies Plain]);
    }
    await this.#show(changes);
    this.#isStale = false;
    return outcomes;
  }

  #planned(batch: readonly BatchEntry<Work>[]): Planned {
    const { db } = this.#mirror;
    const session = db.createSession();
    try {
      const outcomes = transactSound(batch, (some) => this.#attempted(some));
      const commands = this.#mirror.commands((table) => this.#store.key(table));
      return { outcomes, commands, changes: session.changeset() };
    } finally {
      session.close();
      if (db.isTransaction) db.exec('ROLLBACK');
    }
  }

  /** Leaves the transaction open, unless a piece of work broke. */
  #attempted(batch: readonly BatchEntry<Work>[]): Outcome[] {
    const { db } = this.#mirror;
    db.exec('BEGIN IMMEDIATE');
    const outcomes = batch.map(attempt);
    if (outcomes.some(({ kind }) => kind === 'broke')) db.exec('ROLLBACK');
    return outcomes;
  }

  async #show(changes: Uint8Array): Promise<void> {
    if (changes.length === 0) return;
    try {
      this.#mirror.redo(changes);
    } catch {
      // Redis has them: what is there is what counts
      await this.#read();
    }
  }

  async #read(): Promise<void> {
    const rows = new Map<string, Row[]>();
    for (const table of this.#mirror.names) rows.set(table, await rowsOf(this.#store, table));
    this.#mirror.fill(rows);
    this.#isStale = false;
  }
}

async function checkLayout(store: RedisStore, { migrations }: Tables): Promise<void> {
  const meta = store.key('meta');
  const layout = (await store.read(['HGET', meta, 'layout'])) as Buffer | null;
  if (Number(layout?.toString() ?? 0) > migrations.length)
    throw new AntirioError(
      'badConfig',
      `what is in Redis below ${store.key('')} was written by a newer version`,
    );
  const commands = [['HSET', meta, 'layout', migrations.length]];
  await store.commit([{ commands }], { alsoWhenFull: true });
}

/** Tables in Redis, and in memory for whatever asks. @throws AntirioError badConfig | unavailable */
export async function openMirror(
  options: RedisStoreOptions,
  name: string,
  tables: Tables,
  ports: RedisStorePorts,
): Promise<{ readonly db: Database; readonly commit: GroupCommit }> {
  const store = await openRedisStore(options, name, ports);
  try {
    await checkLayout(store, tables);
    const mirror = new Mirror(tables);
    const commit = new MirroredCommit(store, mirror);
    await commit.run(0, () => undefined);
    return { db: mirror.db, commit };
  } catch (error) {
    await store.close();
    throw error;
  }
}
