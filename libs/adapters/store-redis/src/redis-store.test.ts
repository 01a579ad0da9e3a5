import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLog, systemClock, systemRandom } from '@antirio/host';
import { isAntirioError } from '@antirio/kernel';
import { redisTest, startRedis, type RedisServer } from '@antirio/testing';
import { openRedisStore, storeOptions, type RedisStore, type RedisStoreOptions } from './index.ts';

let folder: string;
let redis: RedisServer | undefined;
const opened: RedisStore[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-redis-'));
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  await redis?.kill('SIGKILL');
  redis = undefined;
  rmSync(folder, { recursive: true });
});

const optionsOf = (more: Record<string, unknown> = {}): RedisStoreOptions =>
  storeOptions.parse({ kind: 'redis', url: redis?.url, answerWithinMs: 500, ...more }) as RedisStoreOptions;

async function open(more?: Record<string, unknown>): Promise<RedisStore> {
  const ports = { clock: systemClock, random: systemRandom, log: silentLog };
  const store = await openRedisStore(optionsOf(more), 'case', ports);
  opened.push(store);
  return store;
}

const failure = async (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error);

const addition = (store: RedisStore): Parameters<RedisStore['commit']>[0] => [
  { commands: [['INCR', store.key('n')]] },
];
const counted = async (store: RedisStore): Promise<string> =>
  String(await store.read(['GET', store.key('n')]));

test('an address with a password in it is refused: it would be shown with the configuration', () => {
  const url = 'redis://user:secret@127.0.0.1';
  expect(storeOptions.safeParse({ kind: 'redis', url }).success).toBe(false);
  expect(storeOptions.safeParse({ kind: 'redis', url: 'redis://user@127.0.0.1:6379/2' }).success).toBe(true);
});

