import { expect } from '@jest/globals';
import fc from 'fast-check';
import { silentLog, systemClock, systemRandom } from '@antirio/host';
import type { StoreCase } from '@antirio/testing';
import { isAntirioError, uuidV4 } from '@antirio/kernel';
import { eventToJson, parseJson, readingToJson, type Event, type Reading } from '@antirio/edgex-contracts';
import type { EventStore } from '../event-store.ts';
import { openEventStore } from '../open-event-store.ts';
import { coreDataOptions } from '../options.ts';
import {
  asked,
  eventOf,
  filterOf,
  modelEvents,
  modelReadings,
  pageOf,
  pageOfModel,
  plain,
} from './event-model.ts';

const ALL = { offset: 0, limit: 1000, counted: true };
const EVER = 2n ** 63n - 1n;

export function openStoreOf(dataDir: string, store?: Record<string, unknown>): Promise<EventStore> {
  const options = coreDataOptions.parse({ dataDir, ...(store === undefined ? {} : { store }) });
  return openEventStore(options, { clock: systemClock, random: systemRandom, log: silentLog });
}

const insert = (store: EventStore, event: Event): Promise<string> => store.insert(event, 100);

async function deleteAll(store: EventStore): Promise<void> {
  while (await store.deleteSome());
}

async function clear(store: EventStore): Promise<void> {
  await store.noteDeletion({ until: EVER });
  await deleteAll(store);
}

async function withStore(
  open: () => Promise<EventStore>,
  work: (store: EventStore) => Promise<void>,
): Promise<void> {
  const store = await open();
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

const reading = (
  deviceName: string,
  origin: bigint,
  value = '1',
  valueType: Reading['valueType'] = 'Int16',
): Reading => ({
  origin,
  deviceName,
  profileName: 'p',
  resourceName: 'r',
  valueType,
  kind: 'simple',
  value,
});

const event = (
  deviceName: string,
  origin: bigint,
  readings?: readonly Reading[],
  sourceName = 's',
): Event => ({
  apiVersion: 'v3',
  id: uuidV4(systemRandom),
  deviceName,
  profileName: 'p',
  sourceName,
  origin,
  readings: [...(readings ?? [reading(deviceName, origin)])],
});

async function answersAsTheModel(open: () => Promise<EventStore>): Promise<void> {
  await withStore(open, (store) =>
    fc.assert(
      fc.asyncProperty(
        fc.array(eventOf, { maxLength: 25 }),
        fc.array(fc.nat(24), { maxLength: 5 }),
        fc.array(fc.tuple(filterOf, pageOf), { minLength: 1, maxLength: 8 }),
        async (stored, deleted, queries) => {
          await clear(store);
          const outcomes = await Promise.all(stored.map((one) => insert(store, one)));
          expect(outcomes).toEqual(stored.map(() => 'stored'));
          const gone = new Set(deleted.filter((index) => index < stored.length));
          for (const index of gone) await store.remove(stored[index]?.id ?? '');
          const left = stored.filter((_, index) => !gone.has(index));
          for (const [filter, page] of queries) {
            const events = modelEvents(left, filter);
            const readings = modelReadings(left, filter);
            const { reader } = store;
            const [shownEvents, shownReadings] = [events.map(eventToJson), readings.map(readingToJson)];
            expect(await asked(() => reader.events(filter, page))).toEqual(
              pageOfModel(plain(shownEvents), page),
            );
            expect(await asked(() => reader.readings(filter, page))).toEqual(
              pageOfModel(plain(shownReadings), page),
            );
            expect(await reader.eventCount(filter)).toBe(events.length);
            expect(await reader.readingCount(filter)).toBe(readings.length);
          }
        },
      ),
      { numRuns: 30 },
    ),
  );
}

async function storesAnIdOnce(open: () => Promise<EventStore>): Promise<void> {
  const one = event('d', 7n);
  const removed = event('d', 8n);
  await withStore(open, async (store) => {
    const again = { ...one, id: one.id.toUpperCase(), origin: 9n };
    expect(await Promise.all([one, again, one].map((given) => insert(store, given)))).toEqual([
      'stored',
      'duplicate',
      'duplicate',
    ]);
    await insert(store, removed);
    await store.remove(removed.id);
    await expect(store.remove(removed.id)).rejects.toThrow(`no event with id '${removed.id}' found`);
  });
  await withStore(open, async (store) => {
    expect(await insert(store, one)).toBe('duplicate');
    expect(await store.reader.eventCount({})).toBe(1);
    expect(parseJson((await store.reader.eventById(one.id)) ?? '')).toEqual(plain([eventToJson(one)])[0]);
    expect(await store.reader.eventById(removed.id)).toBeUndefined();
    expect(await insert(store, removed)).toBe('stored');
  });
}

async function keepsEveryDigit(open: () => Promise<EventStore>): Promise<void> {
  const origin = 2n ** 62n + 1n;
  await withStore(open, async (store) => {
    const values = ['9223372036854775807', '-0', '007', '1.250000e+01'];
    const readings = values.map((value, index) => reading('d', origin + BigInt(index), value, 'Int64'));
    await insert(store, event('d', origin, readings));
    const { items } = await store.reader.readings({}, ALL, true);
    expect(items.map((text) => /"value":([^,}]+)/.exec(text)?.[1])).toEqual([
      '1.250000e+01',
      '7',
      '-0',
      '9223372036854775807',
    ]);
    const range = { start: origin + 1n, end: origin + 1n };
    expect(await store.reader.readingCount({ range })).toBe(1);
  });
}

