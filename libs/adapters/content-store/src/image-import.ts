import { createHash } from 'node:crypto';
import { AntirioError, canonicalBytes, sha256Hex } from '@antirio/kernel';
import { openArchive, type Archive } from './archive.ts';
import type { BlockSink } from './block.ts';
import type { Chunker } from './chunker.ts';
import {
  configName,
  defaultImageLimits,
  dockerManifest,
  imageConfig,
  layerName,
  MANIFEST_NAME,
  parseImageJson,
  type ImageConfig,
  type ImageLimits,
} from './image.ts';
import { tarAlignedChunker } from './tar-chunker.ts';
import { entryPath, TarScanner } from './tar.ts';
import { putDirectory } from './unixfs-directory.ts';
import { importFile, type Stored } from './unixfs-file.ts';

export interface ImageImportOptions {
  /** Which image, where the archive holds several: one of its tags. */
  readonly tag?: string;
  /** How layers are cut (default: along the entries of their tars). */
  readonly chunker?: Chunker;
  readonly limits?: ImageLimits;
  /** Told after each layer. */
  readonly onProgress?: (progress: { layers: number; ofLayers: number; bytes: number }) => void;
}

export interface StoredImage extends Stored {
  /** The engine's id: the SHA-256 of the configuration, in hex. */
  readonly imageId: string;
  readonly repoTags: readonly string[];
  readonly config: ImageConfig;
}

/**
 * Stores the image of a `docker save` archive as a UnixFS directory: manifest.json, the configuration and the layers,
 * uncompressed, each under its hash. The unpacked directory is again what `docker load` takes as a tar. Every layer must
 * have the digest that the configuration names. The caller flushes the store.
 * @throws AntirioError invalidInput | corrupt | tooLarge | storageFull
 */
export async function importImage(
  sink: BlockSink,
  archivePath: string,
  options: ImageImportOptions = {},
): Promise<StoredImage> {
  const archive = await openArchive(archivePath, options.limits);
  try {
    return await importFrom(sink, archive, options);
  } finally {
    await archive.close();
  }
}

async function importFrom(
  sink: BlockSink,
  archive: Archive,
  options: ImageImportOptions,
): Promise<StoredImage> {
  const limits = options.limits ?? defaultImageLimits;
  const manifest = await selectImage(archive, options.tag);
  const configBytes = await archive.read(manifest.Config);
  const config = parseImageJson(imageConfig, configBytes, 'the image configuration');
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== manifest.Layers.length)
    throw new AntirioError(
      'invalidInput',
      'manifest.json and the image configuration disagree about the layers',
    );
  if (diffIds.length > limits.maxLayers)
    throw new AntirioError('tooLarge', `an image of over ${limits.maxLayers} layers`);

  const imageId = sha256Hex(configBytes);
  const repoTags = [...new Set(manifest.RepoTags ?? [])].sort();
  const files = new Map<string, Stored>();
  let size = 0;
  for (const [i, diffId] of diffIds.entries()) {
    const layer =
      files.get(layerName(diffId)) ??
      (await importLayer(sink, archive, manifest.Layers[i] ?? '', diffId, options));
    files.set(layerName(diffId), layer);
    size += layer.size;
    options.onProgress?.({ layers: i + 1, ofLayers: diffIds.length, bytes: size });
  }
  const ours = [{ Config: configName(imageId), RepoTags: repoTags, Layers: diffIds.map(layerName) }];
  files.set(configName(imageId), await importFile(sink, once(configBytes)));
  files.set(MANIFEST_NAME, await importFile(sink, once(canonicalBytes(ours))));
  const entries = [...files].map(([name, { cid, dagSize }]) => ({ name, cid, dagSize }));
  const { cid, dagSize } = await putDirectory(sink, entries);
  return { cid, dagSize, size, imageId, repoTags, config };
}

async function selectImage(archive: Archive, tag: string | undefined) {
  if (!archive.has(MANIFEST_NAME)) {
    const why = archive.has('index.json') ? 'an OCI layout without manifest.json' : 'no manifest.json';
    throw new AntirioError('invalidInput', `not a docker archive: ${why}`);
  }
  const images = parseImageJson(dockerManifest, await archive.read(MANIFEST_NAME), MANIFEST_NAME);
  const matching = tag === undefined ? images : images.filter((image) => image.RepoTags?.includes(tag));
  const [only, second] = matching;
  if (only === undefined) throw new AntirioError('invalidInput', `the archive has no image ${tag ?? ''}`);
  if (second !== undefined)
    throw new AntirioError(
      'invalidInput',
      `the archive holds ${matching.length} images: name one by its tag`,
    );
  return only;
}

async function importLayer(
  sink: BlockSink,
  archive: Archive,
  path: string,
  diffId: string,
  options: ImageImportOptions,
): Promise<Stored> {
  const limits = options.limits ?? defaultImageLimits;
  const hash = createHash('sha256');
  const content = await archive.stream(path);
  async function* checked(): AsyncGenerator<Uint8Array> {
    const scanner = layerScanner(limits);
    let size = 0;
    for await (const bytes of content) {
      size += bytes.length;
      if (size > limits.maxLayerBytes)
        throw new AntirioError('tooLarge', `a layer of over ${limits.maxLayerBytes} bytes`);
      hash.update(bytes);
      scanner.push(bytes);
      yield bytes;
    }
    scanner.finish();
  }
  const stored = await importFile(sink, checked(), {
    chunker: options.chunker ?? tarAlignedChunker(),
    maxBytes: limits.maxLayerBytes,
  });
  if (hash.digest('hex') !== diffId)
    throw new AntirioError('corrupt', `the layer ${path} is not the one that the image configuration names`, {
      diffId,
    });
  return stored;
}

/** Symbolic links may point anywhere, for they are followed inside of the image; paths and hard links may not. */
function layerScanner(limits: ImageLimits): TarScanner {
  let entries = 0;
  return new TarScanner((entry) => {
    entryPath(entry.name);
    if (entry.type === 'hardLink') entryPath(entry.linkName);
    entries++;
    if (entries > limits.maxEntries)
      throw new AntirioError('tooLarge', `a layer of over ${limits.maxEntries} entries`);
    if (entry.size > limits.maxLayerBytes)
      throw new AntirioError('tooLarge', `an entry of ${entry.size} bytes`);
  });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
