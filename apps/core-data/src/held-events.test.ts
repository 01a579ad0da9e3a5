import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { silentLog, systemRandom } from '@antirio/host';
import { parseJson, type Event } from '@antirio/edgex-contracts';
import { uuidV4 } from '@antirio/kernel';
import { redisTest, startRedis, type RedisServer } from '@antirio/testing';
import { openArrivalAges, type ArrivalAges } from './arrival-ages.ts';
import { createDeletions } from './deletions.ts';
import type { EventStore } from './event-store.ts';
import { createExpiry } from './expiry.ts';
import { createHeldEvents, type HeldEvents } from './held-events.ts';
import { coreDataOptions } from './index.ts';
import { createStoreBounds, type StoreBounds } from './store-bounds.ts';
import { openStoreOf } from './testing/event-store-compliance.ts';

let folder: string;
let redis: RedisServer | undefined;
let store: EventStore | undefined;
let ages: ArrivalAges | undefined;
let bounds: StoreBounds | undefined;
let alarms: unknown[] = [];
let sent = Infinity;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-held-'));
  [alarms, sent] = [[], Infinity];
});
afterEach(async () => {
  await bounds?.stop();
  ages?.close();
  await store?.close();
  await redis?.kill('SIGKILL');
  bounds = ages = store = redis = undefined;
  rmSync(folder, { recursive: true });
});

/** With so many readings; names within a hold's prefix and beside it. */
async function fill(of: EventStore, device: string, count: number, value = '1', readings = 1): Promise<void> {
  const given = Array.from({ length: count }, (_, n): Event => {
    const names = {
      deviceName: device,
      profileName: 'p',
      origin: 1_700_000_000_000_000_000n + BigInt(n + 1),
    };
    const reading = { ...names, resourceName: 'r', valueType: 'String', kind: 'simple', value } as const;
    const id = uuidV4(systemRandom);
    return { apiVersion: 'v3', id, ...names, sourceName: 's', readings: Array(readings).fill(reading) };
  });
  await Promise.all(given.map((one) => of.insert(one, 1)));
}

async function originsOf(of: EventStore, device: string): Promise<number[]> {
  const { items } = await of.reader.events({ device }, { offset: 0, limit: 5000, counted: true });
  return items
    .map((text) => Number((parseJson(text) as Event).origin - 1_700_000_000_000_000_000n))
    .sort((a, b) => a - b);
}
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n);

const HOLDS = [
  { id: 'c1', devicePrefix: 'c1.', leftS: undefined },
  { id: 'within', devicePrefix: 'c1.a', leftS: undefined },
  { id: 'c2', devicePrefix: 'c2.', leftS: undefined },
];

function begin(
  of: EventStore,
  limits: Record<string, unknown>,
  own: Record<string, unknown> = {},
): HeldEvents {
  const { retention } = coreDataOptions.parse({
    dataDir: folder,
    retention: { holds: limits, bounds: { interval: '10ms', ...own } },
  });
  const holds = {
    all: () => [...HOLDS],
    isHeld: (device: string) => HOLDS.some(({ devicePrefix }) => device.startsWith(devicePrefix)),
    state: () => '',
  };
  const forwarding = { doneThrough: () => sent, isTaken: () => false, state: () => String(sent) };
  const log = { error: (...said: unknown[]) => void alarms.push(said) };
  const deletions = createDeletions(of, silentLog);
  ages = openArrivalAges(
    join(folder, 'ages.db'),
    { now: () => 0, monotonic: () => 0 },
    { of: 'one', newest: 0 },
  );
  const expiry = createExpiry(retention.deletes, { store: of, deletions, forwarding, holds });
  const heldEvents = createHeldEvents(retention.holds, { store: of, holds, forwarding, log });
  bounds = createStoreBounds(retention.bounds, { store: of, expiry, ages, heldEvents, log: silentLog });
  return heldEvents;
}

/** Until the bounds were looked at twice as a whole. */
async function looked(of: EventStore): Promise<void> {
  await until(async () => /StoreBytes [1-9]/.test(await metrics()));
  const newest = of.arrivals.newest();
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(of.arrivals.newest()).toBe(newest);
}
async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds()) && performance.now() < deadline) {
    bounds?.poke();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(await holds()).toBe(true);
}
async function metrics(): Promise<string> {
  const registry = new Registry();
  bounds?.register(registry);
  return registry.metrics();
}

