import { createHash } from 'node:crypto';
import { AntirioError, canonicalBytes, sha256Hex } from '@antirio/kernel';
import type { BlockSource, CID } from './block.ts';
import {
  configName,
  defaultImageLimits,
  imageConfig,
  layerName,
  MANIFEST_NAME,
  parseImageJson,
  readSmallFile,
  storedManifest,
  type ImageConfig,
  type ImageLimits,
} from './image.ts';
import { TAR_END, tarEntry, type TarFile } from './tar-writer.ts';
import { readDirectory, type DirectoryEntry } from './unixfs-directory.ts';
import { fileSize, readFile } from './unixfs-file.ts';
import { writeStreamDurably, type WrittenFile } from './write-file.ts';

/** What a stored image says of itself, checked as far as its small files go. */
export interface ImageDescription {
  readonly imageId: string;
  readonly repoTags: readonly string[];
  /** Digests of the layers, in hex, from the lowest up. */
  readonly layers: readonly string[];
  readonly config: ImageConfig;
}

export interface ExportedImage extends WrittenFile, ImageDescription {}

export interface ImageExportOptions {
  /** Replaces the tags of the image. */
  readonly repoTags?: readonly string[];
  readonly limits?: ImageLimits;
}

interface OpenedImage extends ImageDescription {
  readonly configBytes: Uint8Array;
  readonly files: ReadonlyMap<string, DirectoryEntry>;
}

/** @throws AntirioError notFound | corrupt, or invalidInput where the directory is no stored image. */
export async function describeImage(
  source: BlockSource,
  root: CID,
  limits = defaultImageLimits,
): Promise<ImageDescription> {
  const { imageId, repoTags, layers, config } = await openImage(source, root, limits);
  return { imageId, repoTags, layers, config };
}

async function openImage(source: BlockSource, root: CID, limits: ImageLimits): Promise<OpenedImage> {
  const files = new Map((await readDirectory(source, root)).map((entry) => [entry.name, entry]));
  const read = (name: string): Promise<Uint8Array> => readSmallFile(source, fileNamed(files, name).cid);
  const manifest = parseImageJson(storedManifest, await read(MANIFEST_NAME), MANIFEST_NAME);
  const configBytes = await read(configName(manifest.imageId));
  if (sha256Hex(configBytes) !== manifest.imageId)
    throw new AntirioError('corrupt', 'the image configuration is not the one that its name says');
  const config = parseImageJson(imageConfig, configBytes, 'the image configuration');
  if (config.rootfs.diff_ids.join() !== manifest.layers.join())
    throw new AntirioError(
      'invalidInput',
      'manifest.json and the image configuration disagree about the layers',
    );
  if (manifest.layers.length > limits.maxLayers)
    throw new AntirioError('tooLarge', 'an image of too many layers');
  return { ...manifest, config, configBytes, files };
}

function fileNamed(files: ReadonlyMap<string, DirectoryEntry>, name: string): DirectoryEntry {
  const entry = files.get(name);
  if (entry === undefined) throw new AntirioError('invalidInput', `not a stored image: it has no ${name}`);
  return entry;
}

/**
 * Writes a stored image as an archive for `docker load`, which gives the image the same id. Every block and every layer's
 * digest is checked on the way; the file is there, whole and durable, once this returns, and not at all when it throws.
 * @throws AntirioError notFound | corrupt | invalidInput | tooLarge | storageFull
 */
export async function exportImage(
  source: BlockSource,
  root: CID,
  path: string,
  options: ImageExportOptions = {},
): Promise<ExportedImage> {
  const limits = options.limits ?? defaultImageLimits;
  const image = await openImage(source, root, limits);
  const repoTags = options.repoTags ?? image.repoTags;
  const written = await writeStreamDurably(path, archiveOf(source, image, repoTags, limits));
  return { ...written, imageId: image.imageId, repoTags, layers: image.layers, config: image.config };
}

async function* archiveOf(
  source: BlockSource,
  image: OpenedImage,
  repoTags: readonly string[],
  limits: ImageLimits,
): AsyncGenerator<Uint8Array> {
  const { imageId, configBytes } = image;
  yield* tarEntry(regular(configName(imageId), configBytes.length), [configBytes]);
  for (const diffId of new Set(image.layers)) {
    const { cid } = fileNamed(image.files, layerName(diffId));
    const size = await fileSize(source, cid);
    if (size > limits.maxLayerBytes) throw new AntirioError('tooLarge', `a layer of ${size} bytes`);
    yield* tarEntry(regular(layerName(diffId), size), checkedLayer(source, cid, size, diffId));
  }
  const manifest = [{ Config: configName(imageId), RepoTags: repoTags, Layers: image.layers.map(layerName) }];
  const bytes = canonicalBytes(manifest);
  yield* tarEntry(regular(MANIFEST_NAME, bytes.length), [bytes]);
  yield TAR_END;
}

const regular = (name: string, size: number): TarFile => ({ name, type: 'file', mode: 0o644, size });

async function* checkedLayer(
  source: BlockSource,
  cid: CID,
  size: number,
  diffId: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const bytes of readFile(source, cid, { maxBytes: size })) {
    hash.update(bytes);
    yield bytes;
  }
  if (hash.digest('hex') !== diffId)
    throw new AntirioError('corrupt', 'a stored layer is not the one that its name says', { diffId });
}
