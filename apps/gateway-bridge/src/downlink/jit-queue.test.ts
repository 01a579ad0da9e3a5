import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createJitQueue } from './jit-queue.ts';

test('no two downlinks of one gateway are on air at once; those of others, and what was released, are not in the way', () => {
  const request = fc.record({
    gateway: fc.constantFrom('a', 'b'),
    start: fc.nat(5000),
    airtime: fc.integer({ min: 20, max: 2500 }),
    released: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(request, { maxLength: 40 }), (requests) => {
      const queue = createJitQueue(() => 0);
      const onAir: { gateway: string; start: number; end: number }[] = [];
      for (const { gateway, start, airtime, released } of requests) {
        const end = start + airtime;
        const others = onAir.filter((one) => one.gateway === gateway);
        const slot = queue.reserve(gateway, start, airtime);
        if (others.some((one) => start < one.end && one.start < end)) expect(slot).toBeUndefined();
        if (others.every((one) => start - 40 > one.end || one.start - 40 > end)) expect(slot).toBeDefined();
        if (slot !== undefined && released) slot.release();
        else if (slot !== undefined) onAir.push({ gateway, start, end });
      }
    }),
  );
});

test('what has to go at once gets the first time that is free', () => {
  const queue = createJitQueue(() => 0);
  queue.reserve('a', 1000, 100);
  queue.reserve('a', 1200, 100);
  expect(queue.firstFree('a', 500, 100)).toBe(500);
  const start = queue.firstFree('a', 1000, 100);
  expect(start).toBeGreaterThan(1300);
  expect(queue.reserve('a', start, 100)).toBeDefined();
});

test('what was on air is forgotten', () => {
  let now = 0;
  const queue = createJitQueue(() => now);
  queue.reserve('a', 1000, 100);
  now = 2000;
  expect(queue.reserve('a', 1000, 100)).toBeDefined();
});
