import { AntirioError, aesGcmDecrypt, aesGcmEncrypt, concatBytes, utf8 } from '@antirio/kernel';

/** Bytes of any length under a key of their own: pieces with a counter and a mark on the last, so that none can be left out, moved or cut off (STREAM, Hoang et al. 2015). */
const PIECE = 64 << 10;
const TAG = 16;
const MAGIC = utf8('antirio-volume/1');

function nonceOf(counter: number, isLast: boolean): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(3, BigInt(counter));
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

/** In pieces of the given size, the last one shorter; at least one. */
async function* inPieces(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array();
  for await (const bytes of source) {
    rest = rest.length === 0 ? bytes : concatBytes(rest, bytes);
    while (rest.length > size) {
      yield rest.subarray(0, size);
      rest = rest.subarray(size);
    }
  }
  yield rest;
}

async function* withLast(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<readonly [Uint8Array, boolean]> {
  let before: Uint8Array | undefined;
  for await (const piece of pieces) {
    if (before !== undefined) yield [before, false];
    before = piece;
  }
  if (before !== undefined) yield [before, true];
}

/** @param key 32 bytes, used for nothing else */
export async function* sealStream(
  key: Uint8Array,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield MAGIC;
  let counter = 0;
  for await (const [piece, isLast] of withLast(inPieces(source, PIECE)))
    yield aesGcmEncrypt(key, nonceOf(counter++, isLast), piece, MAGIC);
}

/** @throws AntirioError corrupt where it was encrypted under another key, is changed or cut off */
export async function* openStream(
  key: Uint8Array,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let counter = 0;
  for await (const [piece, isLast] of withLast(inPieces(afterMagic(source), PIECE + TAG)))
    yield aesGcmDecrypt(key, nonceOf(counter++, isLast), piece, MAGIC);
}

async function* afterMagic(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head: Uint8Array | undefined = new Uint8Array();
  for await (const bytes of source) {
    if (head === undefined) {
      yield bytes;
      continue;
    }
    head = concatBytes(head, bytes);
    if (head.length < MAGIC.length) continue;
    if (!MAGIC.every((byte, i) => head?.[i] === byte))
      throw new AntirioError('corrupt', 'this is no snapshot of volumes');
    yield head.subarray(MAGIC.length);
    head = undefined;
  }
  if (head !== undefined) throw new AntirioError('corrupt', 'a snapshot of volumes ends before it begins');
}
