import type { Database } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';

/** Records of one kind under their ids, as JSON, in the order in which they were first put. */
export interface RecordTable<T> {
  get(id: string): T | undefined;
  all(): T[];
  /** Adds or replaces; durable with the transaction around it. @throws AntirioError busy when there are too many. */
  put(id: string, record: T): void;
  remove(id: string): boolean;
}

/** Records of one kind of which the newest are kept. */
export interface RecordHistory<T> {
  add(record: T): void;
  all(): T[];
}

/** One of the migrations of the database that the table, or the history, is in. */
export function recordTableMigration(name: string): string {
  return `CREATE TABLE ${name} (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, record TEXT NOT NULL)`;
}

const text = (row: Record<string, unknown>): string => String(row['record']);

/** That a record is a `T` is the room's word: nobody else writes them. */
export function openRecordTable<T>(db: Database, name: string, max = 10_000): RecordTable<T> {
  const get = db.prepare(`SELECT record FROM ${name} WHERE id = ?`);
  const all = db.prepare(`SELECT record FROM ${name} ORDER BY seq`);
  const count = db.prepare(`SELECT COUNT(*) AS n FROM ${name}`);
  const update = db.prepare(`UPDATE ${name} SET record = ? WHERE id = ?`);
  const insert = db.prepare(`INSERT INTO ${name} (id, record) VALUES (?, ?)`);
  const remove = db.prepare(`DELETE FROM ${name} WHERE id = ?`);
  return {
    get: (id) => {
      const row = get.get(id);
      return row === undefined ? undefined : (JSON.parse(text(row)) as T);
    },
    all: () => all.all().map((row) => JSON.parse(text(row)) as T),
    put: (id, record) => {
      const json = JSON.stringify(record);
      if (update.run(json, id).changes > 0) return;
      if (Number(count.get()?.['n']) >= max)
        throw new AntirioError('busy', `there are already ${max} of ${name}`);
      insert.run(id, json);
    },
    remove: (id) => remove.run(id).changes > 0,
  };
}

export function openRecordHistory<T>(db: Database, name: string, kept = 1000): RecordHistory<T> {
  const all = db.prepare(`SELECT record FROM ${name} ORDER BY seq`);
  const insert = db.prepare(`INSERT INTO ${name} (record) VALUES (?)`);
  const trim = db.prepare(`DELETE FROM ${name} WHERE seq <= (SELECT MAX(seq) FROM ${name}) - ?`);
  return {
    add: (record) => {
      insert.run(JSON.stringify(record));
      trim.run(kept);
    },
    all: () => all.all().map((row) => JSON.parse(text(row)) as T),
  };
}
