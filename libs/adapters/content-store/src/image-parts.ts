import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { AntirioError, concatBytes, isAntirioError } from '@antirio/kernel';
import type { BlockSink } from './block.ts';
import type { Chunker } from './chunker.ts';
import { decompressed, isCompressed, peek, type Peeked } from './decompress.ts';
import { MAX_IMAGE_JSON_BYTES, type ImageLimits } from './image.ts';
import { tarAlignedChunker } from './tar-chunker.ts';
import { readTar, type TarItem } from './tar-reader.ts';
import { entryPath, looksLikeTar, TAR_BLOCK, TarScanner, type TarEntry } from './tar.ts';
import { importFile, type Stored } from './unixfs-file.ts';

/** A layer of an archive, stored uncompressed. */
export interface StoredLayer extends Stored {
  /** SHA-256 of the uncompressed tar, in hex. */
  readonly diffId: string;
}

type Part =
  | { readonly kind: 'json'; readonly bytes: Uint8Array }
  | { readonly kind: 'layer'; readonly layer: StoredLayer }
  | { readonly kind: 'link'; readonly to: string }
  /** Of no use, or not to be used: what for is known only when something names it. */
  | { readonly kind: 'bad'; readonly error: AntirioError };

/** What an archive holds, by name. */
export interface ImageParts {
  has(path: string): boolean;
  /** @throws AntirioError invalidInput | tooLarge */
  json(path: string): Uint8Array;
  /** @throws AntirioError invalidInput | tooLarge | corrupt: what was wrong with it when it came */
  layer(path: string): StoredLayer;
}

export interface PartOptions {
  readonly limits: ImageLimits;
  readonly chunker?: Chunker | undefined;
  readonly onProgress?: ((progress: { layers: number; bytes: number }) => void) | undefined;
}

/** Of all JSON files of an archive together; older engines save one for each layer. */
const MAX_JSON_TOTAL = 4 * MAX_IMAGE_JSON_BYTES;
/** Of all that an archive has beside its layers, plain: JSON, headers, padding. What is passed over counts as well. */
const MAX_BESIDE_LAYERS = 2 * MAX_JSON_TOTAL;
const MAX_LINKS_FOLLOWED = 8;
/** Enough to know what a file is. */
const HEAD = TAR_BLOCK;

/**
 * Takes the image archive in whatever order its files come: layers are unpacked, hashed and stored on their way past, JSON is
 * kept in memory, the rest left. What turns out to be named by nothing stays unpinned in the store.
 * @throws AntirioError invalidInput for what is no tar, tooLarge | storageFull; what the source throws.
 */
export async function collectParts(
  sink: BlockSink,
  source: AsyncIterable<Uint8Array>,
  options: PartOptions,
): Promise<ImageParts> {
  const parts = new Map<string, Part>();
  const collector = new Collector(sink, options);
  const { maxBytes, maxEntries } = options.limits;
  const plain = decompressed(await peek(source, 4), 'the archive');
  let entries = 0;
  for await (const item of readTar(upTo(plain, maxBytes + MAX_BESIDE_LAYERS))) {
    entries++;
    if (entries > maxEntries) throw new AntirioError('tooLarge', `an archive of over ${maxEntries} entries`);
    const name = entryPath(item.entry.name);
    const part = await collector.take(name, item);
    if (part !== undefined) parts.set(name, part);
  }
  return partsOf(parts);
}

/** @throws AntirioError tooLarge: what decompresses to more than the limit costs no more than that. */
async function* upTo(source: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const bytes of source) {
    size += bytes.length;
    if (size > limit) throw new AntirioError('tooLarge', `an archive of over ${limit} plain bytes`);
    yield bytes;
  }
}

class Collector {
  readonly #sink: BlockSink;
  readonly #options: PartOptions;
  #jsonBytes = 0;
  #layerBytes = 0;
  #layers = 0;

  constructor(sink: BlockSink, options: PartOptions) {
    this.#sink = sink;
    this.#options = options;
  }

