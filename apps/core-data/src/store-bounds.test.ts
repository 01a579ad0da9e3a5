import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { httpPeer, silentLog, systemClock, systemRandom, type HttpPeer } from '@antirio/host';
import { parseJson, type Event } from '@antirio/edgex-contracts';
import { uuidV4 } from '@antirio/kernel';
import { redisTest, startRedis, type RedisServer } from '@antirio/testing';
import { openArrivalAges, type ArrivalAges } from './arrival-ages.ts';
import { createDeletions } from './deletions.ts';
import type { EventStore } from './event-store.ts';
import { createExpiry } from './expiry.ts';
import { coreDataOptions, createCoreData, type CoreData } from './index.ts';
import { createStoreBounds, type StoreBounds } from './store-bounds.ts';
import { openStoreOf } from './testing/event-store-compliance.ts';

const HOUR_MS = 3_600_000;

let folder: string;
let redis: RedisServer | undefined;
let store: EventStore | undefined;
let ages: ArrivalAges | undefined;
let bounds: StoreBounds | undefined;
let room: CoreData | undefined;
let peer: HttpPeer | undefined;
let receiver: Server | undefined;
let ranMs = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-bounds-'));
  ranMs = 0;
});
afterEach(async () => {
  await bounds?.stop();
  peer?.close();
  await room?.stop();
  receiver?.closeAllConnections();
  receiver?.close();
  ages?.close();
  await store?.close();
  await redis?.kill('SIGKILL');
  bounds = peer = room = receiver = ages = store = redis = undefined;
  rmSync(folder, { recursive: true });
});

/** A clock of which only the time that it runs is real. */
const clock = { now: () => 0, monotonic: () => ranMs };

const event = (deviceName: string, origin: bigint, value = '1'): Event => ({
  apiVersion: 'v3',
  id: uuidV4(systemRandom),
  deviceName,
  profileName: 'p',
  sourceName: 's',
  origin,
  readings: [
    {
      origin,
      deviceName,
      profileName: 'p',
      resourceName: 'r',
      valueType: 'String',
      kind: 'simple',
      value,
    },
  ],
});

async function origins(of: EventStore): Promise<number[]> {
  const { items } = await of.reader.events({}, { offset: 0, limit: 5000, counted: true });
  return items.map((text) => Number((parseJson(text) as Event).origin)).sort((a, b) => a - b);
}

const openAges = (of: string, newest: number): ArrivalAges =>
  openArrivalAges(join(folder, 'ages.db'), clock, { of, newest });

/** What of each device is done with, and was taken. */
interface Fates {
  readonly doneThrough?: (device: string) => number;
  readonly isTaken?: (device: string, place: number) => boolean;
  /** Another one whenever the others say something else. */
  readonly state?: () => string;
}

function begin(
  of: EventStore,
  limits: Record<string, unknown>,
  { doneThrough = () => Infinity, isTaken = () => false, state = () => 'same' }: Fates = {},
  deletes = 'unawaited',
  newest = of.arrivals.newest(),
): void {
  const given = { dataDir: folder, retention: { deletes, bounds: { interval: '10ms', ...limits } } };
  const { retention } = coreDataOptions.parse(given);
  const deletions = createDeletions(of, silentLog);
  ages = openAges('one', newest);
  const expiry = createExpiry(retention.deletes, {
    store: of,
    deletions,
    forwarding: { doneThrough, isTaken, state },
    holds: { isHeld: () => false, state: () => '' },
  });
  const none = async (): Promise<number> => 0;
  const heldEvents = { shrink: async () => undefined, events: none, bytes: none, removed: 0 };
  bounds = createStoreBounds(retention.bounds, { store: of, expiry, ages, heldEvents, log: silentLog });
}

async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds()) && performance.now() < deadline) {
    bounds?.poke();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(await holds()).toBe(true);
}

