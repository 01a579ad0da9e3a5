import type { StatementSync } from 'node:sqlite';
import type { Database } from '@antirio/host';
import { hasRows, type Page } from '@antirio/edgex-contracts';
import { uuidBytes } from './event-writer.ts';
import { createRowText, type RowText } from './row-text.ts';
import { firstReadingOf, lastReadingOf } from './schema.ts';

export interface TimeRange {
  readonly start: bigint;
  readonly end: bigint;
}

export interface ReadingFilter {
  readonly device?: string;
  /** Any of these. */
  readonly resources?: readonly string[];
  readonly range?: TimeRange;
}

export interface EventFilter {
  readonly device?: string;
  readonly range?: TimeRange;
}

/** One page of a result, newest origin first: the JSON text of each item, and how many there are in all (0 when not counted). */
export interface Result {
  readonly total: number;
  readonly items: readonly string[];
}

export interface EventReader {
  eventById(uuid: string): string | undefined;
  /** @throws AntirioError rangeNotSatisfiable */
  events(filter: EventFilter, page: Page): Result;
  /** With `numeric`, values of numeric types are JSON numbers instead of text. @throws AntirioError rangeNotSatisfiable */
  readings(filter: ReadingFilter, page: Page, numeric?: boolean): Result;
  eventCount(filter: EventFilter): number;
  readingCount(filter: ReadingFilter): number;
}

/** Above this many, what a merge of so many index scans costs is more than a scan of all by origin. */
const MERGED = 50;

interface Selection {
  readonly table: 'event' | 'reading';
  readonly key: 'source' | 'series';
  /** Undefined: all of them. */
  readonly keys: readonly number[] | undefined;
  readonly range: TimeRange | undefined;
}

interface Sql {
  readonly text: string;
  readonly values: readonly (number | bigint | string)[];
}

const NEWEST_FIRST = 'ORDER BY origin DESC, id DESC LIMIT ? OFFSET ?';

/** One index scan for each key, merged: the order by origin comes from the index, and the scan ends with the page. */
function pageSql({ table, key, keys, range }: Selection, page: Page): Sql {
  const within = range === undefined ? '' : 'origin BETWEEN ? AND ?';
  const bounds = range === undefined ? [] : [range.start, range.end];
  const ends = [page.limit, page.offset];
  if (keys !== undefined && keys.length <= MERGED) {
    const one = `SELECT id, origin FROM ${table} WHERE ${key} = ?${within === '' ? '' : ` AND ${within}`}`;
    const text = `${keys.map(() => one).join(' UNION ALL ')} ${NEWEST_FIRST}`;
    return { text, values: [...keys.flatMap((id) => [id, ...bounds]), ...ends] };
  }
  const among = keys === undefined ? '' : `${key} IN (SELECT value FROM json_each(?))`;
  const where = [among, within].filter((part) => part !== '').join(' AND ');
  const text = `SELECT id, origin FROM ${table} INDEXED BY ${table}_origin ${where === '' ? '' : `WHERE ${where} `}${NEWEST_FIRST}`;
  return { text, values: [...(keys === undefined ? [] : [JSON.stringify(keys)]), ...bounds, ...ends] };
}

function countSql({ table, key, keys, range }: Selection): Sql {
  const among = keys === undefined ? '' : `${key} IN (SELECT value FROM json_each(?)) AND `;
  const bounds = range === undefined ? [0n, 0n] : [range.start, range.end];
  return {
    text: `SELECT count(*) AS n FROM ${table} WHERE ${among}origin BETWEEN ? AND ?`,
    values: [...(keys === undefined ? [] : [JSON.stringify(keys)]), ...bounds],
  };
}

const STATEMENTS_KEPT = 256;

/** Statements by their text, prepared once. */
function statements(db: Database): (text: string) => StatementSync {
  const known = new Map<string, StatementSync>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined) return found;
    if (known.size >= STATEMENTS_KEPT) known.clear();
    const made = db.prepare(text);
    // origins do not fit into a number
    made.setReadBigInts(true);
    known.set(text, made);
    return made;
  };
}

const EVENT = 'SELECT id, hex(uuid) AS uuid, source, CAST(origin AS TEXT) AS origin, tags FROM event WHERE';
const READING = 'SELECT series, CAST(origin AS TEXT) AS origin, value, tags FROM reading WHERE';

type Row = Readonly<Record<string, unknown>>;

/** The ids that a filter selects (undefined: all), and how many rows refer to them in all. */
interface Keys {
  readonly ids: readonly number[] | undefined;
  readonly whole: number;
}

