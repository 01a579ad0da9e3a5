import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { concatBytes } from '@antirio/kernel';
import { FrameReader, toFrame } from './frames.ts';

describe('ABCI frames', () => {
  test('come out as they went in, whichever pieces they came in', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 8 });
    const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(messages, sizes, (sent, cuts) => {
        const stream = concatBytes(...sent.map(toFrame));
        const reader = new FrameReader();
        const got: number[][] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const end = at + (cuts[i % cuts.length] ?? 1);
          for (const message of reader.push(stream.slice(at, end))) got.push([...message]);
          at = end;
        }
        expect(got).toEqual(sent.map((message) => [...message]));
      }),
      { seed: 8, numRuns: 200 },
    );
  });

  test('of more bytes than allowed, or with a length that never ends, are refused before they are waited for', () => {
    const reader = new FrameReader(1000);
    expect(reader.push(toFrame(new Uint8Array(1000)))).toHaveLength(1);
    expect(() => reader.push(Uint8Array.of(0xe9, 0x07))).toThrow(
      expect.objectContaining({ code: 'tooLarge' }),
    );
    const endless = new Uint8Array(12).fill(0xff);
    expect(() => new FrameReader().push(endless)).toThrow(expect.objectContaining({ code: 'invalidInput' }));
  });
});
