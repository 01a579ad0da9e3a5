import { createCipheriv, createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { pack } from 'tar-stream';
import { tarAlignedChunker } from './tar-chunker.ts';

async function tarOf(files: readonly [string, Uint8Array][]): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of files) tar.entry({ name, mtime: new Date(0) }, content);
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function chunksOf(bytes: Uint8Array, piece: number): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of tarAlignedChunker()(pieces(bytes, piece))) chunks.push(Buffer.from(chunk));
  return chunks;
}

/** Bytes without any pattern, the same for the same seed. */
function noise(length: number, seed: number): Uint8Array {
  const key = createHash('sha256').update(String(seed)).digest();
  return createCipheriv('chacha20', key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

test('the chunks are the bytes in order, and the same however the bytes arrive', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.stringMatching(/^[a-z]{1,9}$/), fc.integer({ min: 0, max: 200_000 })), {
        maxLength: 5,
      }),
      fc.integer({ min: 1000, max: 100_000 }),
      fc.boolean(),
      async (files, piece, isTar) => {
        const tar = isTar
          ? await tarOf(files.map(([name, size]) => [name, noise(size, size + 1)]))
          : Buffer.concat(files.map(([, size]) => noise(size, size + 1)));
        const chunks = await chunksOf(tar, piece);
        expect(Buffer.concat(chunks).equals(tar)).toBe(true);
        expect(chunks.every((chunk) => chunk.length > 0 && chunk.length <= 1 << 20)).toBe(true);
        const again = await chunksOf(tar, 1 << 16);
        expect(again.map((c) => c.length)).toEqual(chunks.map((c) => c.length));
      },
    ),
    { numRuns: 8 },
  );
});

test('a changed small file, and files that move, leave the chunks of the other files as they were', async () => {
  const files: [string, Uint8Array][] = Array.from({ length: 20 }, (_, i) => [
    `lib/f${i}`,
    noise(200_000 + i * 1000, i + 1),
  ]);
  const before = await chunksOf(
    await tarOf([...files, ['app/main.js', Buffer.from('const k = 1;')]]),
    1 << 16,
  );
  const after = await chunksOf(
    await tarOf([['app/new.js', noise(500, 99)], ...files, ['app/main.js', Buffer.from('const k = 2;')]]),
    1 << 16,
  );
  const known = new Set(before.map((chunk) => chunk.toString('base64')));
  const moved = after
    .filter((chunk) => !known.has(chunk.toString('base64')))
    .reduce((sum, chunk) => sum + chunk.length, 0);
  expect(moved).toBeLessThan(10_000);
});

test('chunks of large content are 256 KiB on average', async () => {
  const chunks = await chunksOf(await tarOf([['big', noise(8 << 20, 7)]]), 1 << 16);
  const mean = (8 << 20) / chunks.length;
  expect(mean).toBeGreaterThan(180 << 10);
  expect(mean).toBeLessThan(340 << 10);
});