/** Until the bounds that were begun last were looked at as a whole. */
const looked = (): Promise<void> => until(async () => /StoreBytes [1-9]/.test(await metrics()));

async function metrics(): Promise<string> {
  const registry = new Registry();
  bounds?.register(registry);
  return registry.metrics();
}

const CASES: readonly (readonly [string, (of: EventStore) => Promise<void>])[] = [
  [
    'by number, the first that came go, whatever their origins',
    async (of) => {
      const given = [900n, 5n, 700n, 1n, 800n, 2n];
      for (const origin of given) await of.insert(event('d', origin), 1);
      begin(of, { maxEvents: 4 });
      await until(async () => (await of.reader.eventCount({})) === 4);
      expect(await origins(of)).toEqual([1, 2, 700, 800]);
      await until(async () => (await metrics()).includes('EventsRemoved{bound="number"} 2'));
      expect(bounds?.check()).toEqual({ ok: true });
    },
  ],
  [
    'by age, in the time that it ran since they came',
    async (of) => {
      await of.insert(event('d', 2n ** 62n), 1);
      begin(of, { maxAge: '2h' });
      ages?.note(of.arrivals.newest());
      ranMs += HOUR_MS;
      await of.insert(event('d', 1n), 1);
      ages?.note(of.arrivals.newest());
      expect(await of.reader.eventCount({})).toBe(2);
      ranMs += 1.5 * HOUR_MS;
      await until(async () => (await of.reader.eventCount({})) === 1);
      expect(await origins(of)).toEqual([1]);
    },
  ],
  [
    'what is still to be sent stays, and is told',
    async (of) => {
      for (let n = 1n; n <= 6n; n++) await of.insert(event(n % 2n === 0n ? 'theirs' : 'ours', n), 1);
      let sent = 2;
      begin(
        of,
        { maxEvents: 2 },
        { doneThrough: (device) => (device === 'theirs' ? sent : Infinity), state: () => String(sent) },
      );
      await until(async () => (await of.reader.eventCount({})) === 2);
      expect(await origins(of)).toEqual([4, 6]);
      await of.insert(event('theirs', 7n), 1);
      await until(() => bounds?.check().detail !== undefined);
      expect(bounds?.check().detail).toBe(
        '1 events over the bounds may not go: they are not stored elsewhere',
      );
      expect(await metrics()).toContain('EventsHeldBack 1');
      sent = 4;
      await until(async () => JSON.stringify(await origins(of)) === '[6,7]');
      await until(() => bounds?.check().detail === undefined);
    },
  ],
  [
    'where only what is stored elsewhere may go, nothing else does',
    async (of) => {
      for (let n = 1n; n <= 6n; n++) await of.insert(event('d', n), 1);
      const first = (await of.arrivals.oldest()) ?? 0;
      const isTaken = (_: string, place: number): boolean => place === first + 1 || place === first + 2;
      begin(of, { maxEvents: 1 }, { isTaken }, 'storedElsewhere');
      await until(async () => (await of.reader.eventCount({})) === 4);
      expect(await origins(of)).toEqual([1, 4, 5, 6]);
    },
  ],
];

/** Events of one and of two readings by turns, which SQLite has in tables of their own. */
async function insertMixed(of: EventStore, count: number, value: string): Promise<void> {
  const given = Array.from({ length: count }, (_, n) => {
    const one = event('d', BigInt(n), value);
    return n % 2 === 0 ? one : { ...one, readings: [...one.readings, ...one.readings] };
  });
  await Promise.all(given.map((one) => of.insert(one, 1)));
}

/** The newest of so many, each of them. */
const newestOf = (count: number, left: number): number[] =>
  Array.from({ length: left }, (_, n) => count - left + n);

