import { expect, test } from '@jest/globals';
import { createRandom, deriveBytes } from './random.ts';

const draws = (seed: string, label: string): number[] => {
  const random = createRandom(seed, label);
  return Array.from({ length: 1_000 }, () => random.uniform());
};

test('a stream follows from seed and label alone', () => {
  expect(draws('7', 'a')).toEqual(draws('7', 'a'));
  expect(draws('7', 'a')).not.toEqual(draws('8', 'a'));
  expect(draws('7', 'a')).not.toEqual(draws('7', 'b'));
  expect(deriveBytes('7', 'key', 16)).toEqual(deriveBytes('7', 'key', 16));
  expect(deriveBytes('7', 'key', 16)).toHaveLength(16);
});

test('draws are uniform in [0, 1)', () => {
  const values = draws('1', 'uniform');
  expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...values)).toBeLessThan(1);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  expect(mean).toBeGreaterThan(0.45);
  expect(mean).toBeLessThan(0.55);
});