  async take(name: string, { entry, content }: TarItem): Promise<Part | undefined> {
    if (entry.type === 'directory') return undefined;
    if (entry.type !== 'file') return linkOf(name, entry);
    const peeked = await peek(content, HEAD);
    if (isCompressed(peeked.head) || looksLikeTar(peeked.head)) return this.#layer(name, peeked);
    if (/^\s*[[{]/.test(Buffer.from(peeked.head).toString('latin1'))) return this.#json(name, entry, peeked);
    return bad('invalidInput', `${JSON.stringify(name)} is neither a layer nor JSON`);
  }

  async #json(name: string, { size }: TarEntry, { all }: Peeked): Promise<Part> {
    if (size > MAX_IMAGE_JSON_BYTES)
      return bad('tooLarge', `${JSON.stringify(name)} is over ${MAX_IMAGE_JSON_BYTES} bytes`);
    this.#jsonBytes += size;
    if (this.#jsonBytes > MAX_JSON_TOTAL)
      throw new AntirioError('tooLarge', `an archive of over ${MAX_JSON_TOTAL} bytes of JSON`);
    const pieces: Uint8Array[] = [];
    for await (const piece of all) pieces.push(piece.slice());
    return { kind: 'json', bytes: concatBytes(...pieces) };
  }

  async #layer(name: string, peeked: Peeked): Promise<Part> {
    try {
      const layer = await this.#store(decompressed(peeked, JSON.stringify(name)));
      this.#layers++;
      this.#options.onProgress?.({ layers: this.#layers, bytes: this.#layerBytes });
      return { kind: 'layer', layer };
    } catch (error) {
      // A layer that nothing names does no harm
      if (isAntirioError(error, 'invalidInput') || error instanceof LayerTooLarge)
        return { kind: 'bad', error };
      throw error;
    }
  }

  async #store(content: AsyncIterable<Uint8Array>): Promise<StoredLayer> {
    const { limits, chunker = tarAlignedChunker() } = this.#options;
    const hash = createHash('sha256');
    const stored = await importFile(this.#sink, this.#watched(content, hash), {
      chunker,
      maxBytes: limits.maxLayerBytes,
    });
    return { ...stored, diffId: hash.digest('hex') };
  }

  async *#watched(
    content: AsyncIterable<Uint8Array>,
    hash: ReturnType<typeof createHash>,
  ): AsyncGenerator<Uint8Array> {
    const { limits } = this.#options;
    const scanner = layerScanner(limits);
    let size = 0;
    for await (const bytes of content) {
      size += bytes.length;
      this.#layerBytes += bytes.length;
      if (size > limits.maxLayerBytes)
        throw new LayerTooLarge(`a layer of over ${limits.maxLayerBytes} bytes`);
      if (this.#layerBytes > limits.maxBytes)
        throw new AntirioError('tooLarge', `layers of over ${limits.maxBytes} bytes`);
      hash.update(bytes);
      scanner.push(bytes);
      yield bytes;
    }
    scanner.finish();
  }
}

/** Of one layer alone: whether the archive is refused for it depends on whether it is used. */
class LayerTooLarge extends AntirioError {
  constructor(message: string) {
    super('tooLarge', message);
  }
}

const bad = (code: 'invalidInput' | 'tooLarge', message: string): Part => ({
  kind: 'bad',
  error: new AntirioError(code, message),
});

/** Older engines save a layer that two images share as a link to its first copy. */
function linkOf(name: string, entry: TarEntry): Part {
  if (entry.type === 'hardLink') return { kind: 'link', to: entryPath(entry.linkName) };
  if (entry.type !== 'symlink') return bad('invalidInput', `${JSON.stringify(name)} is no file`);
  if (posix.isAbsolute(entry.linkName))
    return bad('invalidInput', `${JSON.stringify(name)} links out of the archive`);
  try {
    return { kind: 'link', to: entryPath(posix.join(posix.dirname(name), entry.linkName)) };
  } catch (error) {
    if (isAntirioError(error)) return { kind: 'bad', error };
    throw error;
  }
}

/** Symbolic links may point anywhere, for they are followed inside of the image; paths and hard links may not. */
function layerScanner(limits: ImageLimits): TarScanner {
  let entries = 0;
  return new TarScanner((entry) => {
    entryPath(entry.name);
    if (entry.type === 'hardLink') entryPath(entry.linkName);
    entries++;
    if (entries > limits.maxEntries) throw new LayerTooLarge(`a layer of over ${limits.maxEntries} entries`);
    if (entry.size > limits.maxLayerBytes) throw new LayerTooLarge(`an entry of ${entry.size} bytes`);
  });
}

function partsOf(parts: ReadonlyMap<string, Part>): ImageParts {
  const find = (path: string): Part => {
    let at = entryPath(path);
    for (let hops = 0; hops <= MAX_LINKS_FOLLOWED; hops++) {
      const part = parts.get(at);
      if (part === undefined)
        throw new AntirioError('invalidInput', `the archive has no ${JSON.stringify(path)}`);
      if (part.kind === 'bad') throw part.error;
      if (part.kind !== 'link') return part;
      at = part.to;
    }
    throw new AntirioError('invalidInput', `the archive's links for ${JSON.stringify(path)} go in a circle`);
  };
  return {
    has: (path) => parts.has(path),
    json(path) {
      const part = find(path);
      if (part.kind === 'json') return part.bytes;
      throw new AntirioError('invalidInput', `${JSON.stringify(path)} is no JSON`);
    },
    layer(path) {
      const part = find(path);
      if (part.kind === 'layer') return part.layer;
      throw new AntirioError('invalidInput', `${JSON.stringify(path)} is no layer`);
    },
  };
}
