import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { inTransaction, openDatabase, systemRandom, type Database } from '@antirio/host';
import { uuidV4 } from '@antirio/kernel';
import { parseJson, readingToJson, eventToJson, type Event, type Reading } from '@antirio/edgex-contracts';
import { createEventReader, type EventReader, type Result } from './event-reader.ts';
import { createEventKeys } from './event-keys.ts';
import { createEventWriter, type EventWriter } from './event-writer.ts';
import { createOrderedRows, queriesOf } from './ordered-rows.ts';
import { createPostings } from './postings.ts';
import { MIGRATIONS } from './schema.ts';
import { createSources } from './sources.ts';
import {
  asked,
  eventOf,
  filterOf,
  modelEvents,
  modelReadings,
  pageOf,
  pageOfModel,
  plain,
} from './testing/event-model.ts';

let folder: string;
let db: Database;
let writer: EventWriter;
let reader: EventReader;

const write = <T>(work: () => T): T =>
  inTransaction(db, () => {
    const result = work();
    writer.beforeCommit();
    return result;
  });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-queries-'));
  db = openDatabase(join(folder, 'events.db'), MIGRATIONS);
  // runs of a few events, so that most of what is asked for by id is in one
  writer = createEventWriter(db, createEventKeys(db, 8), createPostings(db, 20));
  // and steps of a few rows, so that there are several
  reader = createEventReader(db, writer.keys, createOrderedRows(db, { most: 3, near: 2 }));
});
afterAll(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

function clear(): void {
  write(() => {
    writer.noteDeletion({ until: 2n ** 62n });
    while (writer.deleteSome(5));
  });
}

describe('what is stored answers as a naive model in memory does', () => {
  test('for pages, totals and counts of events and readings, with some deleted again', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(eventOf, { maxLength: 25 }),
        fc.array(fc.nat(24), { maxLength: 5 }),
        fc.array(fc.tuple(filterOf, pageOf), { minLength: 1, maxLength: 10 }),
        async (stored, deleted, queries) => {
          clear();
          write(() => stored.forEach((event) => expect(writer.insert(event)).toBe('stored')));
          const gone = new Set(deleted.filter((index) => index < stored.length));
          write(() => gone.forEach((index) => writer.deleteById(stored[index]!.id)));
          const left = stored.filter((_, index) => !gone.has(index));
          for (const [filter, page] of queries) {
            const events = modelEvents(left, filter);
            const readings = modelReadings(left, filter);
            expect(await asked(() => reader.events(filter, page))).toEqual(
              pageOfModel(plain(events.map(eventToJson)), page),
            );
            expect(await asked(() => reader.readings(filter, page))).toEqual(
              pageOfModel(plain(readings.map(readingToJson)), page),
            );
            expect(await reader.eventCount(filter)).toBe(events.length);
            expect(await reader.readingCount(filter)).toBe(readings.length);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('by id, and an id that is stored is a duplicate, whatever else was stored and deleted since', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(eventOf, fc.nat(2)), { minLength: 1, maxLength: 40 }),
        async (steps) => {
          clear();
          const model = new Map<string, Event>();
          for (const [event, kind] of steps) {
            const [known] = model.values();
            if (kind === 0 && known !== undefined) {
              write(() => writer.deleteById(known.id));
              model.delete(known.id);
            } else if (kind === 1 && known !== undefined)
              expect(write(() => writer.insert({ ...event, id: known.id }))).toBe('duplicate');
            else {
              expect(write(() => writer.insert(event))).toBe('stored');
              model.set(event.id, event);
            }
          }
          // as after a start
          const again = createEventReader(db, createEventKeys(db, 8));
          for (const by of [reader, again])
            for (const [event] of steps) {
              const text = await by.eventById(event.id);
              const stored = model.get(event.id);
              expect(text === undefined ? undefined : parseJson(text)).toEqual(
                stored === undefined ? undefined : plain([eventToJson(stored)])[0],
              );
            }
          expect(await reader.eventCount({})).toBe(model.size);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('also for pages far down of a resource that many devices have', async () => {
    clear();
    const events = Array.from({ length: 300 }, (_, n): Event => {
      const [deviceName, origin] = [`device-${(n * n) % 53}`, BigInt(1000 - ((n * 7) % 120))];
      const profileName = 'p';
      const base = { origin, deviceName, profileName, valueType: 'Int16', kind: 'simple' } as const;
      const one: Reading = { ...base, resourceName: n % 50 === 0 ? 'other' : 'r', value: String(n) };
      const readings = n % 3 === 0 ? [one, { ...one, origin: origin + 1n }] : [one];
      return {
        apiVersion: 'v3',
        id: uuidV4(systemRandom),
        deviceName,
        profileName,
        sourceName: 's',
        origin,
        readings,
      };
    });
    write(() => events.forEach((event) => writer.insert(event)));
    for (const filter of [{ resources: ['r'] }, { resources: ['r'], range: { start: 900n, end: 990n } }, {}])
      for (const offset of [0, 30, 111, 290, 380]) {
        const page = { offset, limit: 20, counted: true };
        expect(await asked(() => reader.readings(filter, page))).toEqual(
          pageOfModel(plain(modelReadings(events, filter).map(readingToJson)), page),
        );
      }
  });
});

test('a store of many transactions of which some are undone knows its ids', () => {
  clear();
  const path = join(folder, 'undone.db');
  const store = openDatabase(path, MIGRATIONS);
  const events = createEventWriter(store, createEventKeys(store, 8));
  const event = (n: number): Event => ({
    apiVersion: 'v3',
    id: `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`,
    deviceName: 'd',
    profileName: 'p',
    sourceName: 's',
    origin: BigInt(n),
    readings: [
      {
        origin: BigInt(n),
        deviceName: 'd',
        resourceName: 'r',
        profileName: 'p',
        valueType: 'Int16',
        kind: 'simple',
        value: '1',
      },
    ],
  });
  const kept = new Set<number>();
  for (let batch = 0; batch < 30; batch++) {
    const numbers = Array.from({ length: (batch % 7) + 1 }, (_, i) => batch * 10 + i);
    store.exec('BEGIN');
    for (const n of numbers) events.insert(event(n));
    events.beforeCommit();
    store.exec(batch % 3 === 1 ? 'ROLLBACK' : 'COMMIT');
    if (batch % 3 === 1) events.onRollback();
    else for (const n of numbers) kept.add(n);
  }
  for (let n = 0; n < 300; n++) {
    const outcome = inTransaction(store, () => {
      const found = events.insert(event(n));
      events.beforeCommit();
      return found;
    });
    expect([n, outcome]).toEqual([n, kept.has(n) ? 'duplicate' : 'stored']);
  }
  store.close();
});

test('keys of deleted events go with the last event of their run', () => {
  const path = join(folder, 'pruned.db');
  const store = openDatabase(path, MIGRATIONS);
  const events = createEventWriter(store, createEventKeys(store, 8));
  const made = fc.sample(eventOf, { numRuns: 100, seed: 7 });
  inTransaction(store, () => {
    for (const event of made) events.insert(event);
    events.beforeCommit();
  });
  const runs = (): unknown => store.prepare('SELECT count(*) AS n FROM key_run').get()?.['n'];
  expect(runs()).toBe(12);
  inTransaction(store, () => {
    events.noteDeletion({ until: 2n ** 62n });
    while (events.deleteSome(30));
    events.beforeCommit();
  });
  expect(runs()).toBe(1);
  const [first] = made;
  if (first !== undefined) expect(inTransaction(store, () => events.insert(first))).toBe('stored');
  store.close();
});

test.each([
  ['single', 'source'],
  ['event', 'source'],
  ['reading', 'series'],
] as const)('pages and counts of %s come from an index, without a sort', (table, key) => {
  for (const keyed of [true, false])
    for (const [query, sql] of Object.entries(queriesOf(table, keyed))) {
      const places = Math.max(...[...sql.matchAll(/\?(\d)/g)].map(([, place]) => Number(place)));
      const plan = db
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all(...Array.from({ length: places }, () => 1))
        .map((row) => String(row['detail']));
      const from = keyed
        ? `SEARCH ${table}_${key} USING PRIMARY KEY (${key}=? AND origin`
        : `SEARCH ${table} USING COVERING INDEX ${table}_origin (origin`;
      const searches = plan.filter((step) => step.startsWith('SEARCH'));
      expect(searches.map((step) => step.slice(0, from.length))).toEqual(
        Array(query === 'outside' ? 2 : 1).fill(from),
      );
      expect(plan.join()).not.toMatch(/TEMP B-TREE|SCAN (?!CONSTANT)/);
    }
});

test('what comes while a page is read in steps is not in it, and shifts nothing', async () => {
  const store = openDatabase(join(folder, 'meanwhile.db'), MIGRATIONS);
  const events = createEventWriter(store);
  const steps = createOrderedRows(store, { most: 10, near: 2 });
  const slow = createEventReader(store, events.keys, steps);
  const sources = createSources(store, steps);
  const insert = (deviceName: string, origin: bigint): void =>
    inTransaction(store, () => {
      const names = { deviceName, profileName: 'p', origin };
      const reading: Reading = {
        ...names,
        resourceName: 'r',
        valueType: 'Int8',
        kind: 'simple',
        value: '1',
      };
      const id = uuidV4(systemRandom);
      events.insert({ apiVersion: 'v3', id, ...names, sourceName: 's', readings: [reading] });
      events.beforeCommit();
    });
  for (let n = 1n; n <= 200n; n++) insert('a', n * 10n);
  /** While it works, another device's events come where the work is going. */
  const meanwhile = async <T>(work: Promise<T>): Promise<T> => {
    let [came, done] = [0, false];
    const ended = work.finally(() => (done = true));
    while (!done) {
      came += 1;
      insert('b', 755n);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(came).toBeGreaterThan(5);
    inTransaction(store, () => {
      events.noteDeletion({ device: 'b' });
      while (events.deleteSome(100));
      events.beforeCommit();
    });
    return ended;
  };
  const page = { offset: 100, limit: 60, counted: true };
  const wanted = Array.from({ length: 60 }, (_, n) => ['a', 1000 - n * 10]);
  const placed = ({ items }: Result): unknown[] =>
    items
      .map((text) => parseJson(text) as Record<string, unknown>)
      .map((item) => [item['deviceName'], item['origin']]);
  expect(placed(await meanwhile(slow.events({ device: 'a' }, page)))).toEqual(wanted);
  expect(placed(await meanwhile(slow.readings({ device: 'a' }, page)))).toEqual(wanted);
  expect(await meanwhile(sources.originAt('a', 's', undefined, 150))).toBe(500n);
  store.close();
});

test('a count of many rows and a page far down let others have their turn', async () => {
  const path = join(folder, 'turns.db');
  const store = openDatabase(path, MIGRATIONS);
  const events = createEventWriter(store);
  const ordered = createOrderedRows(store, { most: 50, near: 10 });
  const slow = createEventReader(store, events.keys, ordered);
  const insert = (count: number): void =>
    inTransaction(store, () => {
      for (const event of fc.sample(eventOf, { numRuns: count, seed: count }))
        events.insert({ ...event, id: uuidV4(systemRandom) });
      events.beforeCommit();
    });
  insert(2000);
  const range = { start: 2n ** 60n + 2n, end: 2n ** 60n + 11n };
  const turns = async (work: Promise<unknown>): Promise<number> => {
    let [count, done] = [0, false];
    const ended = work.finally(() => (done = true));
    while (!done) {
      count += 1;
      // what comes in meanwhile is stored
      insert(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await ended;
    return count;
  };
  expect(await turns(slow.eventCount({ range }))).toBeGreaterThan(20);
  expect(await turns(slow.events({}, { offset: 1500, limit: 1, counted: false }))).toBeGreaterThan(20);
  expect(await turns(slow.aggregates({}, 'SUM', { offset: 0, limit: 100, counted: true }))).toBeGreaterThan(
    5,
  );
  store.close();
});

test('what is deleted makes room for what comes: the file does not grow', () => {
  const path = join(folder, 'steady.db');
  const store = openDatabase(path, MIGRATIONS);
  const events = createEventWriter(store, createEventKeys(store, 128));
  const pages: number[] = [];
  for (let round = 1; round <= 12; round++) {
    inTransaction(store, () => {
      for (const [n, event] of fc.sample(eventOf, { numRuns: 500, seed: round }).entries()) {
        const origin = BigInt(round * 1000 + n);
        const readings = event.readings.map((reading) => ({ ...reading, origin }));
        events.insert({ ...event, origin, readings, id: uuidV4(systemRandom) });
      }
      // two rounds stay
      events.noteDeletion({ until: BigInt((round - 1) * 1000 - 1) });
      while (events.deleteSome(100));
      events.beforeCommit();
    });
    pages.push(Number(store.prepare('PRAGMA page_count').get()?.['page_count']));
  }
  expect(Math.max(...pages.slice(4))).toBeLessThan((pages[3] ?? 0) * 1.15);
  store.close();
});
