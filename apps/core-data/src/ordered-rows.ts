import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StatementSync } from 'node:sqlite';
import type { Database } from '@antirio/host';

/** Rows in the order of their origins. */
export type Arm = IndexedArm | GivenArm;

/** All rows of a table, or those that are posted of one source or series. */
interface IndexedArm {
  readonly table: Table;
  /** The source; for `reading` the series. */
  readonly key?: number;
  /** Rows of later ids do not belong to it: they may come while it is read, and be of another source. */
  readonly through: number;
  /** How many rows it has. */
  readonly rows: number;
}

interface GivenArm {
  readonly table: Table;
  /** Newest first. */
  readonly places: readonly Place[];
  readonly rows: number;
}

export type Table = 'single' | 'event' | 'reading';

/** Nanoseconds, both included. */
export interface TimeRange {
  readonly start: bigint;
  readonly end: bigint;
}

/** A row's place in the order: by origin, and of rows of one origin by id. No two rows of a selection have the same. */
export interface Place {
  readonly origin: bigint;
  readonly id: bigint;
}

export interface PlacedRow extends Place {
  readonly table: Table;
}

/** Reads what several arms have in common, newest first, in steps between which other work has its turn. */
export interface OrderedRows {
  /** So many rows after as many others. */
  page(
    arms: readonly Arm[],
    range: TimeRange | undefined,
    offset: number,
    limit: number,
  ): Promise<PlacedRow[]>;
  count(arms: readonly Arm[], range: TimeRange | undefined): Promise<number>;
}

export interface Steps {
  /** Rows that are passed over in one step. */
  readonly most: number;
  /** Offsets up to this are passed over row by row. */
  readonly near: number;
}

/** A step takes about a millisecond. */
const STEPS: Steps = { most: 20_000, near: 500 };
/** The part of a fair step that is taken. */
const EVENLY = 0.9;
const ARMS_AT_ONCE = 200;

const FIRST = -(2n ** 63n);
const LAST = 2n ** 63n - 1n;
const EVER: TimeRange = { start: FIRST, end: LAST };

const KEY: Readonly<Record<Table, string>> = { single: 'source', event: 'source', reading: 'series' };

/** SQL with the arm's key as ?1 and the last of its ids as ?2. */
export function queriesOf(
  table: Table,
  keyed: boolean,
): Readonly<Record<'list' | 'count' | 'outside', string>> {
  const from = keyed
    ? `FROM ${table}_${KEY[table]} WHERE ${KEY[table]} = ?1 AND id <= ?2`
    : `FROM ${table} INDEXED BY ${table}_origin WHERE ?1 IS NULL AND id <= ?2`;
  const upTo = 'origin <= ?4 AND (origin < ?4 OR id <= ?5)';
  return {
    /** From ?3 (origin) to a place ?4, ?5, newest first. */
    list: `SELECT origin, id ${from} AND origin >= ?3 AND ${upTo} ORDER BY origin DESC, id DESC LIMIT ?6 OFFSET ?7`,
    /** The same from a place ?3, ?6. */
    count: `SELECT count(*) AS n ${from} AND origin >= ?3 AND ${upTo} AND (origin > ?3 OR id > ?6)`,
    outside: `SELECT EXISTS(SELECT 1 ${from} AND origin < ?3) OR EXISTS(SELECT 1 ${from} AND origin > ?4) AS yes`,
  };
}

function prepareOne(db: Database, table: Table, keyed: boolean) {
  const queries = queriesOf(table, keyed);
  const prepare = (query: keyof typeof queries): StatementSync => {
    const made = db.prepare(queries[query]);
    made.setReadBigInts(true);
    return made;
  };
  return { list: prepare('list'), count: prepare('count'), outside: prepare('outside') };
}

type Statements = ReturnType<typeof prepareOne>;

/** One arm's part of a merge. */
interface Stream {
  readonly arm: Arm;
  readonly buffer: Place[];
  next: number;
  /** More may follow what is in the buffer. */
  open: boolean;
}

const isNewer = (a: Place, b: Place): boolean =>
  a.origin > b.origin || (a.origin === b.origin && a.id > b.id);

const keyOf = ({ key, through }: IndexedArm): readonly [number | null, number] => [key ?? null, through];

class SqliteOrderedRows implements OrderedRows {
  readonly #prepared = new Map<string, Statements>();
  readonly #db: Database;
  readonly #steps: Steps;

  constructor(db: Database, steps: Steps) {
    this.#db = db;
    this.#steps = steps;
  }

  async page(
    arms: readonly Arm[],
    range: TimeRange | undefined,
    offset: number,
    limit: number,
  ): Promise<PlacedRow[]> {
    const { start, end } = range ?? EVER;
    const filled = arms.filter(({ rows }) => rows > 0).sort((a, b) => b.rows - a.rows);
    const from = await this.#skip(filled, start, { origin: end, id: LAST }, offset);
    const rows = await this.#merge(filled, start, from.place, from.offset + limit);
    return rows.slice(from.offset);
  }

  async count(arms: readonly Arm[], range: TimeRange | undefined): Promise<number> {
    let total = 0;
    let since = 0;
    for (const arm of arms) {
      if (arm.rows === 0) continue;
      if (range === undefined || !this.#hasOutside(arm, range)) total += arm.rows;
      else {
        const counted = await this.#countIn(arm, range);
        total += counted;
        since += counted;
      }
      since += 100;
      if (since >= this.#steps.most) {
        since = 0;
        await nextTurn();
      }
    }
    return total;
  }

  #of({ table, key }: IndexedArm): Statements {
    const name = `${table} ${key === undefined}`;
    const known = this.#prepared.get(name);
    if (known !== undefined) return known;
    const made = prepareOne(this.#db, table, key !== undefined);
    this.#prepared.set(name, made);
    return made;
  }

  #list(arm: Arm, start: bigint, from: Place, limit: number, offset = 0): Place[] {
    if ('places' in arm)
      return arm.places
        .filter((place) => place.origin >= start && !isNewer(place, from))
        .slice(offset, offset + limit);
    const { list } = this.#of(arm);
    return list.all(...keyOf(arm), start, from.origin, from.id, limit, offset) as unknown as Place[];
  }

