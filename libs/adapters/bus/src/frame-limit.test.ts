import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createFrameLimit } from './frame-limit.ts';

/** An MQTT packet with so many bytes behind its fixed header. */
function packet(length: number): number[] {
  const header = [0x30];
  let rest = length;
  do {
    const more = rest >= 128;
    header.push((rest % 128) | (more ? 0x80 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return [...header, ...new Array<number>(length).fill(0xff)];
}

describe('the limit of MQTT packets', () => {
  test('takes packets up to the limit and no longer one, however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 300 }),
        fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 20 }),
        (lengths, limit, cuts) => {
          const bytes = Uint8Array.from(lengths.flatMap(packet));
          const keeps = createFrameLimit(limit);
          let kept = true;
          for (let at = 0, i = 0; at < bytes.length && kept; i++) {
            const step = cuts[i % cuts.length] ?? 1;
            kept = keeps(bytes.subarray(at, at + step));
            at += step;
          }
          expect(kept).toBe(lengths.every((length) => length <= limit));
        },
      ),
    );
  });

  test('takes only a small first packet, and no length of five bytes', () => {
    const keeps = createFrameLimit(1 << 20);
    expect(keeps(Uint8Array.of(0x10, 0xff, 0xff, 0x7f))).toBe(false);
    const later = createFrameLimit(1 << 20);
    expect(later(Uint8Array.of(0xc0, 0, 0x30, 0x80, 0x80, 0x20))).toBe(true);
    expect(createFrameLimit(1 << 28)(Uint8Array.of(0xc0, 0, 0x30, 0x80, 0x80, 0x80, 0x80, 0x01))).toBe(false);
  });
});
