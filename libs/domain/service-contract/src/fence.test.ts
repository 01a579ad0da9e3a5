import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { grantedCounter, judgeDownlink, type CounterMarks, type Fence, type FencedFrame } from './fence.ts';
import { MAX_DOWNLINK_LEAD_MS } from './lease.ts';

const noMarks: CounterMarks = { highest: undefined, hashOf: () => undefined };
const marked = (fcnt: number, hash: string): CounterMarks => ({
  highest: fcnt,
  hashOf: (asked) => (asked === fcnt ? hash : undefined),
});

// slot 1 owns blocks 16..31, 80..95, ...
const open: Extract<Fence, { kind: 'set' }> = {
  kind: 'set',
  open: true,
  slot: 1,
  actFrom: 1000,
  actUntil: 4000,
  blocks: [{ first: 16, last: 31 }],
  marks: noMarks,
};
const frame: FencedFrame = { fcnt16: 16, hash: 'a', aheadMs: 900 };
const reason = (fence: Fence, sent: FencedFrame, now: number): string => {
  const verdict = judgeDownlink(fence, sent, now);
  return verdict.allowed ? `allowed ${String(verdict.fcnt)}` : verdict.reason;
};

describe('the fence', () => {
  test('lets a timed frame with a granted counter pass while the lease lasts, and not at its end', () => {
    expect(reason(open, frame, 1000)).toBe('allowed 16');
    expect(reason(open, frame, 3999.9)).toBe('allowed 16');
    expect(reason(open, frame, 4000)).toBe('leaseEnded');
    expect(reason(open, frame, 999)).toBe('notYet');
    expect(reason({ ...open, open: false }, frame, 2000)).toBe('shut');
  });

  test('refuses what is not timed on the gateway, too late or further ahead than three seconds', () => {
    expect(reason(open, { ...frame, aheadMs: undefined }, 2000)).toBe('notTimed');
    expect(reason(open, { ...frame, aheadMs: 0 }, 2000)).toBe('tooLate');
    expect(reason(open, { ...frame, aheadMs: MAX_DOWNLINK_LEAD_MS }, 2000)).toBe('allowed 16');
    expect(reason(open, { ...frame, aheadMs: MAX_DOWNLINK_LEAD_MS + 1 }, 2000)).toBe('tooFarAhead');
  });

  test('refuses counters outside of the granted blocks, and blocks of another slot', () => {
    expect(reason(open, { ...frame, fcnt16: 32 }, 2000)).toBe('noBlock');
    expect(reason({ ...open, blocks: [] }, frame, 2000)).toBe('noBlock');
    expect(reason({ ...open, slot: 2 }, frame, 2000)).toBe('noBlock');
    expect(reason({ ...open, blocks: [{ first: 65_536 + 16, last: 65_536 + 31 }] }, frame, 2000)).toBe(
      'allowed 65552',
    );
  });

  test('a counter goes again with the same bytes only, and never back', () => {
    expect(reason({ ...open, marks: marked(16, 'a') }, frame, 2000)).toBe('allowed 16');
    expect(reason({ ...open, marks: marked(16, 'b') }, frame, 2000)).toBe('counterReused');
    expect(reason({ ...open, marks: marked(20, 'b') }, frame, 2000)).toBe('counterBack');
  });

  test('a device of no set has no lease, but its counters too are used once', () => {
    expect(reason({ kind: 'free', marks: noMarks }, frame, 0)).toBe('allowed 16');
    expect(reason({ kind: 'free', marks: marked(65_550, 'b') }, { ...frame, fcnt16: 20 }, 0)).toBe(
      'allowed 65556',
    );
    expect(reason({ kind: 'free', marks: marked(16, 'b') }, frame, 0)).toBe('counterReused');
    expect(reason({ kind: 'free', marks: noMarks }, { ...frame, aheadMs: undefined }, 0)).toBe('notTimed');
  });

  const fences = fc.record({
    // most of what is drawn blindly is refused at once: the draws lean towards what may pass
    open: fc.nat(3).map((n) => n > 0),
    slot: fc.nat(3),
    actFrom: fc.nat(100),
    actUntil: fc.nat(400),
    blocks: fc.array(
      fc.nat(8000).map((index) => ({ first: index * 16, last: index * 16 + 15 })),
      { maxLength: 4 },
    ),
    marks: fc.option(fc.tuple(fc.nat(130_000), fc.constantFrom('a', 'b')), { nil: undefined }),
  });
  const frames = fc.record({
    fcnt16: fc.nat(0xffff),
    hash: fc.constantFrom('a', 'b'),
    aheadMs: fc.option(fc.integer({ min: -10, max: 5000 }), { nil: undefined }),
  });

  test('whatever passes keeps every rule', () => {
    let passed = 0;
    fc.assert(
      fc.property(fences, frames, fc.nat(300), fc.boolean(), ({ marks, ...drawn }, sent, now, aim) => {
        const [block] = drawn.blocks;
        const target = aim ? block : undefined;
        const aimed =
          target === undefined ? sent : { ...sent, fcnt16: (target.first + (sent.fcnt16 % 16)) & 0xffff };
        const slot = target === undefined ? drawn.slot : Math.floor(target.first / 16) % 4;
        const fence: Fence = {
          kind: 'set',
          ...drawn,
          slot,
          marks: marks === undefined ? noMarks : marked(...marks),
        };
        const verdict = judgeDownlink(fence, aimed, now);
        if (!verdict.allowed) return;
        passed += 1;
        const { fcnt } = verdict;
        expect(drawn.open && now >= drawn.actFrom && now < drawn.actUntil).toBe(true);
        expect(aimed.aheadMs).toBeGreaterThan(0);
        expect(aimed.aheadMs).toBeLessThanOrEqual(MAX_DOWNLINK_LEAD_MS);
        expect(fcnt & 0xffff).toBe(aimed.fcnt16);
        expect(Math.floor(fcnt / 16) % 4).toBe(slot);
        expect(drawn.blocks.some(({ first, last }) => first <= fcnt && fcnt <= last)).toBe(true);
        if (marks !== undefined && fcnt <= marks[0]) expect([fcnt, aimed.hash]).toEqual(marks);
      }),
      { numRuns: 5000 },
    );
    expect(passed).toBeGreaterThan(50);
  });

  test('of two parties in different slots no counter is granted to both', () => {
    fc.assert(
      fc.property(fc.nat(3), fc.nat(3), fc.nat(0xffff), fc.nat(500), (a, b, fcnt16, index) => {
        fc.pre(a !== b);
        const blocks = [{ first: index * 16, last: index * 16 + 255 }];
        const ours = grantedCounter(blocks, a, fcnt16);
        expect(ours !== undefined && grantedCounter(blocks, b, fcnt16) === ours).toBe(false);
      }),
    );
  });
});
