import { describe, expect, test } from '@jest/globals';
import { createPageSize } from './page-size.ts';

describe('how much is asked for at once', () => {
  test('is halved by each failure, to a thirty-second, and doubled after sixteen pages that came, to all', () => {
    const size = createPageSize();
    expect(size.of(200)).toBe(200);
    size.failed();
    expect(size.of(200)).toBe(100);
    for (let i = 0; i < 10; i++) size.failed();
    expect(size.of(200)).toBe(6);
    expect(size.of(1)).toBe(1);
    for (let i = 0; i < 15; i++) size.came();
    expect(size.of(200)).toBe(6);
    size.came();
    expect(size.of(200)).toBe(12);
    for (let i = 0; i < 100; i++) size.came();
    expect(size.of(200)).toBe(200);
  });
});
