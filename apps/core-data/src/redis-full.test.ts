import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from '@jest/globals';
import type { Event } from '@antirio/edgex-contracts';
import { systemRandom } from '@antirio/host';
import { uuidV4 } from '@antirio/kernel';
import { redisTest, startRedis, type RedisServer } from '@antirio/testing';
import type { EventStore } from './event-store.ts';
import { openStoreOf } from './testing/event-store-compliance.ts';

let folder: string;
let redis: RedisServer;
let store: EventStore | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-redis-full-'));
  redis = await startRedis({ folder: join(folder, 'redis') });
});
afterEach(async () => {
  await store?.close();
  store = undefined;
  await redis.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

const setMemory = (bytes: string): Promise<string> => redis.command('CONFIG', 'SET', 'maxmemory', bytes);

const event = (origin: bigint): Event => {
  const names = { deviceName: 'd', profileName: 'p', origin };
  const reading = { ...names, resourceName: 'r', valueType: 'String', kind: 'simple', value: '1' } as const;
  return { apiVersion: 'v3', id: uuidV4(systemRandom), ...names, sourceName: 's', readings: [reading] };
};

async function open(): Promise<EventStore> {
  await store?.close();
  store = await openStoreOf(folder, { kind: 'redis', url: redis.url });
  return store;
}

redisTest('a full memory is opened, read and emptied, by id, by bounds and by what is noted', async () => {
  const before = await open();
  const events = [1n, 2n, 3n, 4n].map(event);
  for (const one of events) await before.insert(one, 100);
  await setMemory('1');
  const full = await open();
  expect(await full.reader.eventCount({})).toBe(4);
  expect(await full.reader.eventById(events[0]?.id ?? '')).toContain('"deviceName":"d"');

  // inserts that are refused stand before it and after it
  const refused = Promise.allSettled([full.insert(event(8n), 100)]);
  const { arrivals } = await full.arrivals.page(0, 1, () => true);
  const around = Promise.allSettled([
    full.insert(event(9n), 100),
    full.removeAt(arrivals),
    full.insert(event(10n), 100),
  ]);
  expect((await refused)[0]).toMatchObject({ reason: { code: 'storageFull' } });
  expect(await around).toMatchObject([
    { reason: { code: 'storageFull' } },
    { value: 1 },
    { reason: { code: 'storageFull' } },
  ]);
  await full.remove(events[1]?.id ?? '');
  expect(await full.reader.eventCount({})).toBe(2);
  await full.noteDeletion({ until: 100n });
  while (await full.deleteSome());
  expect(await full.reader.eventCount({})).toBe(0);

  await setMemory('0');
  expect(await full.insert(event(11n), 100)).toBe('stored');
  expect(await (await open()).reader.eventCount({})).toBe(1);
});
