import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from '@jest/globals';
import { httpPeer, silentLog, systemClock, systemRandom, type HttpPeer } from '@antirio/host';
import { uuidV4 } from '@antirio/kernel';
import { redisTest, startRedis, type RedisServer } from '@antirio/testing';
import { coreDataOptions, createCoreData, type CoreData } from './index.ts';
import { openStoreOf } from './testing/event-store-compliance.ts';

let folder: string;
let redis: RedisServer;
let room: CoreData | undefined;
let peer: HttpPeer | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-redis-kill-'));
});
afterEach(async () => {
  peer?.close();
  await room?.stop();
  room = undefined;
  await redis.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

const storeOf = (answerWithinMs: number): Record<string, unknown> => ({
  kind: 'redis',
  url: redis.url,
  answerWithinMs,
});

async function start(answerWithinMs: number): Promise<CoreData> {
  redis = await startRedis({ folder: join(folder, 'redis') });
  const options = coreDataOptions.parse({ dataDir: folder, port: 0, store: storeOf(answerWithinMs) });
  room = createCoreData(options, { clock: systemClock, random: systemRandom, log: silentLog });
  await room.start();
  return room;
}

const body = (id: string): unknown => {
  const names = { deviceName: 'd', profileName: 'p', origin: 5 };
  const readings = [{ ...names, resourceName: 'r', valueType: 'Int32', value: '1' }];
  return { apiVersion: 'v3', event: { apiVersion: 'v3', id, ...names, sourceName: 's', readings } };
};

redisTest('a SIGKILL of Redis in a burst of posts loses nothing that was acknowledged', async () => {
  const { port } = await start(30_000);
  const calls = httpPeer({ url: `http://127.0.0.1:${port}/api/v3` });
  peer = calls;
  const [acknowledged, answered] = [new Set<string>(), new Set<number>()];
  let isOver = false;
  const poster = async (): Promise<void> => {
    while (!isOver) {
      const id = uuidV4(systemRandom);
      const path = '/event/svc/p/d/s';
      const { status } = await calls.call({ method: 'POST', path, json: body(id) });
      answered.add(status);
      if (status === 201 || status === 409) acknowledged.add(id);
    }
  };
  const posters = Array.from({ length: 8 }, poster);
  for (const goal of [60, 200, 350]) {
    while (acknowledged.size < goal) await new Promise((resolve) => setTimeout(resolve, 1));
    await redis.kill('SIGKILL');
    await redis.start();
  }
  const before = acknowledged.size;
  while (acknowledged.size === before) await new Promise((resolve) => setTimeout(resolve, 1));
  isOver = true;
  await Promise.all(posters);
  // requests waited for it to come back
  expect([...answered]).toEqual([201]);
  expect((await calls.call({ path: '/event/count' })).json()).toMatchObject({ count: acknowledged.size });
  await room?.stop();
  room = undefined;
  await redis.kill('SIGKILL');
  await redis.start();

  const store = await openStoreOf(folder, storeOf(5000));
  const missing: string[] = [];
  for (const id of acknowledged) if ((await store.reader.eventById(id)) === undefined) missing.push(id);
  expect(missing).toEqual([]);
  expect(await store.reader.readingCount({})).toBe(acknowledged.size);
  expect(await store.reader.eventCount({ device: 'd', range: { start: 5n, end: 5n } })).toBe(
    acknowledged.size,
  );
  await store.close();
});

redisTest('without Redis every request is answered 503 with a sentence, and health says so', async () => {
  const { port } = await start(300);
  const calls = httpPeer({ url: `http://127.0.0.1:${port}/api/v3` });
  peer = calls;
  await redis.kill('SIGKILL');
  const posted = { method: 'POST', path: '/event/svc/p/d/s', json: body(uuidV4(systemRandom)) } as const;
  for (const request of [
    posted,
    { path: '/event/all' },
    { path: '/reading/device/name/d?numeric=true' },
    { path: `/event/id/${uuidV4(systemRandom)}` },
    { method: 'DELETE', path: '/event/device/name/d' },
    posted,
  ] as const) {
    const { status, json } = await calls.call(request);
    expect([status, json()]).toEqual([
      503,
      expect.objectContaining({ message: expect.stringMatching(/^Redis at redis:.*fails: .*ECONNREFUSED/) }),
    ]);
  }
  const ready = await calls.call({ path: '/ready' });
  expect(ready.status).toBe(503);
  expect(JSON.stringify(ready.json())).toContain('ECONNREFUSED');
  await redis.start();
  const deadline = performance.now() + 5000;
  while ((await calls.call(posted)).status !== 201 && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 50));
  expect((await calls.call({ path: '/event/count' })).json()).toMatchObject({ count: 1 });
});

redisTest('a Redis that forgets what it acknowledged stops the start with what to set', async () => {
  redis = await startRedis({ folder: join(folder, 'redis'), settings: { appendonly: 'no' } });
  await expect(openStoreOf(folder, storeOf(500))).rejects.toThrow(
    'set `appendonly yes` and `appendfsync always`',
  );
});