describe('SQLite', () => {
  for (const [name, run] of CASES)
    test(name, async () => {
      store = await openStoreOf(folder);
      await run(store);
    });

  test('what arrives after a restart, or in a new store, is as young as it is', async () => {
    store = await openStoreOf(folder);
    for (let n = 1n; n <= 20n; n++) await store.insert(event('d', n), 1);
    begin(store, { maxAge: '24h' });
    ages?.note(store.arrivals.newest());
    ranMs += 25 * HOUR_MS;
    let of = store;
    await until(async () => (await of.reader.eventCount({})) === 0);
    for (const count of [10, 30]) {
      await bounds?.stop();
      ages?.close();
      await store.close();
      // the first is the same store, the second another one
      if (count === 30) rmSync(join(folder, 'core-data'), { recursive: true });
      store = of = await openStoreOf(folder);
      const place = of.arrivals.newest();
      for (let n = 1n; n <= count; n++) await of.insert(event('d', n), 1);
      if (count === 10) expect(of.arrivals.newest()).toBe(30);
      begin(of, { maxAge: '24h' }, {}, 'unawaited', place);
      await looked();
      expect(await of.reader.eventCount({})).toBe(count);
    }
  });

  test('what may not go is looked at once, until more of it may', async () => {
    const of = (store = await openStoreOf(folder));
    await insertMixed(of, 1500, 'x');
    let [sent, rounds] = [100, 0];
    const pages: number[] = [];
    const counting: EventStore = {
      ...of,
      bytes: () => of.bytes().finally(() => (rounds += 1)),
      arrivals: {
        ...of.arrivals,
        page: (after, through, isWanted) => {
          pages.push(after);
          return of.arrivals.page(after, through, isWanted);
        },
      },
    };
    begin(counting, { maxEvents: 10 }, { doneThrough: () => sent, state: () => String(sent) });
    const round = (): Promise<void> => {
      const wanted = rounds + 2;
      return until(() => rounds >= wanted);
    };
    await round();
    const left = await of.reader.eventCount({});
    expect(left).toBeGreaterThan(1400);
    expect(await metrics()).toContain(`EventsHeldBack ${left - 10}`);
    const newest = of.arrivals.newest();
    pages.length = 0;
    await round();
    expect(pages).toEqual([]);
    await of.insert(event('d', 1n), 1);
    await round();
    expect(pages).toEqual([newest]);
    expect(await metrics()).toContain(`EventsHeldBack ${left - 9}`);
    // somebody deletes the oldest: what is held is counted again
    await of.removeAt((await of.arrivals.page(0, 110, () => true)).arrivals);
    await round();
    expect(await metrics()).toContain(`EventsHeldBack ${(await of.reader.eventCount({})) - 10}`);
    sent = Infinity;
    await until(async () => (await of.reader.eventCount({})) === 10);
  });

  test('by bytes, the oldest of all pages and tables go', async () => {
    store = await openStoreOf(folder);
    await insertMixed(store, 3000, 'x'.repeat(600));
    begin(store, { maxBytes: Math.trunc((await store.bytes()) * 0.6) });
    await looked();
    const left = await origins(store);
    expect(left.length).toBeGreaterThan(500);
    expect(left.length).toBeLessThan(2500);
    expect(left).toEqual(newestOf(3000, left.length));
  });

  test('by bytes, and the file gets smaller', async () => {
    store = await openStoreOf(folder);
    const path = join(folder, 'core-data', 'events.db');
    const of = store;
    const value = 'x'.repeat(4000);
    for (let round = 0; round < 8; round++)
      await Promise.all(
        Array.from({ length: 500 }, (_, n) => of.insert(event('d', BigInt(round * 500 + n), value), 1)),
      );
    const before = await of.bytes();
    expect(before).toBeGreaterThan(15 << 20);
    begin(of, { maxBytes: 4 << 20 });
    await until(async () => (await of.bytes()) <= 4 << 20);
    await until(async () => !(await of.giveBack()));
    expect(statSync(path).size).toBeLessThan(12 << 20);
    const left = await origins(of);
    expect(left.length).toBeGreaterThan(300);
    expect(left.at(-1)).toBe(3999);
    expect(await metrics()).toMatch(/EventsRemoved\{bound="bytes"\} [1-9]/);
  });
});

