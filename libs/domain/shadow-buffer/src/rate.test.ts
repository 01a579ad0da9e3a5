import { expect, test } from '@jest/globals';
import { createHighWaters } from './high-water.ts';
import { createRateLimit } from './rate.ts';

const MOTE = '01000001';
const marked = (fcnt: number) => createHighWaters([[MOTE, { session: 'ab', fcnt }]]);
/** Its tokens for counters that it is nowhere near are gone. */
const flooded = (fcnt: number) => {
  const limit = createRateLimit(1, 30, marked(fcnt));
  for (let i = 0; i < 100; i++) limit.take(MOTE, (fcnt + 30_000 + i) & 0xffff, 0);
  return limit;
};

test.each([
  ['the next one', 70_001, true],
  ['one on the other side of the rollover', 65_535, true],
  ['a late one, which another edge has counted past', 69_990, true],
  ['one from long ago', 69_000, false],
])('of a mote that is flooded %s is taken or not', (_what, fcnt, isTaken) => {
  const mark = fcnt === 65_535 ? 65_540 : 70_000;
  expect(flooded(mark).take(MOTE, fcnt & 0xffff, 0)).toBe(isTaken);
});

test('a flood of late ones takes no tokens of the next ones', () => {
  const limit = createRateLimit(1, 30, marked(70_000));
  for (let i = 0; i < 100; i++) limit.take(MOTE, (69_900 + i) & 0xffff, 0);
  expect(limit.take(MOTE, 69_950 & 0xffff, 0)).toBe(false);
  expect(limit.take(MOTE, 70_001 & 0xffff, 0)).toBe(true);
});
