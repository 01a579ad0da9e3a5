import type { StatementSync } from 'node:sqlite';
import type { Database } from '@antirio/host';

/** Rows of names that many others refer to, found by what they say; with a count of who refers to them. */
export interface Interned {
  /** The id of the row that says this, made when there is none. */
  idOf(values: readonly (string | number)[]): number;
  /** To be added to the row's count when the transaction ends. */
  count(id: number, difference: number): void;
  /** Writes the counts. */
  flush(): void;
  /** After a rollback, or when rows were deleted: nothing remembered holds any more. */
  forget(): void;
}

const REMEMBERED = 50_000;

export function createInterned(
  db: Database,
  table: 'source' | 'series',
  columns: readonly string[],
  counter: 'events' | 'readings',
): Interned {
  const places = columns.map(() => '?').join(',');
  const find: StatementSync = db.prepare(
    `SELECT id FROM ${table} WHERE ${columns.map((column) => `${column}=?`).join(' AND ')}`,
  );
  const insert = db.prepare(`INSERT INTO ${table}(${columns.join(',')}) VALUES(${places})`);
  const add = db.prepare(`UPDATE ${table} SET ${counter} = ${counter} + ? WHERE id = ?`);
  const ids = new Map<string, number>();
  const differences = new Map<number, number>();

  return {
    idOf(values) {
      const key = values.join('\u0000');
      const known = ids.get(key);
      if (known !== undefined) return known;
      const found = find.get(...values)?.['id'];
      const id = Number(found ?? insert.run(...values).lastInsertRowid);
      if (ids.size >= REMEMBERED) ids.clear();
      ids.set(key, id);
      return id;
    },
    count(id, difference) {
      differences.set(id, (differences.get(id) ?? 0) + difference);
    },
    flush() {
      for (const [id, difference] of differences) add.run(difference, id);
      differences.clear();
    },
    forget() {
      ids.clear();
      differences.clear();
    },
  };
}
