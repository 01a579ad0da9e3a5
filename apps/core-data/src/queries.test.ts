import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { inTransaction, openDatabase, systemRandom, type Database } from '@antirio/host';
import { isAntirioError, uuidV4 } from '@antirio/kernel';
import {
  parseJson,
  stringifyJson,
  readingToJson,
  eventToJson,
  type Event,
  type Page,
  type Reading,
} from '@antirio/edgex-contracts';
import { createEventReader, type EventReader, type Result } from './event-reader.ts';
import { createEventKeys } from './event-keys.ts';
import { createEventWriter, type EventWriter } from './event-writer.ts';
import { MIGRATIONS } from './schema.ts';
import type { EventFilter, ReadingFilter } from './selections.ts';

const DEVICES = ['a', 'b', 'c'];
const RESOURCES = ['r', 's', 't'];

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

const originOf = fc.bigInt(1n, 12n).map((n) => 2n ** 60n + n);

const readingOf = (device: string): fc.Arbitrary<Reading> =>
  fc
    .record({
      origin: originOf,
      resource: fc.constantFrom(...RESOURCES),
      value: fc.nat(99),
      type: fc.constantFrom('Uint8' as const, 'Int16' as const),
    })
    .map(({ origin, resource, value, type }) => ({
      origin,
      deviceName: device,
      resourceName: resource,
      profileName: 'p',
      valueType: type,
      kind: 'simple',
      value: String(value),
    }));

const eventOf: fc.Arbitrary<Event> = fc.constantFrom(...DEVICES).chain((deviceName) =>
  fc
    .record({
      origin: originOf,
      sourceName: fc.constantFrom('s1', 's2'),
      readings: fc.array(readingOf(deviceName), { minLength: 1, maxLength: 3 }),
    })
    .map((fields) => ({
      apiVersion: 'v3',
      id: uuidV4(systemRandom),
      deviceName,
      profileName: 'p',
      ...fields,
    })),
);

const rangeOf = fc.option(
  fc.tuple(originOf, originOf).map(([a, b]) => (a < b ? { start: a, end: b } : { start: b, end: a })),
  { nil: undefined },
);
const pageOf: fc.Arbitrary<Page> = fc.record({ offset: fc.nat(8), limit: fc.nat(8), counted: fc.boolean() });

/** The model: all events in the order of arrival. */
type Numbered<T> = T & { readonly at: number };

function newestFirst<T extends { readonly origin: bigint }>(rows: readonly Numbered<T>[]): T[] {
  return [...rows]
    .sort((x, y) => Number(y.origin - x.origin) || y.at - x.at)
    .map(({ at: _, ...row }) => row as unknown as T);
}

const inRange = (origin: bigint, range: EventFilter['range']): boolean =>
  range === undefined || (origin >= range.start && origin <= range.end);

function modelEvents(events: readonly Event[], filter: EventFilter): Event[] {
  return newestFirst(
    events
      .map((event, at) => ({ ...event, at }))
      .filter(
        (event) =>
          (filter.device === undefined || event.deviceName === filter.device) &&
          inRange(event.origin, filter.range),
      ),
  );
}

function modelReadings(events: readonly Event[], filter: ReadingFilter): Reading[] {
  const rows = events.flatMap((event) => event.readings).map((reading, at) => ({ ...reading, at }));
  return newestFirst(
    rows.filter(
      (row) =>
        (filter.device === undefined || row.deviceName === filter.device) &&
        (filter.resources === undefined || filter.resources.includes(row.resourceName)) &&
        inRange(row.origin, filter.range),
    ),
  );
}

function pageOfModel(rows: readonly unknown[], { offset, limit, counted }: Page): unknown {
  if (counted && limit > 0 && rows.length > 0 && offset > rows.length) return '416';
  return { total: counted ? rows.length : 0, items: rows.slice(offset, offset + limit) };
}

async function asked(query: () => Promise<Result>): Promise<unknown> {
  try {
    const { total, items } = await query();
    return { total, items: items.map(parseJson) };
  } catch (error) {
    if (isAntirioError(error, 'rangeNotSatisfiable')) return '416';
    throw error;
  }
}

const plain = (rows: readonly Record<string, unknown>[]): unknown[] =>
  rows.map((row) => parseJson(stringifyJson(row)));

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-queries-'));
  db = openDatabase(join(folder, 'events.db'), MIGRATIONS);
  // runs of a few events, so that most of what is asked for by id is in one
  writer = createEventWriter(db, createEventKeys(db, 8));
  reader = createEventReader(db, writer.keys);
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
  const filterOf = fc.record({
    device: fc.option(fc.constantFrom(...DEVICES, 'none'), { nil: undefined }),
    resources: fc.option(fc.uniqueArray(fc.constantFrom(...RESOURCES, 'none'), { minLength: 1 }), {
      nil: undefined,
    }),
    range: rangeOf,
  });

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

  test('also when a resource is spread over more devices than are merged', async () => {
    clear();
    const readings = Array.from({ length: 120 }, (_, n): Reading => ({
      origin: BigInt(1000 - ((n * 7) % 120)),
      deviceName: `device-${n}`,
      resourceName: 'r',
      profileName: 'p',
      valueType: 'Int16',
      kind: 'simple',
      value: String(n),
    }));
    const events = readings.map((reading): Event => {
      const { deviceName, origin } = reading;
      return {
        apiVersion: 'v3',
        id: uuidV4(systemRandom),
        deviceName,
        profileName: 'p',
        sourceName: 's',
        origin,
        readings: [reading],
      };
    });
    write(() => events.forEach((event) => writer.insert(event)));
    const page = { offset: 30, limit: 20, counted: true };
    const filter = { resources: ['r'], range: { start: 900n, end: 990n } };
    expect(await asked(() => reader.readings(filter, page))).toEqual(
      pageOfModel(plain(modelReadings(events, filter).map(readingToJson)), page),
    );
  });
});

test('pages come from an index, without a sort', () => {
  const plan = (sql: string): string =>
    db
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .all()
      .map((row) => String(row['detail']))
      .join('\n');
  const one = 'SELECT id, origin FROM reading WHERE series = 1';
  expect(plan(`${one} UNION ALL ${one} ORDER BY origin DESC, id DESC LIMIT 20 OFFSET 5`)).not.toContain(
    'TEMP B-TREE',
  );
  expect(plan('SELECT id FROM event ORDER BY origin DESC, id DESC LIMIT 5')).not.toContain('TEMP B-TREE');
});
