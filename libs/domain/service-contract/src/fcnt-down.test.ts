import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BLOCK_SIZE, SLOTS, blockIndexOf, blockOf, nextBlock, slotOf } from './fcnt-down.ts';

test('no two slots ever share a counter, and blocks only go up', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: SLOTS - 1 }), { maxLength: 200 }), (slots) => {
      const owner = new Map<number, number>();
      let highest = -1;
      for (const slot of slots) {
        const index = nextBlock(slot, highest);
        expect(index).toBeGreaterThan(highest);
        const { first, last } = blockOf(index);
        expect(last - first + 1).toBe(BLOCK_SIZE);
        for (let counter = first; counter <= last; counter++) {
          expect(owner.has(counter)).toBe(false);
          expect(slotOf(counter)).toBe(slot);
          expect(blockIndexOf(counter)).toBe(index);
          owner.set(counter, slot);
        }
        highest = index;
      }
    }),
  );
});
