import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { lowerBound } from './baseline.ts';
import { BREACH_LOG10, judgeCoverage, lowerTail, type Trials } from './coverage-breach.ts';

/** By going through the trials one by one. */
function slowTail(trials: readonly Trials[], most: number): number {
  let masses = [1];
  for (const { n, p } of trials)
    for (let i = 0; i < n; i++)
      masses = [...masses, 0].map((mass, k) => mass * (1 - p) + (masses[k - 1] ?? 0) * p);
  return masses.slice(0, most + 1).reduce((a, b) => a + b, 0);
}

const trialsArbitrary = fc.array(
  fc.record({ n: fc.integer({ min: 0, max: 25 }), p: fc.double({ min: 0.01, max: 0.999, noNaN: true }) }),
  { minLength: 1, maxLength: 6 },
);
/** Too many different chances for the exact sum. */
const many = (n: number, p: (i: number) => number): Trials[] =>
  Array.from({ length: 10_000 }, (_, i) => ({ n, p: p(i) }));

describe('the lower tail of a sum of binomials', () => {
  test('is what going through all trials gives, and never less', () => {
    fc.assert(
      fc.property(trialsArbitrary, fc.nat(150), (trials, most) => {
        const slow = Math.log10(Math.min(1, slowTail(trials, most)));
        const { log10P, method } = lowerTail(trials, most);
        expect(method).toBe('exact');
        expect(log10P).toBeGreaterThanOrEqual(slow - 1e-12 * (1 + Math.abs(slow)));
        expect(log10P).toBeCloseTo(slow, 6);
      }),
      { seed: 9, numRuns: 200 },
    );
  });

  test('is what is known of one binomial, also where no double holds it', () => {
    expect(10 ** lowerTail([{ n: 10, p: 0.5 }], 3).log10P).toBeCloseTo(176 / 1024, 8);
    expect(lowerTail([{ n: 5000, p: 0.9 }], 0).log10P).toBeCloseTo(-5000, 4);
    const twice = lowerTail([{ n: 5000, p: 0.9 }], 1).log10P;
    expect(twice).toBeCloseTo(-5000 + Math.log10(1 + 5000 * 9), 4);
    const whole = lowerTail([{ n: 500, p: 0.7 }], 200).log10P;
    const parts = lowerTail(
      Array.from({ length: 10 }, (_, i) => ({ n: 50, p: 0.7 + i * 1e-14 })),
      200,
    );
    expect(parts.log10P).toBeCloseTo(whole, 6);
  });

  test('grows with what was heard, and falls with the chance', () => {
    fc.assert(
      fc.property(trialsArbitrary, fc.nat(100), (trials, most) => {
        const { log10P } = lowerTail(trials, most);
        expect(lowerTail(trials, most + 1).log10P).toBeGreaterThanOrEqual(log10P - 1e-9);
        const better = trials.map(({ n, p }) => ({ n, p: p + (1 - p) / 3 }));
        expect(lowerTail(better, most).log10P).toBeLessThanOrEqual(log10P + 1e-6);
      }),
      { seed: 9, numRuns: 100 },
    );
  });

  test('is bounded from above, and closely, where it is too much work', () => {
    // all chances nearly the same: one binomial tells what the exact sum would be
    const { log10P, method } = lowerTail(
      many(20, (i) => 0.8 + i * 1e-12),
      159_000,
    );
    expect(method).toBe('bound');
    const exact = lowerTail([{ n: 200_000, p: 0.8 }], 159_000);
    expect(exact.method).toBe('exact');
    expect(log10P).toBeGreaterThan(exact.log10P);
    expect(log10P - exact.log10P).toBeLessThan(2);
    expect(
      lowerTail(
        many(20, (i) => 0.8 + i * 1e-12),
        160_000,
      ).log10P,
    ).toBeGreaterThan(-0.01);
    expect(
      lowerTail(
        many(20, (i) => 0.5 + i * 1e-6),
        2000,
      ).log10P,
    ).toBeLessThan(-1000);
  });

  test('of what is sure or impossible', () => {
    expect(lowerTail([{ n: 3, p: 1 }], 2).log10P).toBe(-Infinity);
    expect(lowerTail([{ n: 3, p: 0 }], 0).log10P).toBe(0);
    expect(lowerTail([], 0).log10P).toBe(0);
  });
});

describe('a judgement', () => {
  const device = (expected: number, heard: number, atLeast = lowerBound(190, 200)) => ({
    ...{ expected, heard, atLeast },
  });

  test('is a breach only where bad luck is out of the question', () => {
    expect(judgeCoverage([device(100, 88), device(100, 86)])).toMatchObject({
      verdict: 'within',
      heard: 174,
    });
    expect(judgeCoverage([device(100, 50)])).toMatchObject({ verdict: 'breach', devices: 1, expected: 100 });
    // what one device lost another one may make up for
    const made = [device(30, 15), ...Array.from({ length: 20 }, () => device(30, 30))];
    expect(judgeCoverage(made).verdict).toBe('within');
    expect(judgeCoverage([device(4, 0)]).verdict).toBe('within');
  });

  test('is none where nothing can be judged', () => {
    expect(judgeCoverage([])).toMatchObject({ verdict: 'notJudged', log10P: 0 });
    expect(judgeCoverage([device(0, 0), device(50, 0, 0)]).verdict).toBe('notJudged');
  });

  test('does not punish who hears as its baseline says', () => {
    let seed = 7;
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const drawn = (n: number, p: number): number =>
      Array.from({ length: n }, random).filter((x) => x < p).length;
    for (let run = 0; run < 60; run++) {
      const devices = Array.from({ length: 10 }, (_, i) => {
        const p = 0.3 + (i % 3) / 5;
        return device(20, drawn(20, p), p);
      });
      expect(judgeCoverage(devices).log10P).toBeGreaterThan(BREACH_LOG10);
    }
  });
});
