import { expect, test } from '@jest/globals';
import { createThrottle } from './index.ts';

test('a throttle lets the first report through at once, then one per interval that tells how many it stands for', () => {
  let now = 0;
  const told: number[] = [];
  const throttle = createThrottle(1000, { monotonic: () => now });
  for (now = 0; now < 2500; now += 100) throttle((leftOut) => told.push(leftOut));
  expect(told).toEqual([0, 9, 9]);
});
