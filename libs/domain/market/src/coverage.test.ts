import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  commitTo,
  evaluateCoverage,
  judgeCoverage,
  opens,
  type HeardFrame,
  type Receipt,
} from './coverage.ts';
import { customerPolicy } from './policy.ts';

const frame = (n: number, receivedAt: number, devAddr = '0000000a'): HeardFrame => ({
  devAddr,
  fcnt: n,
  mic: n.toString(16).padStart(8, '0'),
  receivedAt,
});
const bare = ({ devAddr, fcnt, mic }: HeardFrame): Receipt => ({ devAddr, fcnt, mic });

describe('commitments', () => {
  const batch = { matchId: 'm', batch: 1, salt: '00'.repeat(16), receipts: [bare(frame(1, 0))] };

  test('open with just the batch that they were made over', () => {
    const committed = commitTo(batch);
    expect(opens(committed, batch)).toBe(true);
    expect(opens(committed, { ...batch, batch: 2 })).toBe(false);
    expect(opens(committed, { ...batch, salt: '01'.repeat(16) })).toBe(false);
    expect(opens(committed, { ...batch, receipts: [bare(frame(2, 0))] })).toBe(false);
  });
});

describe('coverage', () => {
  const heard = [frame(1, 1000), frame(2, 2000), frame(3, 3000), frame(4, 4000)];

  test('counts what was committed to in time, once, and what came late apart', () => {
    const batches = [
      { committedAt: 2900, receipts: [bare(frame(1, 0)), bare(frame(2, 0))] },
      { committedAt: 5500, receipts: [bare(frame(2, 0)), bare(frame(3, 0)), bare(frame(9, 0))] },
    ];
    const coverage = evaluateCoverage([...heard, frame(1, 1000)], batches, 2000);
    expect(coverage).toEqual({
      devices: [{ devAddr: '0000000a', heard: 4, shared: 2, late: 1 }],
      heard: 4,
      shared: 2,
      late: 1,
      ratioPermille: 500,
    });
  });

  test('never exceeds one, whatever is claimed', () => {
    const receipts = fc.array(
      fc.nat(20).map((n) => bare(frame(n, 0))),
      { minLength: 1 },
    );
    const batches = fc.array(fc.record({ committedAt: fc.nat(10_000), receipts }));
    const frames = fc.array(
      fc.record({ n: fc.nat(20), at: fc.nat(10_000) }).map(({ n, at }) => frame(n, at)),
    );
    fc.assert(
      fc.property(frames, batches, (mine, theirs) => {
        const { ratioPermille, shared, late, heard: all } = evaluateCoverage(mine, theirs, 2000);
        expect(shared + late).toBeLessThanOrEqual(all);
        expect(ratioPermille).toBeLessThanOrEqual(1000);
      }),
    );
  });
});

describe('judgement', () => {
  const policy = customerPolicy.parse({
    minReceipts: 4,
    minReceiptsPerDevice: 3,
    minHearingRatioPermille: 600,
  });
  const coverage = (...rows: [heard: number, shared: number][]) => {
    const devices = rows.map(([heard, shared], i) => ({ devAddr: `0000000${i}`, heard, shared, late: 0 }));
    const sum = (key: 'heard' | 'shared') => devices.reduce((total, row) => total + row[key], 0);
    const ratioPermille = Math.floor((sum('shared') * 1000) / Math.max(1, sum('heard')));
    return { devices, heard: sum('heard'), shared: sum('shared'), late: 0, ratioPermille };
  };
  const addrs = ['00000000', '00000001'];

  test.each([
    ['goes on while little was heard', coverage([1, 1], [2, 2]), false, { verdict: 'tooFew' }],
    ['goes on while a device may still be heard', coverage([9, 9], [2, 0]), false, { verdict: 'tooFew' }],
    ['covers', coverage([3, 3], [3, 2]), false, { verdict: 'covered', unjudged: [] }],
    ['refuses a device that was never heard', coverage([9, 9], [3, 0]), false, { verdict: 'refused' }],
    ['refuses a ratio that is too low', coverage([9, 4], [9, 4]), false, { verdict: 'refused' }],
    [
      'judges by what there is when the time is up',
      coverage([9, 9], [2, 0]),
      true,
      { verdict: 'covered', unjudged: ['00000001'] },
    ],
    ['refuses too few frames when the time is up', coverage([3, 3]), true, { verdict: 'refused' }],
  ])('%s', (_name, given, timeIsUp, verdict) => {
    expect(judgeCoverage(given, addrs, policy, timeIsUp)).toMatchObject(verdict);
  });
});
