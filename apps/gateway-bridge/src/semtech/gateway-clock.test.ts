import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { aheadMs, observe, tmstIn, type GatewayClock } from './gateway-clock.ts';

const SOURCE = '192.0.2.1 40000';

describe('the clock of a gateway', () => {
  const at = (startUs: number, ms: number): number => (startUs + ms * 1000) % 2 ** 32;

  test('tells how late a datagram came, through the wrap of the counter', () => {
    fc.assert(
      fc.property(
        fc.nat(0xffff_ffff),
        fc.nat(600_000),
        fc.integer({ min: 50, max: 60_000 }),
        (start, gap, late) => {
          const { clock } = observe(undefined, at(start, 0), 1000, SOURCE);
          const { delayMs } = observe(clock, at(start, gap), 1000 + gap + late, SOURCE);
          expect(Math.abs(delayMs - late)).toBeLessThan(0.1 + (gap + late) * 2e-4);
          expect(Math.abs(aheadMs(clock, at(start, gap + 1000), 1000 + gap) - 1000)).toBeLessThan(1);
        },
      ),
    );
  });

  test('tells the value at a time to come, through the wrap, while it is fresh enough', () => {
    const { clock } = observe(undefined, 2 ** 32 - 1_000_000, 5000, SOURCE);
    expect(tmstIn(clock, 1500, 6000)).toBe(1_500_000);
    expect(aheadMs(clock, tmstIn(clock, 1500, 6000) ?? 0, 6000)).toBeCloseTo(1500);
    expect(tmstIn(clock, 1000, 5000 + 3_600_000)).toBeDefined();
    expect(tmstIn(clock, 1000, 5001 + 3_600_000)).toBeUndefined();
  });

  test('a backlog read at once is late', () => {
    let clock: GatewayClock | undefined = observe(undefined, 5_000_000, 1000, SOURCE).clock;
    const late = [0, 1000, 2000, 3000].map((ms) => {
      const observed = observe(clock, at(6_000_000, ms), 61_000, SOURCE);
      clock = observed.clock;
      return Math.round(observed.delayMs / 1000);
    });
    expect(late).toEqual([59, 58, 57, 56]);
  });

  const SINCE_MS = [0, 500, 1000, 2500, 3000];

  /** Frames that are not late, of a gateway that counts from zero again, and how late they are taken for. */
  const afterRestart = (source: string, upMs: number, downMs: number): number[] => {
    let { clock } = observe(undefined, 0, 0, SOURCE);
    ({ clock } = observe(clock, at(0, upMs), upMs, SOURCE));
    return SINCE_MS.map((ms) => {
      const observed = observe(clock, at(100, ms), upMs + downMs + ms, source);
      clock = observed.clock;
      return observed.delayMs;
    });
  };

  test('no frame is dated by a counter from before a restart', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.nat(5000), fc.nat(4_000_000)),
        fc.oneof(fc.integer({ min: 1, max: 4000 }), fc.integer({ min: 1, max: 1_000_000 })),
        (up, down) => {
          // by the order of the frames: what came before the restart was heard before, and at most a second is overtaken
          const before = afterRestart(SOURCE, up, down).filter(
            (late, n) => late > down + (SINCE_MS[n] ?? 0) + 1000,
          );
          expect(before).toEqual([]);
          // by the forwarder's new port
          expect(Math.max(...afterRestart('192.0.2.1 40001', up, down))).toBeLessThanOrEqual(1000);
        },
      ),
      { examples: [[1002, 1]] },
    );
    expect(afterRestart(SOURCE, 300_000, 30_000)).toEqual([0, 0, 0, 0, 0]);
  });

  test('datagrams that overtake each other tell of no restart', () => {
    let { clock } = observe(undefined, 0, 0, SOURCE);
    ({ clock } = observe(clock, at(0, 10_000), 10_000, SOURCE));
    const { delayMs, clock: next } = observe(clock, at(0, 9500), 10_010, SOURCE);
    expect(delayMs).toBeCloseTo(510, 0);
    expect(next.monotonic).toBe(10_000);
  });
});
