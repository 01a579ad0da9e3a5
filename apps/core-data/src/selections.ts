import type { StatementSync } from 'node:sqlite';
import type { Database } from '@antirio/host';
import type { Arm, Place, Table, TimeRange } from './ordered-rows.ts';
import { createPosted } from './postings.ts';

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

/** Which rows a filter means, without its time range. */
export interface Selections {
  events(filter: EventFilter): readonly Arm[];
  readings(filter: ReadingFilter): readonly Arm[];
  /** The events of one source, whatever their profile. */
  source(device: string, name: string): readonly Arm[];
}

interface NameFilter {
  readonly device?: string | undefined;
  readonly resources?: readonly string[] | undefined;
}

/** The condition on `series s`, with the values of `valuesOf`. */
export function whereOf({ device, resources }: NameFilter): string {
  return [
    ...(device === undefined ? [] : ['s.device = ?']),
    ...(resources === undefined ? [] : ['s.resource IN (SELECT value FROM json_each(?))']),
  ].join(' AND ');
}

export function valuesOf({ device, resources }: NameFilter): string[] {
  return [
    ...(device === undefined ? [] : [device]),
    ...(resources === undefined ? [] : [JSON.stringify(resources)]),
  ];
}

interface Keyed {
  readonly id: number;
  readonly rows: number;
}

/** 1: its events are in `event`, 0: in `single`. */
type SourceKey = Keyed & { readonly manifold: number };

interface Total {
  readonly rows: number;
  /** The last id. */
  readonly through: number;
}

type Totals = Readonly<Record<Table, Total>>;

const KEY: Readonly<Record<Table, string>> = { single: 'source', event: 'source', reading: 'series' };

/** Finds the rows of these sources or series that are not posted yet. */
function createUnposted(
  db: Database,
): (table: Table, keys: readonly number[], through: number) => UnpostedRow[] {
  const select = (table: Table): StatementSync => {
    const made = db.prepare(
      `SELECT ${KEY[table]} AS key, origin, id FROM ${table} WHERE id > ? AND ${KEY[table]} IN (SELECT value FROM json_each(?))`,
    );
    made.setReadBigInts(true);
    return made;
  };
  const selects = { single: select('single'), event: select('event'), reading: select('reading') };
  return (table, keys, through) =>
    selects[table].all(through, JSON.stringify(keys)) as unknown as UnpostedRow[];
}

type UnpostedRow = Place & { readonly key: bigint };

const newestFirst = (a: Place, b: Place): number =>
  a.origin === b.origin ? Number(b.id - a.id) : a.origin < b.origin ? 1 : -1;

function createTotal(db: Database, table: Table, sum: string): () => Total {
  const select = db.prepare(
    `SELECT coalesce((SELECT ${sum}), 0) AS rows, coalesce((SELECT max(id) FROM ${table}), 0) AS through`,
  );
  return () => select.get() as unknown as Total;
}

/** @param db where `source` and `series` say how many rows there are of each. */
export function createSelections(db: Database): Selections {
  const totals = {
    single: createTotal(db, 'single', 'sum(events) FROM source WHERE series <> 0'),
    event: createTotal(db, 'event', 'sum(events) FROM source WHERE series = 0'),
    reading: createTotal(db, 'reading', 'sum(readings) FROM series'),
  };
  const sources = db.prepare(
    'SELECT id, series = 0 AS manifold, events AS rows FROM source WHERE device = ? AND events > 0',
  );
  const posted = createPosted(db);
  const unposted = createUnposted(db);
  const known = new Map<string, StatementSync>();
  const prepared = (sql: string): StatementSync => {
    const made = known.get(sql) ?? db.prepare(sql);
    known.set(sql, made);
    return made;
  };
  const everything = (): Totals => ({
    single: totals.single(),
    event: totals.event(),
    reading: totals.reading(),
  });
  /** What is posted of each key, and together what is not; one arm where that is all of the table. */
  const armsOf = (table: Table, keys: readonly Keyed[], all: Totals): Arm[] => {
    if (keys.length === 0) return [];
    if (keys.reduce((sum, { rows }) => sum + rows, 0) >= all[table].rows) return [{ table, ...all[table] }];
    const through = posted();
    const rest = unposted(
      table,
      keys.map(({ id }) => id),
      through,
    );
    const counts = Map.groupBy(rest, ({ key }) => Number(key));
    const indexed = keys.map(({ id, rows }): Arm => {
      const left = rows - (counts.get(id)?.length ?? 0);
      return { table, key: id, through, rows: left };
    });
    return [...indexed, { table, places: rest.sort(newestFirst), rows: rest.length }];
  };
  const sourceArms = (found: readonly SourceKey[], all: Totals): Arm[] => {
    const of = (manifold: number): SourceKey[] => found.filter((source) => source.manifold === manifold);
    return [...armsOf('single', of(0), all), ...armsOf('event', of(1), all)];
  };

  return {
    events({ device }) {
      const all = everything();
      if (device === undefined)
        return [
          { table: 'single', ...all.single },
          { table: 'event', ...all.event },
        ];
      return sourceArms(sources.all(device) as unknown as SourceKey[], all);
    },
    readings({ device, resources }) {
      const all = everything();
      if (device === undefined && resources === undefined)
        return [
          { table: 'single', ...all.single },
          { table: 'reading', ...all.reading },
        ];
      const conditions = whereOf({ device, resources });
      const values = valuesOf({ device, resources });
      const own = prepared(
        `SELECT s.id, s.readings AS rows FROM series s WHERE ${conditions} AND s.readings > 0`,
      );
      const inSingles = prepared(
        `SELECT o.id, o.events AS rows FROM series s JOIN source o ON o.series = s.id WHERE ${conditions} AND o.events > 0`,
      );
      const keysBy = (select: StatementSync): Keyed[] => select.all(...values) as unknown as Keyed[];
      return [...armsOf('single', keysBy(inSingles), all), ...armsOf('reading', keysBy(own), all)];
    },
    source(device, name) {
      const select = prepared(
        'SELECT id, series = 0 AS manifold, events AS rows FROM source WHERE device = ? AND name = ? AND events > 0',
      );
      return sourceArms(select.all(device, name) as unknown as SourceKey[], everything());
    },
  };
}
