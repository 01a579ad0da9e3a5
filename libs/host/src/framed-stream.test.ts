import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { framesOf, toFrames } from './framed-stream.ts';

async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    // as of a transient stream: what was given before is overwritten
    const piece = Buffer.from(bytes.subarray(at, at + size));
    yield piece;
    piece.fill(0xee);
    at += size;
    await Promise.resolve();
  }
}

async function all(body: AsyncIterable<Uint8Array>, max?: number): Promise<number[][]> {
  const found: number[][] = [];
  for await (const frames of framesOf(body, max)) for (const frame of frames) found.push([...frame]);
  return found;
}

describe('framed streams', () => {
  test('give the frames whatever pieces they come in', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 }),
        async (frames, sizes) => {
          const bytes = toFrames(frames.map((frame) => [frame.subarray(0, 1), frame.subarray(1)]));
          expect(await all(cut(bytes, sizes))).toEqual(frames.map((frame) => [...frame]));
        },
      ),
    );
  });

  test('that end within a frame, or have too long ones, are no answer', async () => {
    const bytes = toFrames([[Uint8Array.of(1, 2, 3)], [new Uint8Array(50)]]);
    await expect(all(cut(bytes.subarray(0, 20), [7]))).rejects.toMatchObject({ code: 'unavailable' });
    await expect(all(cut(bytes, [7]), 49)).rejects.toMatchObject({ code: 'tooLarge' });
  });
});
