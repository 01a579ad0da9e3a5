import { describe, expect, test } from '@jest/globals';
import { createBriefCache } from './brief-cache.ts';
import { createConcurrency, createRateLimit } from './rate-limit.ts';

const stopped = () => {
  const clock = { time: 0, monotonic: () => clock.time };
  return clock;
};

describe('a rate limit', () => {
  test('lets bursts of twice the rate through, then the rate', () => {
    const clock = stopped();
    const limit = createRateLimit(clock, 10);
    const burst = Array.from({ length: 30 }, () => limit.admit('a'));
    expect(burst.filter(Boolean)).toHaveLength(20);
    let admitted = 0;
    for (clock.time = 0; clock.time < 10_000; clock.time += 10) if (limit.admit('a')) admitted += 1;
    expect(admitted).toBeGreaterThanOrEqual(99);
    expect(admitted).toBeLessThanOrEqual(101);
    expect(limit.admit('b')).toBe(true);
  });

  test('knows a bounded number of keys and forgets the quietest', () => {
    const limit = createRateLimit(stopped(), 0.5, 2);
    expect([limit.admit('a'), limit.admit('a'), limit.admit('b')]).toEqual([true, false, true]);
    expect([limit.admit('a'), limit.admit('c')]).toEqual([false, true]);
    expect([limit.admit('a'), limit.admit('b')]).toEqual([false, true]);
  });
});

test('so many pieces of work of one key, and so many in all', () => {
  const work = createConcurrency(2, 3);
  const first = work.begin('a');
  expect([first, work.begin('a'), work.begin('b')].map((end) => end !== undefined)).toEqual([
    true,
    true,
    true,
  ]);
  expect([work.begin('a'), work.begin('c')]).toEqual([undefined, undefined]);
  first?.();
  first?.();
  expect(work.begin('c')).toBeDefined();
  expect(work.begin('a')).toBeUndefined();
});

test('places that are kept go to keys that have none, so that few keys do not take them all', () => {
  const work = createConcurrency(3, 6, 2);
  const begun = ['a', 'a', 'a', 'b', 'b', 'c', 'c', 'd'].map((key) => work.begin(key) !== undefined);
  expect(begun).toEqual([true, true, true, true, false, true, false, true]);
  expect(work.begin('e')).toBeUndefined();
});

test('a brief cache asks once for many, keeps answers for their life, and no failures', async () => {
  const clock = stopped();
  let asked = 0;
  const cache = createBriefCache(
    clock,
    async (key) => {
      asked += 1;
      if (key === 'bad') throw new TypeError('planted');
      return asked;
    },
    () => 1000,
    2,
  );
  expect(await Promise.all([cache.get('a'), cache.get('a')])).toEqual([1, 1]);
  clock.time = 999;
  expect(await cache.get('a')).toBe(1);
  clock.time = 1000;
  expect(await cache.get('a')).toBe(2);
  await expect(cache.get('bad')).rejects.toThrow('planted');
  await expect(cache.get('bad')).rejects.toThrow('planted');
  expect(asked).toBe(4);
  await cache.get('c');
  await cache.get('d');
  expect(await cache.get('a')).toBe(7);
});
