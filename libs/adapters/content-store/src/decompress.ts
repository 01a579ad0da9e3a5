import { pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { AntirioError } from '@antirio/kernel';

/** The beginning of a stream, and the whole of it, which can be read once. */
export interface Peeked {
  /** Shorter than asked for where the stream is. */
  readonly head: Uint8Array;
  readonly all: AsyncGenerator<Uint8Array>;
}

/** Reads the first bytes of a stream without taking them from it. */
export async function peek(source: AsyncIterable<Uint8Array>, bytes: number): Promise<Peeked> {
  const rest = source[Symbol.asyncIterator]();
  const parts: Uint8Array[] = [];
  for (let size = 0; size < bytes;) {
    const next = await rest.next();
    if (next.done === true) break;
    // The next piece may come in the same memory
    parts.push(next.value.slice());
    size += next.value.length;
  }
  const begun = Buffer.concat(parts);
  async function* all(): AsyncGenerator<Uint8Array> {
    try {
      if (begun.length > 0) yield begun;
      for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
    } finally {
      await rest.return?.();
    }
  }
  return { head: begun.subarray(0, bytes), all: all() };
}

const startsWith = (bytes: Uint8Array, magic: readonly number[]): boolean =>
  magic.every((byte, i) => bytes[i] === byte);

const FORMATS = [
  { magic: [0x1f, 0x8b], open: createGunzip },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], open: createZstdDecompress },
] as const;

export const isCompressed = (head: Uint8Array): boolean =>
  FORMATS.some(({ magic }) => startsWith(head, magic));

/**
 * The plain bytes of a stream that may be compressed (gzip, zstd); how many may come the reader has to bound.
 * @throws AntirioError invalidInput where it does not decompress.
 */
export function decompressed({ head, all }: Peeked, what: string): AsyncIterable<Uint8Array> {
  const format = FORMATS.find(({ magic }) => startsWith(head, magic));
  if (format === undefined) return all;
  // What reads ahead gets memory of its own
  const source = Readable.from(copied(all), { highWaterMark: 2 });
  const output = pipeline(source, format.open(), () => undefined);
  return (async function* () {
    try {
      for await (const chunk of output) yield chunk as Uint8Array;
    } catch (cause) {
      if (cause instanceof AntirioError) throw cause;
      throw new AntirioError('invalidInput', `${what} does not decompress`, {}, cause);
    }
  })();
}

async function* copied(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const bytes of source) yield bytes.slice();
}
