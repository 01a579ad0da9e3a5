import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createTimeHeap } from './heap.ts';

test('items leave in order of time, those of equal time in order of arrival', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 })), (times) => {
      const heap = createTimeHeap<{ at: number; order: number }>();
      const items = times.map((at, order) => ({ at, order }));
      for (const item of items) heap.push(item.at, item);
      const popped = items.map(() => heap.pop());
      expect(popped).toEqual(items.toSorted((a, b) => a.at - b.at || a.order - b.order));
      expect(heap.pop()).toBeUndefined();
      expect(heap.nextAt()).toBe(Infinity);
    }),
  );
});

test('pushing while popping keeps the order', () => {
  const heap = createTimeHeap<string>();
  heap.push(5, 'e');
  heap.push(1, 'a');
  expect(heap.pop()).toBe('a');
  heap.push(3, 'c');
  heap.push(2, 'b');
  expect(heap.nextAt()).toBe(2);
  expect([heap.pop(), heap.pop(), heap.pop(), heap.size]).toEqual(['b', 'c', 'e', 0]);
});
