import { crc32 } from 'node:zlib';
import { AntirioError, equalBytes, sha256 } from '@antirio/kernel';
import { MAX_BLOCK_BYTES } from './block.ts';
import type { FileLayer, OpenFile } from './file-layer.ts';

const DIGEST = 32;
/** Length and CRC-32 (of length and digest), both little-endian, then the SHA-256 of the bytes that follow. */
const HEADER = 8 + DIGEST;

export const RECORD_OVERHEAD = HEADER;

/** Read at once in search of the next header behind damage. */
const SCAN = 64 << 10;

/** Where the bytes of a block are in its pack. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/** A block as it is appended: its hash, and its bytes. */
export interface PackRecord {
  readonly digest: Uint8Array;
  readonly bytes: Uint8Array;
}

export interface FoundRecord extends Extent {
  readonly digest: Uint8Array;
}

/** One append-only file of blocks. Whoever appends takes care that only one append is under way. */
export interface Pack {
  readonly id: number;
  readonly size: number;
  /** Writes all behind the last record, at once; on the disk only after `sync`. @throws AntirioError storageFull, with nothing appended. */
  append(records: readonly PackRecord[]): Promise<Extent[]>;
  sync(): Promise<void>;
  /** @throws AntirioError corrupt when the file ends before. */
  read(extent: Extent): Promise<Uint8Array>;
  /** Whole, intact records from `start` on; what is damaged between them, headers too, is passed over. */
  recover(start: number): AsyncGenerator<FoundRecord>;
  truncate(size: number): Promise<void>;
  /** Closes once nobody reads any more. */
  close(): Promise<void>;
}

function header(digest: Uint8Array, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER);
  bytes.writeUInt32LE(length, 0);
  bytes.set(digest, 8);
  bytes.writeUInt32LE(headerCrc(bytes), 4);
  return bytes;
}

function headerCrc(bytes: Buffer): number {
  return crc32(bytes.subarray(8), crc32(bytes.subarray(0, 4)));
}

function isHeader(bytes: Buffer): boolean {
  return bytes.readUInt32LE(0) <= MAX_BLOCK_BYTES && bytes.readUInt32LE(4) === headerCrc(bytes);
}

async function readExactly(file: OpenFile, offset: number, length: number): Promise<Buffer | undefined> {
  const buffer = Buffer.allocUnsafe(length);
  let got = 0;
  while (got < length) {
    const { bytesRead } = await file.read(buffer, got, length - got, offset + got);
    if (bytesRead === 0) return undefined;
    got += bytesRead;
  }
  return buffer;
}

async function writeExactly(file: OpenFile, parts: readonly Uint8Array[], offset: number): Promise<void> {
  let rest = [...parts];
  let position = offset;
  while (rest.length > 0) {
    let { bytesWritten } = await file.writev(rest, position);
    position += bytesWritten;
    const after: Uint8Array[] = [];
    for (const part of rest) {
      if (bytesWritten < part.length) after.push(part.subarray(bytesWritten));
      bytesWritten = Math.max(0, bytesWritten - part.length);
    }
    rest = after;
  }
}

class PackFile implements Pack {
  readonly id: number;
  readonly #file: OpenFile;
  #size: number;
  #readers = 0;
  #idle: (() => void) | undefined;

  constructor(id: number, file: OpenFile, size: number) {
    this.id = id;
    this.#file = file;
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  async append(records: readonly PackRecord[]): Promise<Extent[]> {
    const start = this.#size;
    const parts: Uint8Array[] = [];
    const extents: Extent[] = [];
    let end = start;
    for (const { digest, bytes } of records) {
      parts.push(header(digest, bytes.length));
      if (bytes.length > 0) parts.push(bytes);
      extents.push({ offset: end + HEADER, length: bytes.length });
      end += HEADER + bytes.length;
    }
    try {
      await writeExactly(this.#file, parts, start);
    } catch (cause) {
      // What was written of them is garbage; should cutting it off fail too, opening the store cuts it.
      await this.#file.truncate(start).catch(() => undefined);
      throw new AntirioError('storageFull', 'the disk takes no more blocks', { bytes: end - start }, cause);
    }
    this.#size = end;
    return extents;
  }

  async sync(): Promise<void> {
    await this.#file.datasync();
  }

  async read({ offset, length }: Extent): Promise<Uint8Array> {
    this.#readers++;
    try {
      const bytes = await readExactly(this.#file, offset, length);
      if (bytes === undefined)
        throw new AntirioError('corrupt', 'a pack of blocks ends too early', { pack: this.id });
      return bytes;
    } finally {
      this.#readers--;
      if (this.#readers === 0) this.#idle?.();
    }
  }

  async *recover(start: number): AsyncGenerator<FoundRecord> {
    for (let position = start; position < this.#size;) {
      const record = await this.#recordAt(position);
      if (record === undefined) {
        const next = await this.#nextHeader(position + 1);
        if (next === undefined) return;
        position = next;
        continue;
      }
      const { digest, bytes } = record;
      const offset = position + HEADER;
      // What a sound header names is passed over as a whole: a record in its content is none of ours.
      if (equalBytes(sha256(bytes), digest)) yield { digest, offset, length: bytes.length };
      position = offset + bytes.length;
    }
  }

  async #recordAt(position: number): Promise<{ digest: Uint8Array; bytes: Uint8Array } | undefined> {
    const head = await readExactly(this.#file, position, HEADER);
    if (head === undefined || !isHeader(head)) return undefined;
    const bytes = await readExactly(this.#file, position + HEADER, head.readUInt32LE(0));
    return bytes === undefined ? undefined : { digest: new Uint8Array(head.subarray(8)), bytes };
  }

  /** Where, from a position on, the next thing is that looks like a header. */
  async #nextHeader(from: number): Promise<number | undefined> {
    const window = Buffer.allocUnsafe(SCAN);
    for (let base = from; base + HEADER <= this.#size; base += SCAN - HEADER + 1) {
      const { bytesRead } = await this.#file.read(window, 0, SCAN, base);
      for (let at = 0; at + HEADER <= bytesRead; at++)
        if (isHeader(window.subarray(at, at + HEADER))) return base + at;
    }
    return undefined;
  }

  async truncate(size: number): Promise<void> {
    await this.#file.truncate(size);
    await this.#file.sync();
    this.#size = size;
  }

  async close(): Promise<void> {
    if (this.#readers > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    await this.#file.close();
  }
}

/** Opens or creates the file of a pack. @throws AntirioError unavailable */
export async function openPack(files: FileLayer, id: number, path: string): Promise<Pack> {
  try {
    const file = await files.open(path);
    return new PackFile(id, file, await file.size());
  } catch (cause) {
    throw new AntirioError('unavailable', `cannot open ${path}`, { path }, cause);
  }
}
