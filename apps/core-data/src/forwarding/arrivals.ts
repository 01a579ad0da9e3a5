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
  /** What each of them takes of the store, rather too much than too little; 0 of one that is gone. */
  bytesOf(arrivals: readonly Arrival[]): Promise<number[]>;
}

/** Rows that are looked at in one step, of each table. */
const ROWS_AT_ONCE = 500;
/** What a row takes besides its value and tags, in its table and the indexes. */
const ROW_BYTES = 100;
const PAGE_BYTES = 4096;
/** The next page's number is in each page of what a row has no room for. */
const OVERFLOW_BYTES = PAGE_BYTES - 4;
/** Of a row that is too long for its page so much is there in any case, and so much at most. */
const LOCAL_BYTES = { least: 489, most: 1002 };

/** By SQLite's file format, and a tenth more, since pages are not full. */
function rowBytes(contents: number): number {
  const bytes = contents + ROW_BYTES;
  const local = LOCAL_BYTES.least + ((bytes - LOCAL_BYTES.least) % OVERFLOW_BYTES);
  const here = local <= LOCAL_BYTES.most ? local : LOCAL_BYTES.least;
  const elsewhere = Math.max(0, Math.ceil((bytes - here) / OVERFLOW_BYTES)) * PAGE_BYTES;
  return Math.ceil((bytes <= LOCAL_BYTES.most ? bytes : here + elsewhere) * 1.1);
}

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
  const contents = 'coalesce(octet_length(value), 0) + coalesce(octet_length(tags), 0) AS bytes';
  const sizeOf = prepared((table) =>
    table === 'single'
      ? `SELECT ${contents}, 0 AS readings FROM single WHERE id = ?`
      : 'SELECT coalesce(octet_length(tags), 0) AS bytes, readings FROM event WHERE id = ?',
  );
  const readingSizes = db.prepare(`SELECT ${contents} FROM reading WHERE id >= ? AND id < ?`);
  const bytesOf = ({ table, id }: Arrival): number => {
    const row = sizeOf[table].get(id);
    if (row === undefined) return 0;
    const rows = readingSizes.all(id, id + Number(row['readings']));
    return rows.reduce(
      (sum, reading) => sum + rowBytes(Number(reading['bytes'])),
      rowBytes(Number(row['bytes'])),
    );
  };
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
        return found.flatMap(({ id, source, uuid, origin }) => {
          const names = namesOf(source);
          if (!isWanted(names.device)) return [];
          return [{ ...names, id, table, uuid: uuidText(uuid), origin: BigInt(origin) }];
        });
      });
      const arrivals = rows.filter(({ id }) => id <= end);
      return { arrivals: arrivals.sort((a, b) => a.id - b.id), through: end };
    },
    bytesOf: async (arrivals) => arrivals.map(bytesOf),
  };
}
