import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fixedPrice, quoteOf, type StorageRate } from './price.ts';

const rate: StorageRate = { numerator: 3n, denominator: 7n, currency: 'attoFIL', epochSeconds: 30 };

test('a quote is exact where a float would not be', () => {
  const dear = { ...rate, numerator: 10n ** 18n + 1n, denominator: 10n ** 9n };
  const quote = quoteOf({ bytes: Number.MAX_SAFE_INTEGER, days: 36_500 }, dear);
  const exact = BigInt(Number.MAX_SAFE_INTEGER) * (36_500n * 2880n) * (10n ** 18n + 1n);
  expect(quote.amount).toBe(exact / 10n ** 9n + 1n);
});

test('what is begun is paid for: epochs and amount are rounded up, never by more than one', () => {
  const ask = fc.record({
    bytes: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    days: fc.integer({ min: 1, max: 36_500 }),
  });
  const rates = fc.record({
    numerator: fc.bigInt({ min: 0n, max: 10n ** 24n }),
    denominator: fc.bigInt({ min: 1n, max: 10n ** 24n }),
    epochSeconds: fc.integer({ min: 1, max: 86_400 }),
  });
  fc.assert(
    fc.property(ask, rates, ({ bytes, days }, some) => {
      const quote = quoteOf({ bytes, days }, { ...rate, ...some });
      const seconds = BigInt(days) * 86_400n;
      const epochs = BigInt(quote.epochs);
      expect(epochs * BigInt(some.epochSeconds) >= seconds).toBe(true);
      expect((epochs - 1n) * BigInt(some.epochSeconds) < seconds).toBe(true);
      const owed = BigInt(bytes) * epochs * some.numerator;
      expect(quote.amount * some.denominator >= owed).toBe(true);
      expect(quote.amount === 0n || (quote.amount - 1n) * some.denominator < owed).toBe(true);
    }),
  );
});

test.each([
  [{ numerator: -1n }],
  [{ denominator: 0n }],
  [{ epochSeconds: 0 }],
  [{ epochSeconds: 0.5 }],
  [{ epochSeconds: 86_401 }],
])('a rate that is none is refused: %p', (wrong) => {
  expect(() => fixedPrice({ ...rate, ...wrong })).toThrow('not a price');
});
