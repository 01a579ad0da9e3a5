import { sha256 } from '@antirio/kernel';
import type { Chunker } from './chunker.ts';
import { TarScanner } from './tar.ts';

/** Bounds of content-defined chunks: a cut falls, on average, 2^bits bytes behind the minimum. */
interface GearBounds {
  readonly min: number;
  readonly bits: number;
  readonly max: number;
}

/** Content of one file: 256 KiB on average. */
const FILE_BOUNDS: GearBounds = { min: 128 << 10, bits: 17, max: 1 << 20 };
/** Headers and small files together: 64 KiB on average. */
const RUN_BOUNDS: GearBounds = { min: 32 << 10, bits: 15, max: 256 << 10 };
/** A file of fewer bytes is not worth chunks of its own. */
const OWN_CHUNKS_FROM = 4 << 10;
/** As many bytes as a 32-bit gear hash remembers. */
const WINDOW = 32;

// Part of the format: other values would give every image another CID.
const GEAR = Uint32Array.from({ length: 256 }, (_, i) =>
  new DataView(sha256(Uint8Array.of(i)).buffer).getUint32(0),
);

/** Gear content-defined chunking (Xia et al., Ddelta, 2014): where it cuts depends on the last 32 bytes only. */
class GearCutter {
  readonly #bounds: GearBounds;
  readonly #mask: number;
  readonly #chunk: Uint8Array;
  #filled = 0;
  #hash = 0;

  constructor(bounds: GearBounds) {
    this.#bounds = bounds;
    this.#chunk = new Uint8Array(bounds.max);
    this.#mask = (0xffffffff << (32 - bounds.bits)) | 0;
  }

  *push(bytes: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length;) {
      const end = this.#cut(bytes, at);
      this.#keep(bytes.subarray(at, end.at));
      at = end.at;
      if (end.cut) yield this.#take();
    }
  }

  *finish(): Generator<Uint8Array> {
    if (this.#filled > 0) yield this.#take();
  }

  /** How far the current chunk goes in these bytes, and whether it ends there. */
  #cut(bytes: Uint8Array, from: number): { at: number; cut: boolean } {
    const { min, max } = this.#bounds;
    const mask = this.#mask;
    const limit = Math.min(bytes.length, from + max - this.#filled);
    // No cut falls below the minimum, so hashing begins one window before it.
    let at = Math.min(limit, from + Math.max(0, min - WINDOW - this.#filled));
    const firstCut = from + min - this.#filled;
    let hash = this.#hash;
    for (; at < limit; at++) {
      hash = ((hash << 1) + (GEAR[bytes[at] as number] as number)) | 0;
      if ((hash & mask) === 0 && at + 1 >= firstCut) {
        this.#hash = 0;
        return { at: at + 1, cut: true };
      }
    }
    const full = this.#filled + (limit - from) === max;
    this.#hash = full ? 0 : hash;
    return { at: limit, cut: full };
  }

  #keep(bytes: Uint8Array): void {
    this.#chunk.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  #take(): Uint8Array {
    const chunk = this.#chunk.subarray(0, this.#filled);
    this.#filled = 0;
    this.#hash = 0;
    return chunk;
  }
}

interface Mark {
  readonly offset: number;
  readonly kind: 'file' | 'run';
}

/**
 * Chunks whose boundaries follow the entries of a tar: a file of 4 KiB or more is cut by its own content, so that it
 * gives the same blocks wherever it stands in whichever layer; headers and small files in between are cut together.
 * Bytes that are no tar are cut by content alone.
 */
export function tarAlignedChunker(): Chunker {
  return async function* (source) {
    const marks: Mark[] = [];
    let scanner: TarScanner | undefined = new TarScanner((entry) => {
      if (entry.size < OWN_CHUNKS_FROM) return;
      marks.push(
        { offset: entry.dataOffset, kind: 'file' },
        { offset: entry.dataOffset + entry.size, kind: 'run' },
      );
    });
    const cutters = { file: new GearCutter(FILE_BOUNDS), run: new GearCutter(RUN_BOUNDS) };
    let cutter = cutters.run;
    let offset = 0;
    for await (const bytes of source) {
      scanner = scan(scanner, bytes);
      let at = 0;
      for (let mark = marks[0]; mark !== undefined && mark.offset < offset + bytes.length; mark = marks[0]) {
        marks.shift();
        yield* cutter.push(bytes.subarray(at, mark.offset - offset));
        yield* cutter.finish();
        at = mark.offset - offset;
        cutter = cutters[mark.kind];
      }
      yield* cutter.push(bytes.subarray(at));
      offset += bytes.length;
    }
    yield* cutter.finish();
  };
}

/** From the first thing on that is no tar there are no more boundaries; whoever needs a tar checks for it elsewhere. */
function scan(scanner: TarScanner | undefined, bytes: Uint8Array): TarScanner | undefined {
  try {
    scanner?.push(bytes);
    return scanner;
  } catch {
    return undefined;
  }
}
