import { AntirioError, canonicalBytes, sha256Hex } from '@antirio/kernel';
import type { BlockSink } from './block.ts';
import type { Chunker } from './chunker.ts';
import { wholeFile } from './file-bytes.ts';
import { collectParts, type ImageParts, type StoredLayer } from './image-parts.ts';
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
import { putDirectory } from './unixfs-directory.ts';
import { importFile, type Stored } from './unixfs-file.ts';

export interface ImageImportOptions {
  /** Which image, where the archive holds several: one of its tags. */
  readonly tag?: string;
  /** How layers are cut (default: along the entries of their tars). */
  readonly chunker?: Chunker;
  readonly limits?: ImageLimits;
  /** Told after each layer. */
  readonly onProgress?: (progress: { layers: number; bytes: number }) => void;
}

export interface StoredImage extends Stored {
  /** The engine's id: the SHA-256 of the configuration, in hex. */
  readonly imageId: string;
  readonly repoTags: readonly string[];
  readonly config: ImageConfig;
}

/** Stores the image of an archive that is a file. @throws AntirioError notFound, and what `importImageStream` throws */
export async function importImage(
  sink: BlockSink,
  archivePath: string,
  options: ImageImportOptions = {},
): Promise<StoredImage> {
  return importImageStream(sink, wholeFile(archivePath), options);
}

/**
 * Stores the image of an archive as engines save it (`docker save`: classic, or an OCI layout with a manifest.json, its layers plain,
 * gzip or zstd) as a UnixFS directory: manifest.json, the configuration and the layers, uncompressed, each under its hash. The unpacked
 * directory is again what `docker load` takes as a tar. One pass over the stream, in whatever order its files come: no more than one chunk
 * and the JSON is held. Every layer must have the digest that the configuration names. The caller flushes the store; what is no part of
 * the image is pinned by nothing and collected.
 * @throws AntirioError invalidInput | corrupt | tooLarge | storageFull; what the source throws
 */
export async function importImageStream(
  sink: BlockSink,
  archive: AsyncIterable<Uint8Array>,
  options: ImageImportOptions = {},
): Promise<StoredImage> {
  const { limits = defaultImageLimits, chunker, onProgress, tag } = options;
  const parts = await collectParts(sink, archive, { limits, chunker, onProgress });
  const manifest = selectImage(parts, tag);
  const configBytes = parts.json(manifest.Config);
  const imageId = sha256Hex(configBytes);
  const named = /[0-9a-f]{64}/.exec(manifest.Config)?.[0] ?? imageId;
  if (named !== imageId)
    throw new AntirioError('corrupt', 'the image configuration is not the one that its name says', { named });
  const config = parseImageJson(imageConfig, configBytes, 'the image configuration');
  const layers = layersOf(parts, manifest.Layers, config.rootfs.diff_ids, limits);
  const repoTags = [...new Set(manifest.RepoTags ?? [])].sort();
  const ours = [
    {
      Config: configName(imageId),
      RepoTags: repoTags,
      Layers: layers.map(({ diffId }) => layerName(diffId)),
    },
  ];
  const files = new Map<string, Stored>(layers.map((layer) => [layerName(layer.diffId), layer]));
  files.set(configName(imageId), await importFile(sink, once(configBytes)));
  files.set(MANIFEST_NAME, await importFile(sink, once(canonicalBytes(ours))));
  const entries = [...files].map(([name, { cid, dagSize }]) => ({ name, cid, dagSize }));
  const { cid, dagSize } = await putDirectory(sink, entries);
  const size = layers.reduce((total, layer) => total + layer.size, 0);
  return { cid, dagSize, size, imageId, repoTags, config };
}

function selectImage(parts: ImageParts, tag: string | undefined) {
  if (!parts.has(MANIFEST_NAME)) {
    const why = parts.has('index.json') ? 'an OCI layout without manifest.json' : 'no manifest.json';
    throw new AntirioError('invalidInput', `not a docker archive: ${why}`);
  }
  const images = parseImageJson(dockerManifest, parts.json(MANIFEST_NAME), MANIFEST_NAME);
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

function layersOf(
  parts: ImageParts,
  paths: readonly string[],
  diffIds: readonly string[],
  { maxLayers }: ImageLimits,
): StoredLayer[] {
  if (diffIds.length !== paths.length)
    throw new AntirioError(
      'invalidInput',
      'manifest.json and the image configuration disagree about the layers',
    );
  if (diffIds.length > maxLayers) throw new AntirioError('tooLarge', `an image of over ${maxLayers} layers`);
  return paths.map((path, i) => {
    const layer = parts.layer(path);
    const diffId = diffIds[i];
    if (layer.diffId !== diffId)
      throw new AntirioError(
        'corrupt',
        `the layer ${path} is not the one that the image configuration names`,
        {
          diffId,
        },
      );
    return layer;
  });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
