import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createTokenBuckets } from './token-buckets.ts';

test('what is let go of changes no answer', () => {
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    afterMs: fc.nat({ max: 4000 }),
    tidies: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const [tidied, kept] = [createTokenBuckets(0.5, 3), createTokenBuckets(0.5, 3)];
      let now = 0;
      for (const { key, afterMs, tidies } of steps) {
        now += afterMs;
        if (tidies) tidied.tidy(now);
        expect(tidied.spend(key, now)).toBe(kept.spend(key, now));
      }
    }),
  );
});
