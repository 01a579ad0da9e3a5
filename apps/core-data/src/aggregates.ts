import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StatementSync } from 'node:sqlite';
import type { Database } from '@antirio/host';
import type { Page } from '@antirio/edgex-contracts';
import { createAccumulator, type Accumulator, type AggregateFunc } from './accumulator.ts';
import type { TimeRange } from './ordered-rows.ts';
import { createPosted } from './postings.ts';
import { valuesOf, whereOf, type ReadingFilter } from './selections.ts';

/** For each device, profile, resource and value type one reading with the result as JSON text, in the order of the devices' names. */
export type Aggregate = (
  filter: ReadingFilter,
  func: AggregateFunc,
  page: Page,
) => Promise<readonly string[]>;

/** Values read in one step. */
const STEP = 2_000;
const EVER: TimeRange = { start: -(2n ** 63n), end: 2n ** 63n - 1n };

interface Group {
  readonly device: string;
  readonly profile: string;
  readonly resource: string;
  readonly valueType: string;
  /** JSON lists. */
  readonly series: string;
  readonly sources: string;
}

interface ValueRow {
  readonly origin: bigint;
  readonly id: bigint;
  readonly value: unknown;
}

const GROUPS = `SELECT s.device, s.profile, s.resource, s.value_type AS valueType, json_group_array(DISTINCT s.id) AS series,
    json_group_array(DISTINCT o.id) FILTER (WHERE o.id IS NOT NULL) AS sources
  FROM series s LEFT JOIN source o ON o.series = s.id AND o.events > 0`;
const GROUPED = `GROUP BY s.device, s.profile, s.resource, s.value_type HAVING sum(s.readings) + count(o.id) > 0
  ORDER BY s.device, s.profile, s.resource, s.value_type`;

/** Values by the index, oldest first, from after a place; and those of rows that are not posted yet. */
function prepareValues(db: Database, table: 'single' | 'reading', key: string) {
  const prepare = (sql: string): StatementSync => {
    const made = db.prepare(sql);
    made.setReadBigInts(true);
    return made;
  };
  return {
    posted: prepare(
      `SELECT p.origin, p.id, t.value FROM ${table}_${key} p CROSS JOIN ${table} t ON t.id = p.id
         WHERE p.${key} = ?1 AND p.origin >= ?2 AND p.origin <= ?3 AND (p.origin > ?2 OR p.id > ?4) AND p.id <= ?5
         ORDER BY p.origin, p.id LIMIT ${STEP}`,
    ),
    unposted: prepare(
      `SELECT origin, id, value FROM ${table} WHERE id > ?1 AND ${key} IN (SELECT value FROM json_each(?2)) AND origin BETWEEN ?3 AND ?4`,
    ),
  };
}

export const resultText = (
  { device, profile, resource }: Pick<Group, 'device' | 'profile' | 'resource'>,
  valueType: string,
  value: string,
): string =>
  `{"deviceName":${JSON.stringify(device)},"resourceName":${JSON.stringify(resource)},"profileName":${JSON.stringify(profile)},` +
  `"valueType":"${valueType}","value":${value}}`;

export function createAggregator(db: Database): Aggregate {
  const values = {
    single: prepareValues(db, 'single', 'source'),
    reading: prepareValues(db, 'reading', 'series'),
  };
  const posted = createPosted(db);
  const feedPosted = async (
    into: Accumulator,
    table: 'single' | 'reading',
    key: number,
    { start, end, through }: TimeRange & { readonly through: number },
  ): Promise<boolean> => {
    let [origin, id] = [start, -1n];
    let any = false;
    for (;;) {
      const rows = values[table].posted.all(key, origin, end, id, through) as unknown as ValueRow[];
      for (const { value } of rows) into.add(value);
      any ||= rows.length > 0;
      const last = rows.at(-1);
      if (last === undefined || rows.length < STEP) return any;
      [origin, id] = [last.origin, last.id];
      await nextTurn();
    }
  };
  const feed = async (
    into: Accumulator,
    table: 'single' | 'reading',
    keys: string,
    range: TimeRange,
  ): Promise<boolean> => {
    const through = posted();
    const { start, end } = range;
    const rest = values[table].unposted.all(through, keys, start, end) as unknown as ValueRow[];
    for (const { value } of rest) into.add(value);
    let any = rest.length > 0;
    for (const key of JSON.parse(keys) as number[])
      any = (await feedPosted(into, table, key, { start, end, through })) || any;
    return any;
  };
  /** Undefined where there are no readings in the range. */
  const groupText = async (
    group: Group,
    func: AggregateFunc,
    range: TimeRange,
  ): Promise<string | undefined> => {
    const into = createAccumulator(func, group.valueType);
    const inSingles = await feed(into, 'single', group.sources, range);
    const any = (await feed(into, 'reading', group.series, range)) || inSingles;
    const { valueType, value } = into.result();
    return any ? resultText(group, valueType, value) : undefined;
  };

  return async (filter, func, page) => {
    const where = whereOf(filter);
    const select = db.prepare(`${GROUPS} ${where === '' ? '' : `WHERE ${where}`} ${GROUPED}`);
    const groups = select.all(...valuesOf(filter)) as unknown as Group[];
    const texts: string[] = [];
    let left = page.offset;
    for (const group of groups) {
      if (texts.length === page.limit) break;
      const text = await groupText(group, func, filter.range ?? EVER);
      if (text === undefined) continue;
      if (left > 0) left -= 1;
      else texts.push(text);
      await nextTurn();
    }
    return texts;
  };
}
