import fc from 'fast-check';
import { systemRandom } from '@antirio/host';
import { isAntirioError, uuidV4 } from '@antirio/kernel';
import {
  parseJson,
  stringifyJson,
  type Event,
  type Page,
  type Reading,
  type ReadingValue,
} from '@antirio/edgex-contracts';
import type { Result } from '../event-reader.ts';
import type { EventFilter, ReadingFilter } from '../selections.ts';

/** A naive store in memory, against which real ones are held, and arbitrary events for both. */

const DEVICES = ['a', 'b', 'c'];
const RESOURCES = ['r', 's', 't'];

const originOf = fc.bigInt(1n, 12n).map((n) => 2n ** 60n + n);

const VALUES: readonly fc.Arbitrary<Pick<Reading, 'valueType'> & ReadingValue>[] = [
  fc.nat(99).map((n) => ({ valueType: 'Uint8', kind: 'simple', value: String(n) })),
  fc
    .bigInt(-(2n ** 63n), 2n ** 63n - 1n)
    .map((n) => ({ valueType: 'Int64', kind: 'simple', value: String(n) })),
  fc.bigInt(0n, 2n ** 64n - 1n).map((n) => ({ valueType: 'Uint64', kind: 'simple', value: String(n) })),
  fc.constantFrom('007', '+5', '-0', '12').map((value) => ({ valueType: 'Int16', kind: 'simple', value })),
  fc
    .constantFrom('1.250000e+01', '-1.500000e-05', '2.5', '-0.000000e+00', '0x1p-2', 'NaN', '1e-400', '1e300')
    .map((value) => ({ valueType: 'Float64', kind: 'simple', value })),
  fc.string().map((value) => ({ valueType: 'String', kind: 'simple', value })),
  fc.constant({ valueType: 'Float32', kind: 'null' } as const),
  fc
    .uint8Array({ maxLength: 9 })
    .map((binaryValue) => ({ valueType: 'Binary', kind: 'binary', binaryValue, mediaType: 'a/b' })),
  fc.record({ a: fc.integer() }).map((objectValue) => ({ valueType: 'Object', kind: 'object', objectValue })),
];

/** With an origin of its own, or that of its event. */
const readingOf = (device: string, eventOrigin: bigint): fc.Arbitrary<Reading> =>
  fc
    .record({
      origin: fc.oneof(originOf, fc.constant(eventOrigin)),
      resourceName: fc.constantFrom(...RESOURCES),
      value: fc.oneof(...VALUES),
      tags: fc.option(fc.constant({ t: 1 }), { nil: undefined, freq: 9 }),
    })
    .map(({ value, ...fields }) => ({ ...fields, deviceName: device, profileName: 'p', ...value }));

export const eventOf: fc.Arbitrary<Event> = fc
  .tuple(fc.constantFrom(...DEVICES), originOf)
  .chain(([deviceName, origin]) =>
    fc
      .record({
        sourceName: fc.constantFrom('s1', 's2'),
        readings: fc.array(readingOf(deviceName, origin), { minLength: 1, maxLength: 3 }),
        tags: fc.option(fc.constant({ on: 'event' }), { nil: undefined }),
      })
      .map((fields) => ({
        apiVersion: 'v3',
        id: uuidV4(systemRandom),
        deviceName,
        profileName: 'p',
        origin,
        ...fields,
      })),
  );

const rangeOf = fc.option(
  fc.tuple(originOf, originOf).map(([a, b]) => (a < b ? { start: a, end: b } : { start: b, end: a })),
  { nil: undefined },
);
export const pageOf: fc.Arbitrary<Page> = fc.record({
  offset: fc.nat(8),
  limit: fc.nat(8),
  counted: fc.boolean(),
});

/** The model: all events in the order of arrival. */
type Numbered<T> = T & { readonly at: number };

function newestFirst<T extends { readonly origin: bigint }>(rows: readonly Numbered<T>[]): T[] {
  return [...rows]
    .sort((x, y) => Number(y.origin - x.origin) || y.at - x.at)
    .map(({ at: _, ...row }) => row as unknown as T);
}

const inRange = (origin: bigint, range: EventFilter['range']): boolean =>
  range === undefined || (origin >= range.start && origin <= range.end);

export function modelEvents(events: readonly Event[], filter: EventFilter): Event[] {
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

export function modelReadings(events: readonly Event[], filter: ReadingFilter): Reading[] {
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

export function pageOfModel(rows: readonly unknown[], { offset, limit, counted }: Page): unknown {
  if (counted && limit > 0 && rows.length > 0 && offset > rows.length) return '416';
  return { total: counted ? rows.length : 0, items: rows.slice(offset, offset + limit) };
}

export async function asked(query: () => Promise<Result>): Promise<unknown> {
  try {
    const { total, items } = await query();
    return { total, items: items.map(parseJson) };
  } catch (error) {
    if (isAntirioError(error, 'rangeNotSatisfiable')) return '416';
    throw error;
  }
}

export const plain = (rows: readonly Record<string, unknown>[]): unknown[] =>
  rows.map((row) => parseJson(stringifyJson(row)));

export const filterOf: fc.Arbitrary<ReadingFilter> = fc.record({
  device: fc.option(fc.constantFrom(...DEVICES, 'none'), { nil: undefined }),
  resources: fc.option(fc.uniqueArray(fc.constantFrom(...RESOURCES, 'none'), { minLength: 1 }), {
    nil: undefined,
  }),
  range: rangeOf,
});