describe('Redis', () => {
  for (const [name, run] of CASES)
    redisTest(name, async () => {
      redis = await startRedis({ folder: join(folder, 'redis') });
      store = await openStoreOf(folder, { kind: 'redis', url: redis.url });
      await run(store);
    });

  redisTest('by bytes of its memory', async () => {
    redis = await startRedis({ folder: join(folder, 'redis') });
    store = await openStoreOf(folder, { kind: 'redis', url: redis.url });
    const of = store;
    const empty = await of.bytes();
    await Promise.all(
      Array.from({ length: 1500 }, (_, n) => of.insert(event('d', BigInt(n), 'x'.repeat(4000)), 1)),
    );
    const maxBytes = empty + (4 << 20);
    expect(await of.bytes()).toBeGreaterThan(maxBytes);
    begin(of, { maxBytes });
    await until(async () => (await of.bytes()) <= maxBytes);
    const left = await origins(of);
    expect(left.length).toBeGreaterThan(300);
    expect(left).toEqual(newestOf(1500, left.length));
  });
});

test('what is known of the ages in one store is not said of another one', () => {
  ages = openAges('one', 0);
  ages.note(1_000_000);
  ages.note(1_000_000);
  ranMs += HOUR_MS;
  expect(ages.placeBefore(HOUR_MS / 2)).toBe(1_000_000);
  ages.note(12);
  expect(ages.placeBefore(0)).toBe(12);
  ages.close();
  ages = openAges('one', 12);
  expect(ages.placeBefore(0)).toBe(12);
  ages.close();
  ages = openAges('another', 2_000_000);
  expect(ages.placeBefore(0)).toBe(0);
});

test('what a receiver took goes, what it did not take stays, of each bound and of retention', async () => {
  let takes = 3;
  receiver = createServer((request, response) => {
    request.resume().on('end', () => {
      takes -= 1;
      response.writeHead(takes >= 0 ? 200 : 503).end();
    });
  });
  await new Promise<void>((resolve) => receiver?.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  const retention = {
    interval: '20ms',
    appliesTo: 'everything',
    defaultMinCap: -1,
    defaultDuration: '1s',
    deletes: 'storedElsewhere',
    bounds: { interval: '20ms', maxEvents: 1 },
  };
  const forwarding = { away: { rule: { kind: 'http', url, from: 'stored' } } };
  const options = coreDataOptions.parse({ dataDir: folder, port: 0, retention, forwarding });
  room = createCoreData(options, { clock: systemClock, random: systemRandom, log: silentLog });
  await room.start();
  const calls = httpPeer({ url: `http://127.0.0.1:${room.port}/api/v3` });
  peer = calls;
  const post = async (n: number): Promise<void> => {
    const names = { deviceName: 'd', profileName: 'p', origin: n };
    const readings = [{ ...names, resourceName: 'r', valueType: 'Int8', value: '1' }];
    const id = uuidV4(systemRandom);
    const json = { apiVersion: 'v3', event: { apiVersion: 'v3', id, ...names, sourceName: 's', readings } };
    expect((await calls.call({ method: 'POST', path: '/event/svc/p/d/s', json })).status).toBe(201);
  };
  const left = async (): Promise<number[]> => {
    const { events } = (await calls.call({ path: '/event/all' })).json() as { events: { origin: number }[] };
    return events.map(({ origin }) => origin);
  };
  for (const n of [1, 2, 3]) await post(n);
  await until(async () => (await left()).length === 0);
  for (const n of [4, 5]) await post(n);
  await until(async () =>
    ((await room?.health())?.['bounds']?.detail ?? '').includes('not stored elsewhere'),
  );
  expect(await left()).toEqual([5, 4]);
  takes = 10;
  await until(async () => (await left()).length === 0);
});
