import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, test } from '@jest/globals';
import { redisTest, startRedis, type RedisServer } from '@antirio/testing';
import { KEEPER_STORE_CASES, openStoreOf } from './testing/keeper-store-compliance.ts';

let folder: string;
let redis: RedisServer | undefined;
let n = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-keeper-store-'));
});
beforeEach(() => {
  n += 1;
});
afterAll(async () => {
  await redis?.kill('SIGTERM');
  rmSync(folder, { recursive: true });
});

describe('SQLite', () => {
  for (const { name, run } of KEEPER_STORE_CASES)
    test(name, () => run(() => openStoreOf(join(folder, String(n)))));
});

describe('Redis', () => {
  for (const { name, run } of KEEPER_STORE_CASES)
    redisTest(name, async () => {
      redis ??= await startRedis({ folder: join(folder, 'redis') });
      const store = { kind: 'redis', url: redis.url, keyPrefix: `case-${n}:` };
      await run(() => openStoreOf(join(folder, String(n)), store));
    });
});
