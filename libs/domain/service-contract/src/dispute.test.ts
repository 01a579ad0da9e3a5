import { expect, test } from '@jest/globals';
import { disputeEndsAt, disputedRange, followsNewRules, notRestated, restate } from './dispute.ts';
import type { ContractRecord } from './messages.ts';

const handback = { epoch: 2, from: 1, through: 9 };
const record = { state: 'HANDED_BACK', dispute: ['device x'], handback } as unknown as ContractRecord;

test('each side states again five times, after pauses that double, and anew for another epoch', () => {
  let known = notRestated;
  const at: number[] = [];
  for (let now = 0; now < 1_000_000; now += 1000) {
    const [next, isDue] = restate(known, 2, now);
    known = next;
    if (isDue) at.push(now);
  }
  expect(at).toEqual([10_000, 30_000, 70_000, 150_000, 310_000]);
  expect(restate(known, 4, 2_000_000)).toEqual([{ epoch: 4, times: 0, at: 2_000_000 }, false]);
});

test('only while the ledger says that the two differ about this epoch', () => {
  expect(disputedRange(record, 2)).toEqual(handback);
  expect(disputedRange(record, 3)).toBeUndefined();
  expect(disputedRange({ ...record, dispute: undefined }, 2)).toBeUndefined();
  expect(disputedRange({ ...record, state: 'SETTLED' }, 2)).toBeUndefined();
  expect(disputedRange(undefined, 2)).toBeUndefined();
});

test('a dispute ends by itself only where the terms say when, and from the first difference on', () => {
  expect(disputeEndsAt({ disputedAt: 1000 }, { disputeS: 60 })).toBe(61_000);
  expect(disputeEndsAt({}, { disputeS: 60 })).toBeUndefined();
  expect(disputeEndsAt({ disputedAt: 1000 }, {})).toBeUndefined();
  expect([followsNewRules({ disputeS: 60 }), followsNewRules({})]).toEqual([true, false]);
});
