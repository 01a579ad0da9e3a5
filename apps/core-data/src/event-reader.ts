import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StatementSync } from 'node:sqlite';
import type { Database } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { hasRows, type Page } from '@antirio/edgex-contracts';
import type { AggregateFunc } from './accumulator.ts';
import { createAggregator, type Aggregate } from './aggregates.ts';
import type { EventKeys } from './event-keys.ts';
import { uuidBytes } from './event-writer.ts';
import {
  createOrderedRows,
  type Arm,
  type OrderedRows,
  type PlacedRow,
  type TimeRange,
} from './ordered-rows.ts';
import { createRowText, type RowText } from './row-text.ts';
import { createSelections, type EventFilter, type ReadingFilter, type Selections } from './selections.ts';

/** One page of a result, newest origin first: the JSON text of each item, and how many there are in all (0 when not counted). */
export interface Result {
  readonly total: number;
  readonly items: readonly string[];
}

/** Answers in steps, between which events are stored. With `numeric`, values of numeric types are JSON numbers instead of text. */
export interface EventReader {
  eventById(uuid: string, numeric?: boolean): Promise<string | undefined>;
  /** The event that has this place in the order of arrival. */
  eventAt(table: 'single' | 'event', id: number): Promise<string | undefined>;
  /** @throws AntirioError rangeNotSatisfiable; tooLarge when the page is over the bound of an answer. */
  events(filter: EventFilter, page: Page, numeric?: boolean): Promise<Result>;
  /** @throws AntirioError rangeNotSatisfiable; tooLarge when the page is over the bound of an answer. */
  readings(filter: ReadingFilter, page: Page, numeric?: boolean): Promise<Result>;
  /** For each device, profile, resource and value type one reading with the result, in the order of the devices' names. */
  aggregates(filter: ReadingFilter, func: AggregateFunc, page: Page): Promise<readonly string[]>;
  eventCount(filter: EventFilter): Promise<number>;
  readingCount(filter: ReadingFilter): Promise<number>;
}

/** Characters of one answer: no more than this is put together in memory. */
export const MAX_ANSWER = 128 << 20;
const ITEMS_AT_ONCE = 250;

const SINGLE = 'SELECT uuid, source, origin, value, tags FROM single WHERE id = ?';
const EVENT = 'SELECT uuid, source, origin, readings, tags FROM event WHERE id = ?';
const READING = 'SELECT series, origin, value, tags FROM reading WHERE id';

class SqliteEventReader implements EventReader {
  readonly #keys: EventKeys;
  readonly #selections: Selections;
  readonly #ordered: OrderedRows;
  readonly #rowText: RowText;
  readonly #aggregate: Aggregate;
  readonly #single: StatementSync;
  readonly #event: StatementSync;
  readonly #reading: StatementSync;
  readonly #readings: StatementSync;

  constructor(db: Database, keys: EventKeys, ordered: OrderedRows) {
    const prepare = (sql: string): StatementSync => {
      const made = db.prepare(sql);
      // origins do not fit into a number
      made.setReadBigInts(true);
      return made;
    };
    this.#keys = keys;
    this.#selections = createSelections(db);
    this.#ordered = ordered;
    this.#rowText = createRowText(db);
    this.#aggregate = createAggregator(db);
    this.#single = prepare(SINGLE);
    this.#event = prepare(EVENT);
    this.#reading = prepare(`${READING} = ?`);
    this.#readings = prepare(`${READING} BETWEEN ? AND ? ORDER BY id`);
  }

  async eventById(uuid: string, numeric = false): Promise<string | undefined> {
    const found = this.#keys.find(uuidBytes(uuid));
    return found === undefined ? undefined : this.#eventText({ ...found, id: BigInt(found.id) }, numeric);
  }

  async eventAt(table: 'single' | 'event', id: number): Promise<string | undefined> {
    return this.#eventText({ table, id: BigInt(id) }, false);
  }

  events({ device, range }: EventFilter, page: Page, numeric = false): Promise<Result> {
    const arms = this.#selections.events(device === undefined ? {} : { device });
    return this.#page(arms, range, page, (row) => this.#eventText(row, numeric));
  }

  readings(filter: ReadingFilter, page: Page, numeric = false): Promise<Result> {
    const arms = this.#selections.readings(filter);
    return this.#page(arms, filter.range, page, (row) => this.#readingText(row, numeric));
  }

  aggregates(filter: ReadingFilter, func: AggregateFunc, page: Page): Promise<readonly string[]> {
    return this.#aggregate(filter, func, page);
  }

  eventCount(filter: EventFilter): Promise<number> {
    return this.#ordered.count(this.#selections.events(filter), filter.range);
  }

  readingCount(filter: ReadingFilter): Promise<number> {
    return this.#ordered.count(this.#selections.readings(filter), filter.range);
  }

  #eventText({ table, id }: Pick<PlacedRow, 'table' | 'id'>, numeric: boolean): string | undefined {
    const row = (table === 'single' ? this.#single : this.#event).get(id);
    if (row === undefined) return undefined;
    if (table === 'single') return this.#rowText.single(row, numeric);
    const readings = this.#readings.all(id, id + (row['readings'] as bigint) - 1n);
    return this.#rowText.event(
      row,
      readings.map((reading) => this.#rowText.reading(reading, numeric)),
    );
  }

  #readingText({ table, id }: PlacedRow, numeric: boolean): string | undefined {
    const row = (table === 'single' ? this.#single : this.#reading).get(id);
    if (row === undefined) return undefined;
    return table === 'single'
      ? this.#rowText.readingOfSingle(row, numeric)
      : this.#rowText.reading(row, numeric);
  }

  async #page(
    arms: readonly Arm[],
    range: TimeRange | undefined,
    page: Page,
    toText: (row: PlacedRow) => string | undefined,
  ): Promise<Result> {
    const total = page.counted ? await this.#ordered.count(arms, range) : 0;
    const wanted = page.counted ? hasRows(total, page) : page.limit > 0;
    if (!wanted) return { total, items: [] };
    const rows = await this.#ordered.page(arms, range, page.offset, page.limit);
    return { total, items: await textsOf(rows, toText) };
  }
}

export const answerTooLarge = (): AntirioError =>
  new AntirioError('tooLarge', `the answer exceeds ${MAX_ANSWER} characters: ask with a smaller limit`);

/** A row that was deleted since it was found is left out. */
async function textsOf(
  rows: readonly PlacedRow[],
  toText: (row: PlacedRow) => string | undefined,
): Promise<string[]> {
  const items: string[] = [];
  let length = 0;
  for (const [index, row] of rows.entries()) {
    const text = toText(row);
    if (text === undefined) continue;
    length += text.length;
    if (length > MAX_ANSWER) throw answerTooLarge();
    items.push(text);
    if (index % ITEMS_AT_ONCE === ITEMS_AT_ONCE - 1) await nextTurn();
  }
  return items;
}

export function createEventReader(
  db: Database,
  keys: EventKeys,
  ordered = createOrderedRows(db),
): EventReader {
  return new SqliteEventReader(db, keys, ordered);
}