async function deletesWhatWasThere(open: () => Promise<EventStore>): Promise<void> {
  await withStore(open, async (store) => {
    const before = Array.from({ length: 450 }, (_, n) =>
      event('a', BigInt(n + 1), undefined, n % 2 ? 's' : 't'),
    );
    await Promise.all(before.map((one) => insert(store, one)));
    await insert(store, event('b', 5n));
    await store.noteDeletion({ device: 'a', source: 's', until: 100n });
    await store.noteDeletion({ device: 'a', source: 't' });
    await insert(store, event('a', 6n, undefined, 't'));
  });
  // what was noted goes on after the next start
  await withStore(open, async (store) => {
    await deleteAll(store);
    const { items } = await store.reader.events({ device: 'a' }, ALL);
    const left = items.map((text) => parseJson(text) as { sourceName: string; origin: number });
    expect(left.filter(({ sourceName }) => sourceName === 't').map(({ origin }) => origin)).toEqual([6]);
    expect(left.filter(({ sourceName }) => sourceName === 's').every(({ origin }) => origin > 100)).toBe(
      true,
    );
    expect(left.length).toBe(1 + 175);
    expect(await store.reader.eventCount({ device: 'b' })).toBe(1);
    const names = await store.sources.all();
    expect(names.map(({ device, source }) => `${device} ${source}`).sort()).toEqual(['a s', 'a t', 'b s']);
    await store.noteDeletion({ device: 'b' });
    expect((await store.sources.all()).map(({ device }) => device)).not.toContain('b');
    await clear(store);
    expect(await store.sources.all()).toEqual([]);
    expect(await store.reader.readingCount({})).toBe(0);
    expect(await store.reader.aggregates({}, 'COUNT', ALL)).toEqual([]);
  });
}

async function knowsItsSources(open: () => Promise<EventStore>): Promise<void> {
  await withStore(open, async (store) => {
    for (const origin of [40n, 10n, 30n, 20n]) await insert(store, event('a', origin));
    await insert(store, event('a', 99n, undefined, 'other'));
    const { sources } = store;
    expect(await sources.eventCount('a', 's')).toBe(4);
    expect(await sources.eventCount('a', 'none')).toBe(0);
    expect(await sources.originAt('a', 's', undefined, 0)).toBe(40n);
    expect(await sources.originAt('a', 's', undefined, 3)).toBe(10n);
    expect(await sources.originAt('a', 's', undefined, 4)).toBeUndefined();
    expect(await sources.originAt('a', 's', 30n, 1)).toBe(20n);
  });
}

