import { CarBlockIterator } from '@ipld/car';
import { AntirioError } from '@antirio/kernel';
import { CID } from 'multiformats/cid';
import { MAX_BLOCK_BYTES } from './block.ts';

/** Bytes of a CID of any kind that is in use. */
const MAX_CID_BYTES = 160;
const MAX_SECTION = MAX_BLOCK_BYTES + MAX_CID_BYTES;
const USUAL_SECTION = 16 << 10;
/** Headers and CIDs come on top of the blocks' own bytes. */
const OVERHEAD = 1.1;

/**
 * The blocks of a CAR of version 1, unchecked. Holds one section, in memory that is used again: a block is valid until the next
 * one is asked for.
 * @throws AntirioError invalidInput for what is no CAR or breaks off, tooLarge for a block over the limit, or far more bytes in
 * all than are allowed.
 */
export async function* readCar(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<{ cid: CID; bytes: Uint8Array }> {
  const sections = new SectionReader(maxBytes * OVERHEAD + MAX_SECTION);
  let hasHeader = false;
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      at += sections.take(piece, at);
      const section = sections.whole();
      if (section === undefined) continue;
      if (hasHeader) yield blockOf(section);
      else await requireHeader(section);
      hasHeader = true;
    }
  }
  if (!hasHeader || sections.isInside) throw notCar('it breaks off');
}

const notCar = (why: string, cause?: unknown): AntirioError =>
  new AntirioError('invalidInput', `not a CAR: ${why}`, {}, cause);

/** What it claims as roots is read, and believed by nobody. */
async function requireHeader(section: Uint8Array): Promise<void> {
  // Behind a length of its own a header is a CAR without blocks, which the decoder of the format judges.
  const length = [];
  for (let left = section.length; ; left >>>= 7) {
    length.push(left > 0x7f ? (left & 0x7f) | 0x80 : left);
    if (left <= 0x7f) break;
  }
  try {
    const alone = [Uint8Array.from(length), section];
    const { version } = await CarBlockIterator.fromIterable(piecesOf(alone));
    if (version !== 1) throw notCar(`version ${version} is not read here`);
  } catch (cause) {
    throw cause instanceof AntirioError ? cause : notCar('a malformed header', cause);
  }
}

async function* piecesOf(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

function blockOf(section: Uint8Array): { cid: CID; bytes: Uint8Array } {
  try {
    const [cid, bytes] = CID.decodeFirst(section);
    // The section's memory is used again, and CIDs are kept.
    return { cid: CID.decode(cid.bytes.slice()), bytes };
  } catch (cause) {
    throw notCar('a section without a CID', cause);
  }
}

/** Puts sections together: each is its length as a varint, then as many bytes. */
class SectionReader {
  /** As long as most sections, until one is longer. */
  #memory = new Uint8Array(USUAL_SECTION);
  readonly #limit: number;
  #total = 0;
  /** Of the current section; undefined while its length is read. */
  #length: number | undefined;
  #filled = 0;
  #varint = 0;
  #shift = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isInside(): boolean {
    return this.#length !== undefined || this.#shift > 0;
  }

  /** How many bytes from a position on it took. @throws AntirioError tooLarge | invalidInput */
  take(piece: Uint8Array, at: number): number {
    if (this.#length === undefined) {
      this.#lengthByte(piece[at] ?? 0);
      return 1;
    }
    const part = piece.subarray(at, at + this.#length - this.#filled);
    this.#memory.set(part, this.#filled);
    this.#filled += part.length;
    return part.length;
  }

  /** The section, once it is whole. */
  whole(): Uint8Array | undefined {
    if (this.#length === undefined || this.#filled < this.#length) return undefined;
    const section = this.#memory.subarray(0, this.#length);
    this.#total += this.#length;
    if (this.#total > this.#limit)
      throw new AntirioError('tooLarge', `a CAR of over ${Math.round(this.#limit)} bytes`);
    this.#length = undefined;
    this.#filled = 0;
    return section;
  }

  #lengthByte(byte: number): void {
    this.#varint += (byte & 0x7f) * 2 ** this.#shift;
    this.#shift += 7;
    if (this.#varint > MAX_SECTION) throw new AntirioError('tooLarge', 'a CAR with a block over the limit');
    if (this.#shift > 35) throw notCar('a malformed length');
    if (byte >= 0x80) return;
    if (this.#varint === 0) throw notCar('an empty section');
    if (this.#varint > this.#memory.length) this.#memory = new Uint8Array(MAX_SECTION);
    this.#length = this.#varint;
    this.#varint = this.#shift = 0;
  }
}
