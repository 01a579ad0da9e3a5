import { expect, test } from '@jest/globals';
import { disputeMs, disputedRange, notRestated, restate } from './dispute.ts';
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

test('terms that do not say how long leave three days', () => {
  expect([disputeMs({}), disputeMs({ disputeS: 60 })]).toEqual([259_200_000, 60_000]);
});