const CASES: readonly (readonly [string, (of: EventStore) => Promise<void>])[] = [
  [
    'none of our own go for it, and of each hold the newest stay',
    async (of) => {
      await fill(of, 'ours', 8);
      await fill(of, 'c1.drone', 9);
      begin(of, { maxEvents: 12 }, { maxEvents: 10, maxBytes: 1 << 30 });
      await looked(of);
      expect(await of.reader.eventCount({})).toBe(17);
      expect(await metrics()).toContain('EventsHeldBack 0');
      await fill(of, 'c1.a', 20);
      await fill(of, 'c2.x', 12);
      await until(async () => (await of.reader.eventCount({})) === 8 + 12 + 12);
      await fill(of, 'ours', 5);
      await until(async () => (await of.reader.eventCount({ device: 'ours' })) === 10);
      expect(await originsOf(of, 'c1.drone')).toEqual([]);
      expect(await originsOf(of, 'c1.a')).toEqual(range(9, 20));
      expect(await originsOf(of, 'c2.x')).toEqual(range(1, 12));
      expect(await metrics()).toContain('EventsRemoved{bound="hold"} 17');
      expect(bounds?.check().detail).toBe(
        '17 events that were held for customers went: over the limits of a hold',
      );
      expect(alarms).toHaveLength(1);
    },
  ],
  [
    'by bytes, of readings in rows of their own, too',
    async (of) => {
      await fill(of, 'ours', 50, 'x'.repeat(100));
      const maxBytes = (await of.bytes()) + 200_000;
      await fill(of, 'c1.a', 100, 'x'.repeat(5000));
      await fill(of, 'c1.b', 150, 'x'.repeat(2500), 2);
      const held = begin(of, { maxBytes: 500_000, maxEvents: 0 }, { maxBytes });
      await looked(of);
      expect(await originsOf(of, 'ours')).toEqual(range(1, 50));
      expect(await originsOf(of, 'c1.a')).toEqual([]);
      const left = await originsOf(of, 'c1.b');
      expect([left.length > 40, left.length < 100, left]).toEqual([
        true,
        true,
        range(151 - left.length, 150),
      ]);
      expect(await held.bytes()).toBeLessThan(500_000);
    },
  ],
  [
    'what is small is taken for no less than it is',
    async (of) => {
      const held = begin(of, {}, { interval: '0s' });
      for (const readings of [1, 2, 5]) {
        const [before, known] = [await of.bytes(), await held.bytes()];
        await fill(of, 'c1.a', 500, '1', readings);
        await of.settled();
        const took = (await of.bytes()) - before;
        const ratio = ((await held.bytes()) - known) / took;
        expect(ratio).toBeGreaterThan(0.95);
        expect(ratio).toBeLessThan(4);
      }
    },
  ],
  [
    'what is still to be sent stays, each is looked at once, and what somebody deletes counts no more',
    async (of) => {
      await fill(of, 'c1.a', 20);
      const pages: number[] = [];
      const page: EventStore['arrivals']['page'] = (after, through, isWanted) => {
        pages.push(after);
        return of.arrivals.page(after, through, isWanted);
      };
      // its methods are of a class where it is in Redis
      const counting = new Proxy(of, {
        get(target, name) {
          if (name === 'arrivals') return { ...of.arrivals, page };
          const value: unknown = Reflect.get(target, name);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      });
      const first = (await of.arrivals.oldest()) ?? 0;
      sent = first + 3;
      const held = begin(counting, { maxEvents: 10 }, { interval: '0s' });
      await held.shrink();
      expect([await held.events(), held.removed, pages]).toEqual([16, 4, [first - 1, first - 1, first + 3]]);
      pages.length = 0;
      await of.noteDeletion({ device: 'c1.a', until: 1_700_000_000_000_000_008n });
      while (await of.deleteSome());
      sent = Infinity;
      await held.shrink();
      await held.shrink();
      expect([await held.events(), held.removed]).toEqual([10, 6]);
      expect(pages).toEqual([first + 3]);
      await of.noteDeletion({ device: 'c1.a' });
      while (await of.deleteSome());
      expect([await held.events(), await held.bytes()]).toEqual([0, 0]);
    },
  ],
];

describe('what is held for others, in SQLite:', () => {
  for (const [name, run] of CASES)
    test(name, async () => {
      store = await openStoreOf(folder);
      await run(store);
    });
});

describe('what is held for others, in Redis:', () => {
  for (const [name, run] of CASES)
    redisTest(name, async () => {
      redis = await startRedis({ folder: join(folder, 'redis') });
      store = await openStoreOf(folder, { kind: 'redis', url: redis.url });
      await run(store);
    });
});
