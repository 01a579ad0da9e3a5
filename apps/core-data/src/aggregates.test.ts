import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { inTransaction, openDatabase, systemRandom, type Database } from '@antirio/host';
import { uuidV4 } from '@antirio/kernel';
import { parseJson, type Event, type Reading } from '@antirio/edgex-contracts';
import { AGGREGATE_FUNCS, type AggregateFunc } from './accumulator.ts';
import { createEventKeys } from './event-keys.ts';
import { createEventReader, type EventReader } from './event-reader.ts';
import { createEventWriter, type EventWriter } from './event-writer.ts';
import { createPostings } from './postings.ts';
import { MIGRATIONS } from './schema.ts';
import type { ReadingFilter } from './selections.ts';

let folder: string;
let db: Database;
let writer: EventWriter;
let reader: EventReader;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-aggregates-'));
  db = openDatabase(join(folder, 'events.db'), MIGRATIONS);
  writer = createEventWriter(db, createEventKeys(db), createPostings(db, 7));
  reader = createEventReader(db, writer.keys);
});
afterAll(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

const ALL = { offset: 0, limit: 1000, counted: true };

function store(events: readonly Event[]): void {
  inTransaction(db, () => {
    writer.noteDeletion({ until: 2n ** 62n });
    while (writer.deleteSome(1000));
    for (const event of events) writer.insert(event);
    writer.beforeCommit();
  });
}

function eventOf(deviceName: string, origin: bigint, readings: readonly Partial<Reading>[]): Event {
  const base = { origin, deviceName, resourceName: 'r', profileName: 'p', valueType: 'Int16' as const };
  return {
    apiVersion: 'v3',
    id: uuidV4(systemRandom),
    deviceName,
    profileName: 'p',
    sourceName: 's',
    origin,
    readings: readings.map((one) => ({ ...base, ...one }) as Reading),
  };
}

const simple = (valueType: Reading['valueType'], resourceName: string, value: string): Partial<Reading> => ({
  valueType,
  resourceName,
  kind: 'simple',
  value,
});

async function valuesOf(func: AggregateFunc, filter: ReadingFilter = {}): Promise<unknown[]> {
  const rows = (await reader.aggregates(filter, func, ALL)).map(parseJson) as Record<string, unknown>[];
  return rows.map(({ resourceName, valueType, value }) => [resourceName, valueType, value]);
}

test('results keep every digit, and have the widest type of their kind', async () => {
  const top = String(2n ** 63n - 1n);
  store([
    eventOf('d', 1n, [simple('Int64', 'int', top)]),
    eventOf('d', 2n, [simple('Int64', 'int', '+7')]),
    eventOf(
      'd',
      3n,
      ['37.4', '3.740000e+01', '37.4'].map((value) => simple('Float32', 'float', value)),
    ),
    eventOf('d', 4n, [simple('Uint64', 'uint', String(2n ** 64n - 1n)), simple('Uint64', 'uint', '0')]),
    eventOf('d', 5n, [simple('String', 'text', '12'), simple('Bool', 'bool', 'true')]),
    eventOf('d', 6n, [{ valueType: 'Float64', resourceName: 'none', kind: 'null' }]),
    eventOf(
      'd',
      7n,
      ['NaN', '0e999999999', '1e-999999999', '-2.5'].map((v) => simple('Float64', 'odd', v)),
    ),
  ]);
  expect(await valuesOf('SUM')).toEqual([
    ['bool', 'Bool', ''],
    ['float', 'Float64', 112.2],
    ['int', 'Int64', 2n ** 63n + 6n],
    ['none', 'Float64', ''],
    ['odd', 'Float64', -2.5],
    ['text', 'String', ''],
    ['uint', 'Uint64', 2n ** 64n - 1n],
  ]);
  expect(await valuesOf('COUNT', { resources: ['odd', 'int', 'none'] })).toEqual([
    ['int', 'Uint64', 2],
    ['none', 'Uint64', 0],
    ['odd', 'Uint64', 3],
  ]);
  expect(await valuesOf('MIN', { resources: ['int', 'odd'] })).toEqual([
    ['int', 'Int64', 7],
    ['odd', 'Float64', -2.5],
  ]);
  expect(await valuesOf('MAX', { resources: ['int', 'uint'] })).toEqual([
    ['int', 'Int64', 2n ** 63n - 1n],
    ['uint', 'Uint64', 2n ** 64n - 1n],
  ]);
  expect(await valuesOf('AVG', { resources: ['float'] })).toEqual([['float', 'Float64', 37.4]]);
});

test('results of a page of groups come in the order of the devices', async () => {
  store(
    ['c', 'a', 'b'].flatMap((device, n) => [eventOf(device, BigInt(n + 1), [simple('Int8', 'r', `${n}`)])]),
  );
  const page = { offset: 1, limit: 1, counted: true };
  const [row] = await reader.aggregates({}, 'SUM', page);
  expect(parseJson(row ?? '')).toEqual({
    deviceName: 'b',
    resourceName: 'r',
    profileName: 'p',
    valueType: 'Int64',
    value: 2,
  });
});

const DEVICES = ['a', 'b'];
const RESOURCES = ['r', 's'];

interface Sample {
  readonly device: string;
  readonly origin: bigint;
  readonly resource: string;
  readonly value: number;
}

const sampleOf: fc.Arbitrary<Sample> = fc.record({
  device: fc.constantFrom(...DEVICES),
  origin: fc.bigInt(1n, 9n),
  resource: fc.constantFrom(...RESOURCES),
  value: fc.integer({ min: -1000, max: 1000 }),
});

function naive(func: AggregateFunc, values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  switch (func) {
    case 'MIN':
      return Math.min(...values);
    case 'MAX':
      return Math.max(...values);
    case 'SUM':
      return sum;
    case 'AVG':
      return sum / values.length;
    case 'COUNT':
      return values.length;
  }
}

test('results are those of a naive model', async () => {
  const filterOf = fc.record({
    device: fc.option(fc.constantFrom(...DEVICES), { nil: undefined }),
    resources: fc.option(fc.constantFrom<string[]>(['r'], ['r', 's'], ['none']), { nil: undefined }),
    range: fc.option(
      fc.tuple(fc.bigInt(1n, 9n), fc.bigInt(0n, 8n)).map(([start, more]) => ({ start, end: start + more })),
      { nil: undefined },
    ),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(sampleOf, { maxLength: 30 }),
      filterOf,
      fc.constantFrom(...AGGREGATE_FUNCS),
      fc.boolean(),
      async (samples, filter, func, inPairs) => {
        store(
          samples.map(({ device, origin, resource, value }) => {
            const one = simple('Int16', resource, String(value));
            return eventOf(device, origin, inPairs ? [one, one] : [one]);
          }),
        );
        const { device, resources, range } = filter;
        const chosen = samples.filter(
          (sample) =>
            (device === undefined || sample.device === device) &&
            (resources === undefined || resources.includes(sample.resource)) &&
            (range === undefined || (sample.origin >= range.start && sample.origin <= range.end)),
        );
        const groups = Map.groupBy(chosen, ({ device: of, resource }) => `${of} ${resource}`);
        const wanted = [...groups]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, of]) => {
            const values = of.flatMap(({ value }) => (inPairs ? [value, value] : [value]));
            return [key, naive(func, values)];
          });
        const rows = (await reader.aggregates(filter, func, ALL)).map(parseJson) as Record<string, unknown>[];
        expect(
          rows.map((row) => [`${String(row['deviceName'])} ${String(row['resourceName'])}`, row['value']]),
        ).toEqual(wanted);
      },
    ),
    { numRuns: 60 },
  );
});
