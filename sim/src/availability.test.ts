import { expect, test } from '@jest/globals';
import { measureAvailability } from './availability.ts';

test('a day of chance faults is measured: what was covered, what was readable in time, and for how long somebody acted', () => {
  const day = { seed: 4, hours: 1, motes: 20, opening: 'witnessed' } as const;
  const seen = measureAvailability(day);
  expect(seen.run.violations).toEqual([]);
  expect(Object.values(seen.faults).reduce((a, b) => a + b, 0)).toBeGreaterThan(1);
  expect(seen.covered).toBeGreaterThan(1000);
  expect(seen.late / seen.covered).toBeLessThan(0.01);
  expect(Object.values(seen.lateWhy).reduce((a, b) => a + b, 0)).toBe(seen.late);
  expect(seen.underOneFault.covered).toBeGreaterThan(1000);
  expect(seen.actingSeconds).toBeLessThan(seen.seconds);
  expect(seen.actingSeconds / seen.seconds).toBeGreaterThan(0.9);
  expect(measureAvailability(day).run.hash).toBe(seen.run.hash);
});