function keysOf(rows: readonly Row[], counter: 'events' | 'readings'): Keys {
  return {
    ids: rows.map((row) => Number(row['id'])),
    whole: rows.reduce((sum, row) => sum + Number(row[counter]), 0),
  };
}

class SqliteEventReader implements EventReader {
  readonly #prepare: (text: string) => StatementSync;
  readonly #rowText: RowText;
  readonly #eventRow: StatementSync;
  readonly #eventByUuid: StatementSync;
  readonly #readingRow: StatementSync;
  readonly #readingsOfEvent: StatementSync;

  constructor(db: Database) {
    this.#prepare = statements(db);
    this.#rowText = createRowText(db);
    this.#eventRow = db.prepare(`${EVENT} id = ?`);
    this.#eventByUuid = db.prepare(`${EVENT} uuid = ?`);
    this.#readingRow = db.prepare(`${READING} id = ?`);
    this.#readingsOfEvent = db.prepare(`${READING} id BETWEEN ? AND ? ORDER BY id`);
  }

  eventById(uuid: string): string | undefined {
    const row = this.#eventByUuid.get(uuidBytes(uuid));
    return row === undefined ? undefined : this.#eventText(row);
  }

  events(filter: EventFilter, page: Page): Result {
    const keys = this.#sourcesOf(filter);
    const selection = { table: 'event', key: 'source', keys: keys.ids, range: filter.range } as const;
    return this.#page(selection, keys.whole, page, (id) => this.#eventText(this.#eventRow.get(id) ?? {}));
  }

  readings(filter: ReadingFilter, page: Page, numeric = false): Result {
    const keys = this.#seriesOf(filter);
    const selection = { table: 'reading', key: 'series', keys: keys.ids, range: filter.range } as const;
    return this.#page(selection, keys.whole, page, (id) =>
      this.#rowText.reading(this.#readingRow.get(id) ?? {}, numeric),
    );
  }

  eventCount(filter: EventFilter): number {
    const { ids, whole } = this.#sourcesOf(filter);
    return this.#count({ table: 'event', key: 'source', keys: ids, range: filter.range }, whole);
  }

  readingCount(filter: ReadingFilter): number {
    const { ids, whole } = this.#seriesOf(filter);
    return this.#count({ table: 'reading', key: 'series', keys: ids, range: filter.range }, whole);
  }

  #eventText(row: Row): string {
    const id = Number(row['id']);
    const readings = this.#readingsOfEvent.all(firstReadingOf(id), lastReadingOf(id));
    return this.#rowText.event(
      row,
      readings.map((reading) => this.#rowText.reading(reading, false)),
    );
  }

  #sum(table: 'source' | 'series', counter: 'events' | 'readings'): Keys {
    const row = this.#prepare(`SELECT sum(${counter}) AS n FROM ${table}`).get();
    return { ids: undefined, whole: Number(row?.['n'] ?? 0) };
  }

  #sourcesOf({ device }: EventFilter): Keys {
    if (device === undefined) return this.#sum('source', 'events');
    return keysOf(this.#prepare('SELECT id, events FROM source WHERE device = ?').all(device), 'events');
  }

  #seriesOf({ device, resources }: ReadingFilter): Keys {
    if (device === undefined && resources === undefined) return this.#sum('series', 'readings');
    const conditions = [
      ...(device === undefined ? [] : ['device = ?']),
      ...(resources === undefined ? [] : ['resource IN (SELECT value FROM json_each(?))']),
    ];
    const values = [
      ...(device === undefined ? [] : [device]),
      ...(resources === undefined ? [] : [JSON.stringify(resources)]),
    ];
    const select = this.#prepare(`SELECT id, readings FROM series WHERE ${conditions.join(' AND ')}`);
    return keysOf(select.all(...values), 'readings');
  }

  #count(selection: Selection, whole: number): number {
    if (selection.range === undefined || whole === 0) return whole;
    const { text, values } = countSql(selection);
    return Number(this.#prepare(text).get(...values)?.['n'] ?? 0);
  }

  #page(selection: Selection, whole: number, page: Page, toText: (id: number) => string): Result {
    const total = page.counted ? this.#count(selection, whole) : 0;
    const wanted = page.counted ? hasRows(total, page) : page.limit > 0 && whole > 0;
    if (!wanted || selection.keys?.length === 0) return { total, items: [] };
    const { text, values } = pageSql(selection, page);
    const rows = this.#prepare(text).all(...values);
    return { total, items: rows.map((row) => toText(Number(row['id']))) };
  }
}

export function createEventReader(db: Database): EventReader {
  return new SqliteEventReader(db);
}