redisTest('a Redis that could lose what is acknowledged is refused, with what to set', async () => {
  const refusals: readonly (readonly [Record<string, string>, string])[] = [
    [{ appendonly: 'no' }, 'keeps no append-only file'],
    [{ 'no-appendfsync-on-rewrite': 'yes' }, 'no-appendfsync-on-rewrite no'],
    [{ maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' }, 'maxmemory-policy noeviction'],
    [{ appendfsync: 'everysec' }, 'appendfsync always'],
  ];
  redis = await startRedis({ folder });
  const version = await redis.command('INFO', 'server');
  const hasWaitAof = /redis_version:(?:7\.[2-9]|[89]|\d\d)/.test(version);
  for (const [settings, why] of refusals) {
    const durable = {
      appendonly: 'yes',
      appendfsync: 'always',
      'no-appendfsync-on-rewrite': 'no',
      maxmemory: '0',
    };
    for (const [name, value] of Object.entries({ ...durable, ...settings }))
      await redis.command('CONFIG', 'SET', name, value);
    const isFine = hasWaitAof && settings['appendonly'] === undefined && settings['maxmemory'] === undefined;
    const outcome = await failure(open());
    if (isFine) expect(outcome).not.toBeInstanceOf(Error);
    else expect(String(outcome)).toContain(why);
    await open({ unchecked: true });
  }
});

redisTest('a password comes from a file, and a wrong one is said', async () => {
  redis = await startRedis({ folder, settings: { requirepass: 'a secret' } });
  expect(String(await failure(open()))).toMatch(/Redis at redis:.*fails: .*(NOAUTH|Authentication)/i);
  const passwordFile = join(folder, 'password');
  expect(String(await failure(open({ passwordFile })))).toContain('cannot be read');
  writeFileSync(passwordFile, 'a secret\n');
  expect(await (await open({ passwordFile })).check()).toEqual({ ok: true });
});

redisTest('guards say what was done, and a batch is done as a whole', async () => {
  redis = await startRedis({ folder });
  const store = await open();
  const once = (field: string, told = true) =>
    ({
      guard: ['HSETNX', store.key('h'), field, new Uint8Array([0, 255])],
      unless: 0,
      commands: [
        ['INCR', store.key('n')],
        ['RPUSH', store.key('l'), field],
      ],
      told,
    }) as const;
  expect(await store.commit([once('a'), once('a'), once('b', false), once('b'), once('c')])).toEqual([
    true,
    false,
    false,
    true,
  ]);
  expect(await counted(store)).toBe('3');
  expect(((await store.read(['LRANGE', store.key('l'), 0, -1])) as Buffer[]).map(String)).toEqual([
    'a',
    'b',
    'c',
  ]);
  expect(await store.read(['HGET', store.key('h'), 'a'])).toEqual(Buffer.from([0, 255]));
});

redisTest('whoever opens it later has it: the one before is told, and writes nothing any more', async () => {
  redis = await startRedis({ folder });
  const first = await open();
  await first.commit(addition(first));
  const second = await open();
  expect(String(await failure(first.commit(addition(first))))).toContain('taken over by another process');
  expect(first.broken).toContain('taken over');
  await second.commit(addition(second));
  expect(await counted(second)).toBe('2');
});

redisTest('a store that was emptied meanwhile is not written to as if nothing were missing', async () => {
  redis = await startRedis({ folder });
  const store = await open();
  await redis.command('FLUSHALL');
  expect(String(await failure(store.commit(addition(store))))).toContain('emptied');
  expect(store.broken).toBeDefined();
});

redisTest('a batch whose answer was lost is done once', async () => {
  redis = await startRedis({ folder });
  const store = await open({ answerWithinMs: 4000 });
  for (let n = 0; n < 5; n++) {
    const under = store.commit(addition(store));
    // the connection breaks before, while, or after the script runs
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await under;
  }
  expect(await counted(store)).toBe('5');
});

redisTest('away is said in time, and it goes on when it is back', async () => {
  redis = await startRedis({ folder });
  const store = await open();
  await store.commit(addition(store));
  await redis.kill('SIGKILL');
  const away = await failure(store.commit(addition(store)));
  expect(isAntirioError(away, 'unavailable')).toBe(true);
  expect(String(away)).toMatch(/Redis at redis:.*fails: /);
  expect((await store.check()).ok).toBe(false);
  await redis.start();
  const deadline = performance.now() + 5000;
  while (!(await store.check()).ok && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 50));
  const before = Number(await counted(store));
  await store.commit(addition(store));
  expect(Number(await counted(store))).toBe(before + 1);
});

redisTest('one that stands still is as one that is away', async () => {
  redis = await startRedis({ folder });
  const store = await open();
  process.kill(redis.pid, 'SIGSTOP');
  expect(isAntirioError(await failure(store.commit(addition(store))), 'unavailable')).toBe(true);
  process.kill(redis.pid, 'SIGCONT');
  const deadline = performance.now() + 5000;
  while (!(await store.check()).ok && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 50));
  await store.commit(addition(store));
  // what was under way when it stood still may have been done, or not: never twice
  expect(['1', '2']).toContain(await counted(store));
});

redisTest('a full memory is storageFull, and nothing of the batch is done', async () => {
  redis = await startRedis({ folder });
  const store = await open();
  await store.commit(addition(store));
  await redis.command('CONFIG', 'SET', 'maxmemory', '1');
  expect(isAntirioError(await failure(store.commit(addition(store))), 'storageFull')).toBe(true);
  await redis.command('CONFIG', 'SET', 'maxmemory', '0');
  await store.commit(addition(store));
  expect(await counted(store)).toBe('2');
});

redisTest('a store whose memory is full is opened and read, and lets itself be freed', async () => {
  redis = await startRedis({ folder });
  const before = await open();
  await before.commit(addition(before));
  await redis.command('CONFIG', 'SET', 'maxmemory', '1');
  const store = await open();
  expect(await counted(store)).toBe('1');
  expect(isAntirioError(await failure(store.commit(addition(store))), 'storageFull')).toBe(true);
  const noted = [
    {
      commands: [
        ['RPUSH', store.key('l'), 'n'],
        ['DEL', store.key('n')],
      ],
    },
  ];
  await store.commit(noted, { alsoWhenFull: true });
  // a broken connection claims it anew
  await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  expect([await counted(store), await store.read(['LLEN', store.key('l')])]).toEqual(['null', 1]);
});

redisTest('keys that are laid out otherwise break the store, with what was found', async () => {
  redis = await startRedis({ folder });
  const store = await open();
  await redis.command('RPUSH', store.key('n'), 'x');
  expect(String(await failure(store.commit(addition(store))))).toContain('WRONGTYPE');
  expect(store.broken).toContain('WRONGTYPE');
});
