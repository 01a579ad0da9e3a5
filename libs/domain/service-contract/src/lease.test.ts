import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { generateIdentity, parseEdgeId } from '@antirio/kernel';
import {
  createLeaseHolder,
  holdEpoch,
  leaseGranted,
  LEAD_BY_GRANTOR_MS,
  MAX_DOWNLINK_LEAD_MS,
  leaseRequested,
  mayAct,
  promise,
  surelyPassed,
  takeable,
  type LeasePromise,
} from './lease.ts';

const a = parseEdgeId(generateIdentity().edgeId);
const b = parseEdgeId(generateIdentity().edgeId);
const leaseMs = 3000;
const record = { epoch: 4, holder: a, released: false };

describe('a lease', () => {
  test('never lets its holder act after the grantor may give the next epoch', () => {
    // clocks that run up to 2 % apart, any network delay, any moment of asking
    fc.assert(
      fc.property(
        fc.double({ min: 0.98, max: 1.02, noNaN: true }),
        fc.double({ min: 0.98, max: 1.02, noNaN: true }),
        fc.integer({ min: 0, max: 5000 }),
        fc.integer({ min: 0, max: 5000 }),
        fc.integer({ min: 0, max: 20_000 }),
        (holderRate, grantorRate, there, back, asked) => {
          const sentAt = 10_000 + asked;
          const receivedAt = sentAt + there;
          const holderClock = (t: number): number => t * holderRate;
          const grantorClock = (t: number): number => t * grantorRate;
          const answer = promise(
            record,
            undefined,
            { epoch: 4, by: a, leaseMs },
            0,
            grantorClock(receivedAt),
          );
          if (!answer.ok) return true;
          let holder = holdEpoch(createLeaseHolder(leaseMs, 0), 4, 0);
          holder = leaseRequested(holder, 1, holderClock(sentAt));
          holder = leaseGranted(holder, 4, 1, leaseMs);
          for (let t = receivedAt + back; t < receivedAt + 10_000; t += 97) {
            const acts = mayAct(holder, holderClock(t));
            const taken = takeable(record, answer.promise, 4, leaseMs, 0, grantorClock(t)).ok;
            if (acts && taken) return false;
          }
          return true;
        },
      ),
      { numRuns: 300 },
    );
  });

  test('is not given by a grantor that restarted less than a lease ago, nor is an epoch', () => {
    expect(promise(record, undefined, { epoch: 4, by: a, leaseMs }, 1000, 3000)).toEqual({
      ok: false,
      reason: 'restarted',
    });
    expect(takeable(record, undefined, 4, leaseMs, 1000, 3000)).toMatchObject({
      ok: false,
      reason: 'restarted',
    });
  });

  test('is refused to whoever holds another epoch, or released it', () => {
    expect(promise(record, undefined, { epoch: 3, by: a, leaseMs }, 0, 9000)).toMatchObject({
      reason: 'superseded',
    });
    expect(promise(record, undefined, { epoch: 4, by: b, leaseMs }, 0, 9000)).toMatchObject({
      reason: 'superseded',
    });
    expect(
      promise({ ...record, released: true }, undefined, { epoch: 4, by: a, leaseMs }, 0, 9000),
    ).toMatchObject({
      reason: 'released',
    });
  });

  test('does not let its holder act before `actFrom`, or within a lease of its own start', () => {
    const fresh = leaseGranted(
      leaseRequested(holdEpoch(createLeaseHolder(leaseMs, 0), 1, 5000), 7, 100),
      1,
      7,
      leaseMs,
    );
    expect(mayAct(fresh, 3000)).toBe(false);
    const later = leaseGranted(
      leaseRequested(holdEpoch(createLeaseHolder(leaseMs, 0), 1, 5000), 7, 4900),
      1,
      7,
      leaseMs,
    );
    expect(mayAct(later, 4999)).toBe(false);
    expect(mayAct(later, 5000)).toBe(true);
  });

  test('lets the next epoch act only when everything sent under the last one is off the air', () => {
    const promised: LeasePromise = { epoch: 4, holder: a, until: 10_000 };
    expect(takeable(record, promised, 4, leaseMs, 0, 10_500)).toMatchObject({ ok: true, actAfterMs: 2560 });
    expect(takeable({ ...record, released: true }, promised, 4, leaseMs, 0, 8000)).toMatchObject({
      ok: true,
      actAfterMs: 3060,
    });
    expect(takeable(record, promised, 4, leaseMs, 0, 9999)).toMatchObject({
      ok: false,
      reason: 'leaseRuns',
      retryInMs: 1,
    });
  });

  test('lets it act only then whatever clocks and ledger do: what is waited for at the grantor passes on its clock', () => {
    const rate = fc.double({ min: 0.98, max: 1.02, noNaN: true });
    fc.assert(
      fc.property(rate, rate, fc.double({ min: 0, max: 3000, noNaN: true }), (grantors, takers, trueMs) => {
        const promised: LeasePromise = { epoch: 4, holder: a, until: 10_000 };
        const verdict = takeable(record, promised, 4, leaseMs, 0, 10_000 + trueMs * grantors);
        const wait = verdict.ok ? surelyPassed(verdict.actAfterMs) / takers : -Infinity;
        expect(trueMs + wait).toBeGreaterThanOrEqual(MAX_DOWNLINK_LEAD_MS - 1e-6);
      }),
    );
  });

  test('ignores a grant that answers none of its requests', () => {
    const holder = holdEpoch(createLeaseHolder(leaseMs, 0), 1, 0);
    expect(leaseGranted(holder, 1, 99, leaseMs)).toBe(holder);
  });

  test('is counted as long as the grantor promised, where that is shorter than asked for', () => {
    const asked = leaseRequested(holdEpoch(createLeaseHolder(5000, 0), 1, 0), 1, 10_000);
    expect(leaseGranted(asked, 1, 1, 3000).until).toBeCloseTo(10_000 + 3000 * 0.98);
  });

  test('short as it is, its holder waits after a start for what it may have sent before', () => {
    expect(createLeaseHolder(500, 1000).actFrom).toBeGreaterThanOrEqual(1000 + MAX_DOWNLINK_LEAD_MS);
  });

  test('of an epoch that nobody was promised ends with what its holder may have sent before it was bound', () => {
    expect(takeable(record, undefined, 4, leaseMs, 0, 60_000)).toEqual({
      ok: true,
      actAfterMs: LEAD_BY_GRANTOR_MS,
      leaseEnded: true,
    });
  });

  test('a duration has surely passed on any clock that is up to 2 % off another that is up to 2 % off', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.98, max: 1.02, noNaN: true }),
        fc.double({ min: 0.98, max: 1.02, noNaN: true }),
        fc.integer({ min: 1, max: 100_000 }),
        (ours, theirs, duration) => surelyPassed(duration) / ours >= (duration / theirs) * (1 - 1e-9),
      ),
    );
  });
});
