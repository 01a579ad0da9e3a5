import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { lowerBound } from './baseline.ts';

/** P(X >= k) in whole numbers: with p = a / 2^20 nothing is rounded. */
function exactTail(k: number, n: number, a: bigint): { readonly tail: bigint; readonly of: bigint } {
  const b = (1n << 20n) - a;
  let choose = 1n;
  let tail = 0n;
  for (let i = 0; i <= n; i++) {
    if (i >= k) tail += choose * a ** BigInt(i) * b ** BigInt(n - i);
    choose = (choose * BigInt(n - i)) / BigInt(i + 1);
  }
  return { tail, of: 1n << BigInt(20 * n) };
}

describe('the lower confidence bound of a hearing ratio', () => {
  test('is that of the tables', () => {
    // two-sided 95 % intervals of Clopper and Pearson, whose lower ends are one-sided bounds of 97.5 %
    expect(lowerBound(15, 20, 0.975)).toBeCloseTo(0.509, 4);
    expect(lowerBound(10, 100, 0.975)).toBeCloseTo(0.04900469, 7);
    expect(lowerBound(50, 100, 0.975)).toBeCloseTo(0.39832113, 7);
    expect(lowerBound(100, 100)).toBeCloseTo(0.001 ** 0.01, 12);
    expect(lowerBound(0, 100)).toBe(0);
    expect(lowerBound(0, 0)).toBe(0);
  });

  test('solves its equation, which is checked in whole numbers', () => {
    const sample = fc.tuple(fc.integer({ min: 2, max: 160 }), fc.integer({ min: 1, max: 160 }));
    fc.assert(
      fc.property(sample, ([n, some]) => {
        const k = Math.min(some, n - 1);
        const found = lowerBound(k, n);
        const below = BigInt(Math.floor(found * 2 ** 20));
        const { tail, of } = exactTail(k, n, below);
        const { tail: above } = exactTail(k, n, below + 1n);
        expect(tail * 1000n <= of).toBe(true);
        expect(above * 1000n >= of).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('grows with what was heard, and is below what was seen', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 400 }), fc.nat(399), (n, some) => {
        const k = Math.min(some, n - 1);
        expect(lowerBound(k, n)).toBeLessThanOrEqual(k / n);
        expect(lowerBound(k + 1, n)).toBeGreaterThan(lowerBound(k, n));
      }),
      { numRuns: 40 },
    );
  });
});
