import { expect, test } from '@jest/globals';
import { createAbleStretches } from './able.ts';

test('for how long a provider was able counts from when the outage began that is ruled on', () => {
  const able = createAbleStretches();
  for (const now of [1000, 21_000, 41_000]) able.saw('B', 1000, now);
  able.saw('B', 70_000, 70_000);
  able.saw('B', 71_000, 80_000);
  able.saw('B', 85_000, 90_000);
  expect(able.longestAfter('B', 0)).toBe(40_000);
  expect(able.longestAfter('B', 30_000)).toBe(11_000);
  expect(able.longestAfter('B', 60_000)).toBe(9000);
  expect(able.longestAfter('B', 84_000)).toBe(5000);
  expect(able.longestAfter('B', 100_000)).toBe(0);
  expect(able.longestAfter('C', 0)).toBe(0);
});
