import type { StatementSync } from 'node:sqlite';
import type { Database } from '@antirio/host';

/** Rows of names that many others refer to, found by their texts; with a count of who refers to them. */
export interface Interned {
  /** The id of the row with these texts, made when there is none. */
  idOf(texts: readonly string[]): number;
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
    idOf(texts) {
      const key = texts.length === 3 ? `${texts[0]}\u0000${texts[1]}\u0000${texts[2]}` : texts.join('\u0000');
      const known = ids.get(key);
      if (known !== undefined) return known;
      const found = find.get(...texts)?.['id'];
      const id = Number(found ?? insert.run(...texts).lastInsertRowid);
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
