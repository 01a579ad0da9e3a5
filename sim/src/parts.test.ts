import { expect, test } from '@jest/globals';
import { runInParts } from './parts.ts';
import { runSeed } from './run.ts';
import { storyOf } from './story.ts';
import type { Order, StretchResult } from './stretch.ts';

const order: Order = { kind: 'oneProvider', stories: 'all' };
const never = new AbortController().signal;

test('several threads run the seeds that are asked for, once each, and tell of them in their order', async () => {
  const results: StretchResult[] = [];
  await runInParts(order, { from: 7, count: 8 }, 3, (result) => results.push(result), never);
  expect(results.map(({ from, count }) => [from, count])).toEqual([
    [7, 3],
    [10, 3],
    [13, 2],
  ]);
  const alone = Array.from({ length: 8 }, (_, i) => runSeed(7 + i, { trace: true }));
  expect(results.flatMap(({ stories }) => stories)).toEqual(alone.map((result) => storyOf(result)));
  const all = results.reduce((sum, { events }) => sum + events, 0);
  expect(all).toBe(alone.reduce((sum, { events }) => sum + events, 0));
});

test('who is interrupted has heard of the first seeds, and hears of no more', async () => {
  const interruption = new AbortController();
  const results: StretchResult[] = [];
  const settle = (result: StretchResult): void => {
    results.push(result);
    interruption.abort();
  };
  await runInParts(
    { ...order, stories: 'failing' },
    { from: 1, count: 100_000 },
    2,
    settle,
    interruption.signal,
  );
  // both threads may have been through with theirs
  expect(results.length).toBeLessThanOrEqual(2);
  expect(results[0]).toMatchObject({ from: 1, count: 25, failed: [], stories: [] });
});

test('what a thread dies of reaches whoever asked', async () => {
  const unknown = { kind: 'of no kind', stories: 'failing' } as unknown as Order;
  const told: StretchResult[] = [];
  const run = runInParts(unknown, { from: 1, count: 3 }, 2, (result) => told.push(result), never);
  await expect(run).rejects.toThrow('is not a function');
  expect(told).toEqual([]);
});
