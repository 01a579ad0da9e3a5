import { expect, test } from '@jest/globals';
import { systemRandom } from '@antirio/host';
import { createSample } from './sample.ts';

test('of few all are taken, of many each with about the same chance', () => {
  const few = createSample<number>(5, systemRandom);
  for (const n of [1, 2, 3]) few.offer(n);
  expect(few.taken).toEqual([1, 2, 3]);

  const times = new Array<number>(20).fill(0);
  for (let run = 0; run < 2000; run++) {
    const sample = createSample<number>(4, systemRandom);
    for (let n = 0; n < 20; n++) sample.offer(n);
    expect(new Set(sample.taken).size).toBe(4);
    for (const n of sample.taken) times[n] = (times[n] ?? 0) + 1;
  }
  // 400 each on average; 100 is over five standard deviations away
  for (const count of times) expect(Math.abs(count - 400)).toBeLessThan(100);
});
