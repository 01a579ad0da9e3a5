import type { StatementSync } from 'node:sqlite';
import type { Database } from '@antirio/host';
import type { Arm, TimeRange } from './ordered-rows.ts';

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
}

interface Names {
  readonly id: number;
  readonly series: number;
  readonly rows: number;
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

/** Arms that have all rows of their table in common are one. */
function whole(arms: readonly Arm[], rows: number): readonly Arm[] {
  const [first] = arms;
  if (first === undefined || arms.reduce((sum, arm) => sum + arm.rows, 0) < rows) return arms;
  return [{ table: first.table, rows }];
}

/** @param db where `source` and `series` say how many rows there are of each. */
export function createSelections(db: Database): Selections {
  const totals = db.prepare(
    'SELECT (SELECT coalesce(sum(events), 0) FROM source WHERE series <> 0) AS single,' +
      ' (SELECT coalesce(sum(events), 0) FROM source WHERE series = 0) AS event,' +
      ' (SELECT coalesce(sum(readings), 0) FROM series) AS reading',
  );
  const sources = db.prepare('SELECT id, series, events AS rows FROM source WHERE device = ? AND events > 0');
  const known = new Map<string, StatementSync>();
  const prepared = (sql: string): StatementSync => {
    const made = known.get(sql) ?? db.prepare(sql);
    known.set(sql, made);
    return made;
  };
  const everything = (): Readonly<Record<'single' | 'event' | 'reading', number>> =>
    totals.get() as Readonly<Record<'single' | 'event' | 'reading', number>>;

  return {
    events({ device }) {
      if (device === undefined) {
        const { single, event } = everything();
        return [
          { table: 'single', rows: single },
          { table: 'event', rows: event },
        ];
      }
      return (sources.all(device) as unknown as Names[]).map(({ id, series, rows }) => ({
        table: series === 0 ? 'event' : 'single',
        key: id,
        rows,
      }));
    },
    readings({ device, resources }) {
      if (device === undefined && resources === undefined) {
        const { single, reading } = everything();
        return [
          { table: 'single', rows: single },
          { table: 'reading', rows: reading },
        ];
      }
      const conditions = whereOf({ device, resources });
      const values = valuesOf({ device, resources });
      const own = prepared(
        `SELECT s.id, s.readings AS rows FROM series s WHERE ${conditions} AND s.readings > 0`,
      );
      const inSingles = prepared(
        `SELECT o.id, o.events AS rows FROM series s JOIN source o ON o.series = s.id WHERE ${conditions} AND o.events > 0`,
      );
      const armsOf = (table: 'reading' | 'single', select: StatementSync): Arm[] =>
        (select.all(...values) as unknown as Names[]).map(({ id, rows }) => ({ table, key: id, rows }));
      const all = everything();
      return [
        ...whole(armsOf('single', inSingles), all.single),
        ...whole(armsOf('reading', own), all.reading),
      ];
    },
  };
}
