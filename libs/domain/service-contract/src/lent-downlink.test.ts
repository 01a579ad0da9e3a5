import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SLOTS, blockOf, slotOf } from './fcnt-down.ts';
import { MAX_DOWNLINK_LEAD_MS } from './lease.ts';
import { LENT_WITHIN_MS, judgeLentDownlink, type LendersFence, type Loan } from './lent-downlink.ts';

const CUSTOMER = 0;
const unused = { highest: undefined, hashOf: () => undefined };
const shut: LendersFence = { open: false, epoch: 3, marks: unused };
const loan: Loan = { offeredAt: 1000, epoch: 3, slot: CUSTOMER, fcnt: 5 };
const frame = { fcnt16: 5, hash: 'aa', aheadMs: 900 };

describe('a lent downlink', () => {
  test('leaves where another edge acts and this one does not', () => {
    expect(judgeLentDownlink(shut, loan, frame, 1100)).toEqual({ allowed: true, fcnt: 5 });
    const refused = (fence: Partial<LendersFence>, change: Partial<Loan> = {}): unknown =>
      judgeLentDownlink({ ...shut, ...fence }, { ...loan, ...change }, frame, 1100);
    expect(refused({ open: true })).toEqual({ allowed: false, reason: 'weAct' });
    expect(refused({ epoch: 4 })).toEqual({ allowed: false, reason: 'olderEpoch' });
    expect(refused({ epoch: 2 })).toMatchObject({ allowed: true });
    expect(refused({}, { slot: 1 })).toEqual({ allowed: false, reason: 'noBlock' });
    expect(refused({}, { fcnt: 6 })).toEqual({ allowed: false, reason: 'noBlock' });
    expect(refused({}, { fcnt: 65536 + 5 })).toMatchObject({ allowed: true });
  });

  test('uses no counter twice with other bytes, and goes back to none', () => {
    const marks = { highest: 5, hashOf: (fcnt: number) => (fcnt === 5 ? 'aa' : undefined) };
    expect(judgeLentDownlink({ ...shut, marks }, loan, frame, 1100)).toMatchObject({ allowed: true });
    expect(judgeLentDownlink({ ...shut, marks }, loan, { ...frame, hash: 'bb' }, 1100)).toEqual({
      allowed: false,
      reason: 'counterReused',
    });
    const above = { highest: 70, hashOf: () => undefined };
    expect(judgeLentDownlink({ ...shut, marks: above }, loan, frame, 1100)).toEqual({
      allowed: false,
      reason: 'counterBack',
    });
  });

  test('is timed on the gateway, and on air within the time of the offer or never', () => {
    const at = (now: number, aheadMs: number | undefined): unknown =>
      judgeLentDownlink(shut, loan, { ...frame, aheadMs }, now);
    expect(at(1100, undefined)).toEqual({ allowed: false, reason: 'notTimed' });
    expect(at(1100, 0)).toEqual({ allowed: false, reason: 'tooLate' });
    expect(at(1000, LENT_WITHIN_MS)).toMatchObject({ allowed: true });
    expect(at(1001, LENT_WITHIN_MS)).toEqual({ allowed: false, reason: 'offerOver' });
    expect(at(4000, 10)).toEqual({ allowed: false, reason: 'offerOver' });
  });

  test('is on air no later after the customer’s fence than what that one sends itself', () => {
    // the customer's fence comes after the offer; clocks differ by 2 % at most
    const times = fc.record({
      offeredAt: fc.integer({ min: 0, max: 1e6 }),
      fenceAfter: fc.integer({ min: 0, max: 5000 }),
      arrivesAfter: fc.integer({ min: 0, max: 5000 }),
      aheadMs: fc.integer({ min: -100, max: 20_000 }),
      drift: fc.double({ min: 0.98, max: 1.02, noNaN: true }),
    });
    fc.assert(
      fc.property(times, ({ offeredAt, fenceAfter, arrivesAfter, aheadMs, drift }) => {
        const now = offeredAt + fenceAfter + arrivesAfter;
        const verdict = judgeLentDownlink(shut, { ...loan, offeredAt }, { ...frame, aheadMs }, now);
        const trueMs = (arrivesAfter + aheadMs) / drift;
        return !verdict.allowed || trueMs <= MAX_DOWNLINK_LEAD_MS;
      }),
      { seed: 7, numRuns: 500 },
    );
  });

  test('is never of a block that is not the customer’s', () => {
    fc.assert(
      fc.property(fc.nat(1 << 20), fc.nat(SLOTS - 1), (fcnt, slot) => {
        const facts = { ...frame, fcnt16: fcnt % 65536 };
        const verdict = judgeLentDownlink(shut, { ...loan, fcnt, slot }, facts, 1100);
        return verdict.allowed === (slotOf(fcnt) === slot);
      }),
      { seed: 7, numRuns: 300 },
    );
    expect(slotOf(blockOf(1).first)).toBe(1);
  });
});
