import { describe, expect, test } from '@jest/globals';
import type { CoverageMark, CoverageSettings } from './coverage-mark.ts';
import { createOutageWindow, type OwnRingFrame } from './coverage-window.ts';

const OUTAGE = 1000;
const NOW: CoverageSettings = { txPower: 0, nbTrans: 1 };
const mark: CoverageMark = {
  contractId: '00000000-0000-4000-8000-000000000001',
  ...{ devEui: '00000000000000aa', devAddr: '0000000a', session: '11'.repeat(8), keyVersion: 1, at: 0 },
  ...{ from: 90, last: 100, shown: 10, seq: 5 },
  settings: { dataRate: 'SF7BW125', txPower: 0 },
  before: { sent: 0, shown: 0 },
  since: { sent: 150, shown: 150 },
  receipts: { chain: 'c', batch: 1, hash: '0'.repeat(64) },
};
const frame = (fcnt: number, heardAt?: number, more: Partial<OwnRingFrame> = {}): OwnRingFrame => ({
  ...{ fcnt, heardAt, dataRate: 'SF7BW125', isAnswer: false },
  ...more,
});
/** Heard by us to 103 and from 200 on; of what is in between the provider heard every second one. */
const outage = (...more: readonly OwnRingFrame[]): readonly OwnRingFrame[] => [
  ...[99, 100, 103].map((fcnt) => frame(fcnt, OUTAGE - 5)),
  ...Array.from({ length: 48 }, (_, i) => frame(104 + 2 * i)),
  ...[200, 201, 204].map((fcnt) => frame(fcnt, OUTAGE + 5)),
  ...more,
];
const judged = (
  frames: readonly OwnRingFrame[],
  statedLast: number | undefined = 204,
  of: CoverageMark = mark,
  now = NOW,
) => {
  const window = createOutageWindow(of, OUTAGE);
  for (const one of frames) window.take(one);
  return window.judge(statedLast, now);
};

describe('the uplinks of an outage', () => {
  test('are those between what we heard last and what we hear first', () => {
    expect(judged(outage())).toMatchObject({ expected: 96, heard: 48 });
    // what the provider also heard of before is nobody's loss, and of after it neither
    expect(judged(outage(frame(101), frame(102), frame(205), frame(104)))).toMatchObject({
      expected: 96,
      heard: 48,
    });
  });

  test('begin after what both have signed', () => {
    expect(judged(outage(), 204, { ...mark, last: 149 })).toMatchObject({ expected: 50, heard: 25 });
  });

  test('end where nothing later was handed back: misses after that may not have been sent', () => {
    const noReturn = outage().filter(({ fcnt }) => fcnt < 200);
    expect(judged(noReturn, 198)).toMatchObject({ expected: 95, heard: 48 });
    expect(judged(outage(), 150)).toMatchObject({ expected: 47, heard: 24 });
    expect(judged(outage(), 103)).toBe('noEnd');
    expect(judged(outage().filter(({ heardAt }) => heardAt === undefined))).toBe('unknownBefore');
    const window = createOutageWindow(mark, OUTAGE);
    outage().forEach((one) => window.take(one));
    expect(window.judge(undefined, NOW)).toBe('noEnd');
  });

  test('are none where we never stopped hearing', () => {
    expect(judged([frame(103, OUTAGE - 1), frame(104, OUTAGE + 1)])).toBe('noUplinks');
  });

  test('are not judged where the device sends otherwise than before', () => {
    expect(judged(outage(frame(105, undefined, { dataRate: 'SF9BW125' })))).toBe('changed');
    expect(judged(outage(frame(105, undefined, { isAnswer: true })))).toBe('changed');
    expect(judged(outage(), 204, mark, { txPower: 3 })).toBe('changed');
    // of a setting that was not known before nothing can be said
    expect(judged(outage(), 204, mark, { channels: [868_100_000] })).toMatchObject({ expected: 96 });
    const slower = { ...mark, settings: { dataRate: 'SF12BW125' } };
    expect(judged(outage(), 204, slower)).toBe('changed');
  });

  test('need a baseline', () => {
    expect(judged(outage(), 204, { ...mark, since: { sent: 99, shown: 99 } })).toBe('noBaseline');
  });
});
