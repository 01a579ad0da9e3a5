import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isAntirioError } from '@antirio/kernel';
import { createFcntSet, fcntCandidates, nearestFcnt } from './index.ts';

describe('frame counters', () => {
  test('the true counter is a candidate within one rollover either way', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffff_ffff }),
        fc.integer({ min: -0x1_0000, max: 0x1_0000 }),
        (highest, distance) => {
          const fcnt = highest + distance;
          fc.pre(
            fcnt >= 0 &&
              fcnt <= 0xffff_ffff &&
              Math.abs(Math.floor(fcnt / 65536) - Math.floor(highest / 65536)) <= 1,
          );
          const candidates = fcntCandidates(fcnt & 0xffff, highest);
          expect(candidates).toContain(fcnt);
          expect(candidates.length).toBeLessThanOrEqual(3);
          if (Math.abs(distance) < 0x8000) expect(nearestFcnt(fcnt & 0xffff, highest)).toBe(fcnt);
        },
      ),
    );
  });

  test('the likeliest comes first: the same half, and the next one after a rollover', () => {
    expect(fcntCandidates(7, 5)[0]).toBe(7);
    expect(fcntCandidates(2, 65530)[0]).toBe(65538);
    expect(fcntCandidates(65534, 65540)).toContain(65534);
    expect(fcntCandidates(3, undefined).slice(0, 2)).toEqual([3, 65539]);
  });
});

const counters = fc.array(fc.oneof(fc.nat(60), fc.integer({ min: 0xffff_fff0, max: 0xffff_ffff })), {
  maxLength: 80,
});

describe('the set of counters seen', () => {
  test('says what a plain set says, whatever the order', () => {
    fc.assert(
      fc.property(counters, (drawn) => {
        const set = createFcntSet();
        const plain = new Set<number>();
        for (const fcnt of drawn) {
          expect(set.add(fcnt)).toBe(!plain.has(fcnt));
          plain.add(fcnt);
        }
        expect(set.count).toBe(plain.size);
        expect(set.highest).toBe(plain.size === 0 ? undefined : Math.max(...plain));
        for (let fcnt = 0; fcnt <= 62; fcnt++) expect(set.has(fcnt)).toBe(plain.has(fcnt));
        const again = createFcntSet(set.ranges());
        expect(again.ranges()).toEqual(set.ranges());
        expect(again.count).toBe(plain.size);
      }),
    );
  });

  test('its part between two counters has those counters and no others', () => {
    fc.assert(
      fc.property(counters, fc.nat(62), fc.nat(62), (drawn, one, other) => {
        const set = createFcntSet();
        for (const fcnt of drawn) set.add(fcnt);
        const [from, to] = [Math.min(one, other), Math.max(one, other)];
        const part = createFcntSet(set.within(from, to));
        for (let fcnt = 0; fcnt <= 62; fcnt++)
          expect(part.has(fcnt)).toBe(fcnt >= from && fcnt <= to && set.has(fcnt));
        expect(part.highest ?? from).toBeLessThanOrEqual(to);
      }),
    );
  });

  test('closing gaps keeps every counter and counts what it gave up', () => {
    fc.assert(
      fc.property(counters, fc.integer({ min: 1, max: 6 }), (drawn, maxRanges) => {
        const set = createFcntSet();
        for (const fcnt of drawn) set.add(fcnt);
        const before = set.count;
        const given = set.closeLowestGaps(maxRanges);
        expect(set.ranges().length).toBeLessThanOrEqual(maxRanges);
        expect(set.count).toBe(before + given);
        expect(set.count).toBe(set.ranges().reduce((sum, [first, last]) => sum + last - first + 1, 0));
        for (const fcnt of drawn) expect(set.has(fcnt)).toBe(true);
      }),
    );
  });

  test('ranges that are none are refused', () => {
    const bad: [number, number][][] = [
      [[3, 2]],
      [
        [0, 1],
        [2, 3],
      ],
      [
        [5, 6],
        [1, 2],
      ],
      [[-1, 0]],
      [[0, 2 ** 32]],
      [[0.5, 1]],
    ];
    for (const ranges of bad)
      try {
        createFcntSet(ranges);
        throw new Error(`accepted ${JSON.stringify(ranges)}`);
      } catch (error) {
        expect(isAntirioError(error, 'corrupt')).toBe(true);
      }
    expect(() => createFcntSet().add(2 ** 32)).toThrow(/32 bits/);
  });
});