async function hasTheOrderOfArrival(open: () => Promise<EventStore>): Promise<void> {
  await withStore(open, async (store) => {
    const { arrivals, reader } = store;
    expect([arrivals.newest(), await arrivals.oldest()]).toEqual([0, undefined]);
    const given = Array.from({ length: 700 }, (_, n) => event(n % 3 === 0 ? 'a' : 'b', BigInt(1000 - n)));
    await Promise.all(given.map((one) => insert(store, one)));
    await store.settled();
    const seen: string[] = [];
    const newest = arrivals.newest();
    for (let after = 0; after < newest;) {
      const page = await arrivals.page(after, newest, (device) => device === 'a');
      for (const { id, table, uuid } of page.arrivals) {
        expect((parseJson((await reader.eventAt(table, id)) ?? '') as Event).id).toBe(uuid);
        seen.push(uuid);
      }
      after = page.through;
    }
    expect(seen).toEqual(given.filter(({ deviceName }) => deviceName === 'a').map(({ id }) => id));
    const oldest = (await arrivals.oldest()) ?? 0;
    await store.remove(given[0]?.id ?? '');
    expect(await arrivals.oldest()).toBeGreaterThan(oldest);
  });
}

async function adds(open: () => Promise<EventStore>): Promise<void> {
  await withStore(open, async (store) => {
    const top = String(2n ** 63n - 1n);
    await insert(store, event('b', 1n, [reading('b', 1n, top, 'Int64'), reading('b', 2n, '1', 'Int64')]));
    await insert(
      store,
      event('a', 1n, [reading('a', 1n, '2.5', 'Float32'), reading('a', 1n, 'x', 'String')]),
    );
    await insert(store, event('a', 3n, [reading('a', 3n, '4', 'Float32')]));
    const sums = async (range?: { start: bigint; end: bigint }): Promise<unknown[]> =>
      (await store.reader.aggregates({ resources: ['r'], range }, 'SUM', ALL))
        .map((text) => parseJson(text) as Record<string, unknown>)
        .map(({ deviceName, valueType, value }) => [deviceName, valueType, value]);
    expect(await sums()).toEqual([
      ['a', 'Float64', 6.5],
      ['a', 'String', ''],
      ['b', 'Int64', 2n ** 63n],
    ]);
    expect(await sums({ start: 2n, end: 3n })).toEqual([
      ['a', 'Float64', 4],
      ['b', 'Int64', 1],
    ]);
    expect(await store.reader.aggregates({}, 'MAX', { offset: 2, limit: 1, counted: true })).toHaveLength(1);
  });
}

async function isBounded(open: () => Promise<EventStore>): Promise<void> {
  await withStore(open, async (store) => {
    const big = store.insert(event('d', 1n), 60 << 20);
    const refused = await store.insert(event('d', 2n), 60 << 20).catch((error: unknown) => error);
    expect(isAntirioError(refused, 'unavailable')).toBe(true);
    expect(store.refused).toBe(1);
    expect(await store.insert(event('d', 3n), 60 << 20, { bounded: true })).toBe('stored');
    expect(await big).toBe('stored');
    expect([store.pending, store.failed]).toEqual([0, 0]);
  });
}

/** The suite that every adapter of the port passes; each case begins with an empty store. */
export const EVENT_STORE_CASES: readonly StoreCase<EventStore>[] = [
  { name: 'pages, totals and counts are those of a naive model', run: answersAsTheModel },
  { name: 'an id is stored once, also after a start', run: storesAnIdOnce },
  { name: 'origins and values keep every digit', run: keepsEveryDigit },
  { name: 'a deletion takes what was there when it was noted', run: deletesWhatWasThere },
  { name: 'sources are counted, and looked up by how many are newer', run: knowsItsSources },
  { name: 'events can be read in the order of their arrival', run: hasTheOrderOfArrival },
  { name: 'aggregates are exact and in the order of the names', run: adds },
  { name: 'what waits is bounded', run: isBounded },
];