  #hasOutside(arm: Arm, { start, end }: TimeRange): boolean {
    if ('places' in arm) return true;
    return this.#of(arm).outside.get(...keyOf(arm), start, end)?.['yes'] !== 0n;
  }

  /** How many rows come after the place `to` and up to `from`. */
  #between(arm: Arm, to: Place, from: Place): number {
    if ('places' in arm)
      return arm.places.filter((place) => isNewer(place, to) && !isNewer(place, from)).length;
    return Number(this.#of(arm).count.get(...keyOf(arm), to.origin, from.origin, from.id, to.id)?.['n']);
  }

  async #countIn(arm: Arm, { start, end }: TimeRange): Promise<number> {
    let total = 0;
    let from: Place = { origin: end, id: LAST };
    for (;;) {
      const [next] = this.#list(arm, start, from, 1, this.#steps.most);
      if (next === undefined) return total + this.#between(arm, { origin: start, id: FIRST }, from);
      total += this.#steps.most;
      from = next;
      await nextTurn();
    }
  }

  /** Passes over the most part of an offset by counting: a row far down one arm, and how many rows of the others come before it. */
  async #skip(
    arms: readonly Arm[],
    start: bigint,
    from: Place,
    offset: number,
  ): Promise<{ place: Place; offset: number }> {
    let [place, left] = [from, offset];
    const pivots = [...arms];
    const rows = arms.reduce((sum, arm) => sum + arm.rows, 0);
    let { most } = this.#steps;
    while (left > this.#steps.near && pivots[0] !== undefined) {
      const [pivot] = pivots;
      // as if the arms were spread evenly: a little less, so that it is seldom too far
      const fair = arms.length === 1 ? left : Math.ceil((left * EVENLY * pivot.rows) / rows);
      const step = Math.min(most, fair);
      const [next] = this.#list(pivot, start, place, 1, step);
      const passed = next === undefined ? Infinity : await this.#passed(arms, pivot, step, next, place);
      if (next !== undefined && passed <= left) {
        [place, left] = [next, left - passed];
        await nextTurn();
      } else if (step > 1) most = Math.floor(step / 2);
      else {
        // nothing is left of this arm, or all too much of the others
        pivots.shift();
        most = this.#steps.most;
      }
    }
    return { place, offset: left };
  }

  async #passed(arms: readonly Arm[], pivot: Arm, step: number, to: Place, from: Place): Promise<number> {
    let passed = step;
    for (const [index, arm] of arms.entries()) {
      if (arm !== pivot) passed += this.#between(arm, to, from);
      if (index % ARMS_AT_ONCE === ARMS_AT_ONCE - 1) await nextTurn();
    }
    return passed;
  }

  async #merge(arms: readonly Arm[], start: bigint, from: Place, wanted: number): Promise<PlacedRow[]> {
    const streams: Stream[] = [];
    const chunk = Math.min(wanted, Math.ceil((wanted * 2) / Math.max(arms.length, 1)) + 4);
    const fill = (stream: Stream, place: Place, limit: number): void => {
      const last = stream.buffer.at(-1);
      const rows = this.#list(stream.arm, start, place, limit);
      // it begins with the last row of the buffer, if there is one
      stream.buffer.splice(0, stream.buffer.length, ...(last === undefined ? rows : rows.slice(1)));
      stream.next = 0;
      stream.open = rows.length === limit;
    };
    for (const [index, arm] of arms.entries()) {
      const stream = { arm, buffer: [], next: 0, open: true };
      fill(stream, from, chunk);
      if (stream.buffer.length > 0) streams.push(stream);
      if (index % ARMS_AT_ONCE === ARMS_AT_ONCE - 1) await nextTurn();
    }
    return merged(streams, wanted, (stream) => {
      const last = stream.buffer.at(-1);
      if (stream.open && last !== undefined) fill(stream, last, chunk + 1);
    });
  }
}

/** A heap of streams, the one with the newest row on top. */
function merged(streams: Stream[], wanted: number, refill: (stream: Stream) => void): PlacedRow[] {
  const head = ({ buffer, next }: Stream): Place => buffer[next] ?? { origin: FIRST, id: FIRST };
  const heap = streams.sort((a, b) => (isNewer(head(a), head(b)) ? -1 : 1));
  const sink = (): void => {
    for (let at = 0; ;) {
      let best = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        const [one, other] = [heap[child], heap[best]];
        if (one !== undefined && other !== undefined && isNewer(head(one), head(other))) best = child;
      }
      const [parent, chosen] = [heap[at], heap[best]];
      if (best === at || parent === undefined || chosen === undefined) return;
      [heap[at], heap[best], at] = [chosen, parent, best];
    }
  };
  const rows: PlacedRow[] = [];
  while (rows.length < wanted) {
    const [top] = heap;
    if (top === undefined) break;
    rows.push({ ...head(top), table: top.arm.table });
    top.next += 1;
    if (top.next === top.buffer.length) refill(top);
    if (top.next >= top.buffer.length) {
      const last = heap.pop();
      if (last === undefined || heap.length === 0) break;
      if (last !== top) heap[0] = last;
    }
    sink();
  }
  return rows;
}

export function createOrderedRows(db: Database, steps = STEPS): OrderedRows {
  return new SqliteOrderedRows(db, steps);
}
