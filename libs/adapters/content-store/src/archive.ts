import { open, type FileHandle } from 'node:fs/promises';
import { posix } from 'node:path';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { pipeline, Readable } from 'node:stream';
import { AntirioError } from '@antirio/kernel';
import { defaultImageLimits, MAX_IMAGE_JSON_BYTES, type ImageLimits } from './image.ts';
import { fileBytes } from './file-bytes.ts';
import { entryPath, TarScanner, type TarEntry } from './tar.ts';

const READ = 64 << 10;
const MAX_LINKS_FOLLOWED = 8;

/** A tar file of which single entries can be read. */
export interface Archive {
  has(path: string): boolean;
  /** A small file in one piece. @throws AntirioError invalidInput | notFound | tooLarge */
  read(path: string, maxBytes?: number): Promise<Uint8Array>;
  /** The content of a file, opened where it is compressed (gzip, zstd). @throws AntirioError invalidInput | notFound */
  stream(path: string): Promise<AsyncIterable<Uint8Array>>;
  close(): Promise<void>;
}

/**
 * Opens a tar file and finds its entries, without reading what is in them.
 * @throws AntirioError notFound, or invalidInput | tooLarge for entries outside of the archive, absurd sizes, and what is
 * no tar at all.
 */
export async function openArchive(path: string, limits: ImageLimits = defaultImageLimits): Promise<Archive> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    throw new AntirioError('notFound', `cannot open the archive ${path}`, { path }, cause);
  }
  try {
    return createArchive(file, await findEntries(file, limits));
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function findEntries(file: FileHandle, limits: ImageLimits): Promise<Map<string, TarEntry>> {
  const { size } = await file.stat();
  const entries = new Map<string, TarEntry>();
  const scanner = new TarScanner((entry) => {
    if (entry.dataOffset + entry.size > size)
      throw new AntirioError('invalidInput', `the archive ends inside of ${JSON.stringify(entry.name)}`);
    if (entries.size >= limits.maxEntries)
      throw new AntirioError('tooLarge', `an archive of over ${limits.maxEntries} entries`);
    entries.set(entryPath(entry.name), entry);
  });
  const buffer = new Uint8Array(READ);
  for (let position = 0; position < size && !scanner.ended;) {
    const { bytesRead } = await file.read(buffer, 0, READ, position);
    if (bytesRead === 0) break;
    scanner.push(buffer.subarray(0, bytesRead));
    position += bytesRead;
    const jump = Math.min(scanner.skippable, size - position);
    scanner.jump(jump);
    position += jump;
  }
  scanner.finish();
  return entries;
}

function createArchive(file: FileHandle, entries: ReadonlyMap<string, TarEntry>): Archive {
  const find = (path: string): TarEntry => {
    let at = entryPath(path);
    for (let hops = 0; hops <= MAX_LINKS_FOLLOWED; hops++) {
      const entry = entries.get(at);
      if (entry === undefined)
        throw new AntirioError('invalidInput', `the archive has no ${JSON.stringify(path)}`);
      if (entry.type === 'file') return entry;
      at = linkTarget(at, entry);
    }
    throw new AntirioError('invalidInput', `the archive's links for ${JSON.stringify(path)} go in a circle`);
  };
  const readAt = async (entry: TarEntry, from: number, length: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(length);
    const { bytesRead } = await file.read(bytes, 0, length, entry.dataOffset + from);
    if (bytesRead < length)
      throw new AntirioError('invalidInput', 'the archive became shorter while it was read');
    return bytes;
  };
  return {
    has: (path) => entries.has(entryPath(path)),
    async read(path, maxBytes = MAX_IMAGE_JSON_BYTES) {
      const entry = find(path);
      if (entry.size > maxBytes)
        throw new AntirioError('tooLarge', `${JSON.stringify(path)} is over ${maxBytes} bytes`);
      return readAt(entry, 0, entry.size);
    },
    async stream(path) {
      const entry = find(path);
      const magic = await readAt(entry, 0, Math.min(4, entry.size));
      return decompress(magic, fileBytes(file, entry.dataOffset, entry.size), path);
    },
    close: () => file.close(),
  };
}

/** Older engines save a layer that two images share as a link to its first copy. */
function linkTarget(path: string, entry: TarEntry): string {
  if (entry.type === 'hardLink') return entryPath(entry.linkName);
  if (entry.type !== 'symlink') throw new AntirioError('invalidInput', `${JSON.stringify(path)} is no file`);
  const target = posix.join(posix.dirname(path), entry.linkName);
  if (posix.isAbsolute(entry.linkName))
    throw new AntirioError('invalidInput', `${JSON.stringify(path)} links out of the archive`);
  return entryPath(target);
}

const startsWith = (bytes: Uint8Array, ...magic: number[]): boolean =>
  magic.every((byte, i) => bytes[i] === byte);

function decompress(
  magic: Uint8Array,
  source: AsyncGenerator<Uint8Array>,
  path: string,
): AsyncIterable<Uint8Array> {
  const gzip = startsWith(magic, 0x1f, 0x8b);
  const zstd = startsWith(magic, 0x28, 0xb5, 0x2f, 0xfd);
  if (!gzip && !zstd) return source;
  const output = pipeline(
    Readable.from(copied(source)),
    gzip ? createGunzip() : createZstdDecompress(),
    () => undefined,
  );
  return (async function* () {
    try {
      for await (const chunk of output) yield chunk as Uint8Array;
    } catch (cause) {
      if (cause instanceof AntirioError) throw cause;
      throw new AntirioError('invalidInput', `${JSON.stringify(path)} does not decompress`, { path }, cause);
    }
  })();
}

/** A stream reads ahead, so it gets memory of its own. */
async function* copied(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const bytes of source) yield bytes.slice();
}
