import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, test } from '@jest/globals';
import { redisTest, startRedis, type RedisServer } from './redis.ts';

/** One thing that every store of a port does. */
export interface StoreCase<S> {
  readonly name: string;
  readonly run: (open: () => Promise<S>) => Promise<void>;
}

/**
 * The same cases with each store that a room of the EdgeX core may have: SQLite, and a real Redis, each case with a folder and a key
 * prefix of its own.
 *
 * @param open `store` as in the room's options; without it SQLite
 */
export function onEachStore<S>(
  cases: readonly StoreCase<S>[],
  open: (dataDir: string, store?: Record<string, unknown>) => Promise<S>,
): void {
  let folder: string;
  let redis: RedisServer | undefined;
  let n = 0;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'antirio-store-'));
  });
  beforeEach(() => {
    n += 1;
  });
  afterAll(async () => {
    await redis?.kill('SIGTERM');
    rmSync(folder, { recursive: true });
  });

  describe('SQLite', () => {
    for (const { name, run } of cases) test(name, () => run(() => open(join(folder, String(n)))));
  });

  describe('Redis', () => {
    for (const { name, run } of cases)
      redisTest(name, async () => {
        redis ??= await startRedis({ folder: join(folder, 'redis') });
        const store = { kind: 'redis', url: redis.url, keyPrefix: `case-${n}:` };
        await run(() => open(join(folder, String(n)), store));
      });
  });
}
