import { expect, test } from '@jest/globals';
import { grantsFrom, type Note } from './timelines.ts';

const note = (milestone: string, monotonic: number, detail: Record<string, unknown>): Note => ({
  milestone,
  monotonic,
  detail,
});

const notes = {
  customer: [
    note('ready', 100, { epoch: 1 }),
    note('fenced', 700, { epoch: 2 }),
    note('retaken', 900, { epoch: 3 }),
  ],
  provider: [note('ready', 90, {}), note('activated', 500, { epoch: 2, actAfterMs: 100 })],
};

test('epochs and their times follow from the notes', () => {
  expect(grantsFrom(notes, new Map())).toEqual([
    { epoch: 1, holder: 'customer', mayActFrom: 100 },
    { epoch: 2, holder: 'provider', mayActFrom: 600 },
    { epoch: 3, holder: 'customer', mayActFrom: 900 },
  ]);
});

test("a fence's own word is better, but for the first epoch, which changes nothing for its customer", () => {
  const fences = new Map([
    [1, { holder: 'customer', actFrom: 3_100 }],
    [2, { holder: 'provider', actFrom: 610 }],
    [3, { holder: 'customer', actFrom: 3_960 }],
  ] as const);
  expect(grantsFrom(notes, fences).map(({ mayActFrom }) => mayActFrom)).toEqual([100, 610, 3_960]);
});

test('a holder that was killed before its fence was seen may have acted at once', () => {
  const customer = [note('retaken', 900, { epoch: 3, actAfterMs: 95 })];
  const seen = (actFrom: number) => new Map([[3, { holder: 'customer', actFrom }]] as const);
  const first = (actFrom: number) => grantsFrom({ customer, provider: [] }, seen(actFrom))[0]?.mayActFrom;
  expect([first(1010), first(7500)]).toEqual([1010, 995]);
});
