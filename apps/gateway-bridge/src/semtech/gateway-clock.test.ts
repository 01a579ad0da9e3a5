import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { aheadMs, observe, type GatewayClock } from './gateway-clock.ts';

describe('the clock of a gateway', () => {
  const at = (startUs: number, ms: number): number => (startUs + ms * 1000) % 2 ** 32;

  test('tells how late a datagram came, through the wrap of the counter', () => {
    fc.assert(
      fc.property(
        fc.nat(0xffff_ffff),
        fc.nat(600_000),
        fc.integer({ min: 50, max: 60_000 }),
        (start, gap, late) => {
          const { clock } = observe(undefined, at(start, 0), 1000);
          const { delayMs } = observe(clock, at(start, gap), 1000 + gap + late);
          expect(Math.abs(delayMs - late)).toBeLessThan(0.1 + (gap + late) * 2e-4);
          expect(Math.abs(aheadMs(clock, at(start, gap + 1000), 1000 + gap) - 1000)).toBeLessThan(1);
        },
      ),
    );
  });

  test('a backlog read at once is late; a gateway that was restarted is believed after two seconds', () => {
    let clock: GatewayClock | undefined = observe(undefined, 5_000_000, 1000).clock;
    const late = [0, 1000, 2000, 3000].map((ms) => {
      const observed = observe(clock, at(6_000_000, ms), 61_000);
      clock = observed.clock;
      return Math.round(observed.delayMs / 1000);
    });
    expect(late).toEqual([59, 58, 57, 56]);
    // counts from zero again
    const restarted = [0, 500, 1000, 2500, 3000].map((ms) => {
      const observed = observe(clock, at(100, ms), 62_000 + ms);
      clock = observed.clock;
      return observed.delayMs > 1000;
    });
    expect(restarted).toEqual([true, true, true, false, false]);
  });
});
