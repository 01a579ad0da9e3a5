import type { StatementSync } from 'node:sqlite';
import type { Database } from '@antirio/host';
import { hasRows, type Page } from '@antirio/edgex-contracts';
import { uuidBytes } from './event-writer.ts';
import { createRowText } from './row-text.ts';
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
  /** @throws AntirioError rangeNotSatisfiable */
  readings(filter: ReadingFilter, page: Page): Result;
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

export function createEventReader(db: Database): EventReader {
  const prepare = statements(db);
  const rowText = createRowText(db);
  const EVENT = `SELECT id, hex(uuid) AS uuid, source, CAST(origin AS TEXT) AS origin, tags FROM event WHERE`;
  const READING = `SELECT series, CAST(origin AS TEXT) AS origin, value, tags FROM reading WHERE`;
  const eventRow = db.prepare(`${EVENT} id = ?`);
  const eventByUuid = db.prepare(`${EVENT} uuid = ?`);
  const readingRow = db.prepare(`${READING} id = ?`);
  const readingsOfEvent = db.prepare(`${READING} id BETWEEN ? AND ? ORDER BY id`);

  const eventText = (row: Record<string, unknown>): string => {
    const id = Number(row['id']);
    const readings = readingsOfEvent
      .all(firstReadingOf(id), lastReadingOf(id))
      .map((reading) => rowText.reading(reading));
    return rowText.event(row, readings);
  };
  const sourcesOf = ({ device }: EventFilter): { ids: readonly number[] | undefined; count: number } => {
    const where = device === undefined ? '' : 'WHERE device = ?';
    const given = device === undefined ? [] : [device];
    if (device === undefined)
      return {
        ids: undefined,
        count: Number(prepare('SELECT sum(events) AS n FROM source').get()?.['n'] ?? 0),
      };
    const rows = prepare(`SELECT id, events FROM source ${where}`).all(...given);
    return {
      ids: rows.map((row) => Number(row['id'])),
      count: rows.reduce((sum, row) => sum + Number(row['events']), 0),
    };
  };
  const seriesOf = ({
    device,
    resources,
  }: ReadingFilter): { ids: readonly number[] | undefined; count: number } => {
    if (device === undefined && resources === undefined)
      return {
        ids: undefined,
        count: Number(prepare('SELECT sum(readings) AS n FROM series').get()?.['n'] ?? 0),
      };
    const conditions = [
      ...(device === undefined ? [] : ['device = ?']),
      ...(resources === undefined ? [] : ['resource IN (SELECT value FROM json_each(?))']),
    ];
    const rows = prepare(`SELECT id, readings FROM series WHERE ${conditions.join(' AND ')}`).all(
      ...(device === undefined ? [] : [device]),
      ...(resources === undefined ? [] : [JSON.stringify(resources)]),
    );
    return {
      ids: rows.map((row) => Number(row['id'])),
      count: rows.reduce((sum, row) => sum + Number(row['readings']), 0),
    };
  };
  const count = (selection: Selection, whole: number): number => {
    if (selection.range === undefined || whole === 0) return whole;
    const { text, values } = countSql(selection);
    return Number(prepare(text).get(...values)?.['n'] ?? 0);
  };
  const page = (selection: Selection, whole: number, of: Page, toText: (id: number) => string): Result => {
    const total = of.counted ? count(selection, whole) : 0;
    const wanted = of.counted ? hasRows(total, of) : of.limit > 0 && whole > 0;
    if (!wanted || selection.keys?.length === 0) return { total, items: [] };
    const { text, values } = pageSql(selection, of);
    return {
      total,
      items: prepare(text)
        .all(...values)
        .map((row) => toText(Number(row['id']))),
    };
  };
  const eventSelection = (filter: EventFilter, ids: readonly number[] | undefined): Selection => ({
    table: 'event',
    key: 'source',
    keys: ids,
    range: filter.range,
  });
  const readingSelection = (filter: ReadingFilter, ids: readonly number[] | undefined): Selection => ({
    table: 'reading',
    key: 'series',
    keys: ids,
    range: filter.range,
  });
  return {
    eventById(uuid) {
      const row = eventByUuid.get(uuidBytes(uuid));
      return row === undefined ? undefined : eventText(row);
    },
    events(filter, of) {
      const { ids, count: whole } = sourcesOf(filter);
      return page(eventSelection(filter, ids), whole, of, (id) => eventText(eventRow.get(id) ?? {}));
    },
    readings(filter, of) {
      const { ids, count: whole } = seriesOf(filter);
      return page(readingSelection(filter, ids), whole, of, (id) =>
        rowText.reading(readingRow.get(id) ?? {}),
      );
    },
    eventCount(filter) {
      const { ids, count: whole } = sourcesOf(filter);
      return count(eventSelection(filter, ids), whole);
    },
    readingCount(filter) {
      const { ids, count: whole } = seriesOf(filter);
      return count(readingSelection(filter, ids), whole);
    },
  };
}
