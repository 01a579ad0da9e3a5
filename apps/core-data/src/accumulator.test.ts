import { expect, test } from '@jest/globals';
import { AGGREGATE_FUNCS, createAccumulator, type AggregateFunc } from './accumulator.ts';

function resultOf(func: AggregateFunc, values: Iterable<string>): string {
  const into = createAccumulator(func, 'Float64');
  for (const value of values) into.add(value);
  return into.result().value;
}

test('a number with more digits than a float64 may have counts as the float64 it is', () => {
  const zeros = '0'.repeat(500);
  const slightlyMore = `1.${zeros}1`;
  expect(resultOf('SUM', [String(2 ** 53), slightlyMore])).toBe(String(2 ** 53));
  expect(resultOf('MAX', ['1', `-${slightlyMore}`, `${zeros}3.5`])).toBe('3.5');
  expect(resultOf('MIN', [`-0.${zeros}1`, `.${zeros}1e499`, '7'])).toBe('0');
  expect(resultOf('SUM', [`0.${zeros}25e500`, `25${zeros}e-501`])).toBe('2.75');
});

test('a number of a million digits does not make each later one cost as many', () => {
  const long = `0.${'0'.repeat(1_000_000)}1`;
  const values = [long, ...Array.from({ length: 2_000 }, () => '0.5')];
  expect(AGGREGATE_FUNCS.map((func) => resultOf(func, values))).toEqual([
    '0',
    '0.5',
    String(1000 / 2001),
    '1000',
    '2001',
  ]);
});
