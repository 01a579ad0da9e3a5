import type { StatementSync } from 'node:sqlite';
import type { Database } from '@antirio/host';
import { uuidText } from '../row-text.ts';
import type { SourceNames } from '../sources.ts';

/** An event that arrived, by its place in the order of arrival. */
export interface Arrival {
  readonly id: number;
  readonly table: 'single' | 'event';
  /** The event's own id. */
  readonly uuid: string;
  readonly device: string;
  /** The name of its source. */
  readonly source: string;
  /** Nanoseconds. */
  readonly origin: bigint;
}

/** The events of the store in the order in which they came. */
export interface Arrivals {
  /** The newest place that is taken, 0 where none is. */
  newest(): number;
  /** The oldest event that is still there. */
  oldest(): Promise<number | undefined>;
  /** Events after one place up to another, of devices that are wanted; and how far it was looked. */
  page(
    after: number,
    through: number,
    isWanted: (device: string) => boolean,
  ): Promise<{ readonly arrivals: Arrival[]; readonly through: number }>;
}

/** Rows that are looked at in one step, of each table. */
const ROWS_AT_ONCE = 500;

type Table = Arrival['table'];
const TABLES: readonly Table[] = ['single', 'event'];

interface Place {
  readonly id: number;
  readonly source: number;
  readonly uuid: Uint8Array;
  /** Too large for a number. */
  readonly origin: string;
}

export function createArrivals(db: Database): Arrivals {
  const prepared = (sql: (table: Table) => string): Record<Table, StatementSync> => ({
    single: db.prepare(sql('single')),
    event: db.prepare(sql('event')),
  });
  const list = prepared(
    (table) =>
      `SELECT id, source, uuid, CAST(origin AS TEXT) AS origin FROM ${table} WHERE id > ? AND id <= ? ORDER BY id LIMIT ${ROWS_AT_ONCE}`,
  );
  const edge = prepared((table) => `SELECT min(id) AS oldest, max(id) AS newest FROM ${table}`);
  const named = db.prepare('SELECT device, name AS source FROM source WHERE id = ?');
  const known = new Map<number, SourceNames>();

  const namesOf = (id: number): SourceNames => {
    const found = known.get(id) ?? (named.get(id) as unknown as SourceNames | undefined);
    const names = found ?? { device: '', source: '' };
    if (known.size > 10_000) known.clear();
    known.set(id, names);
    return names;
  };
  const edges = (name: 'oldest' | 'newest'): number[] =>
    TABLES.flatMap((table) => {
      const value = edge[table].get()?.[name];
      return typeof value === 'number' ? [value] : [];
    });
  return {
    newest: () => Math.max(0, ...edges('newest')),
    async oldest() {
      const found = edges('oldest');
      return found.length === 0 ? undefined : Math.min(...found);
    },
    async page(after, through, isWanted) {
      let end = through;
      const rows = TABLES.flatMap((table) => {
        const found = list[table].all(after, through) as unknown as Place[];
        // beyond its last row this table may have more
        if (found.length === ROWS_AT_ONCE) end = Math.min(end, found.at(-1)?.id ?? end);
        return found.map(({ id, source, uuid, origin }) => ({
          ...namesOf(source),
          id,
          table,
          uuid: uuidText(uuid),
          origin: BigInt(origin),
        }));
      });
      const arrivals = rows.filter(({ id, device }) => id <= end && isWanted(device));
      return { arrivals: arrivals.sort((a, b) => a.id - b.id), through: end };
    },
  };
}
