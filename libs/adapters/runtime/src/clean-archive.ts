import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { sha256Hex } from '@antirio/kernel';
import type { ImageArchive } from './image-archive.ts';

/** Reads every layer to its end, which verifies it. @returns the sizes of the plain layers in bytes */
export async function measureLayers(archive: ImageArchive): Promise<number[]> {
  const sizes: number[] = [];
  for (let i = 0; i < archive.layers; i++) {
    let size = 0;
    for await (const chunk of archive.layer(i) as AsyncIterable<Uint8Array>) size += chunk.length;
    sizes.push(size);
  }
  return sizes;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** What is named by its content, as an OCI layout has it. */
const blobPath = (digest: string): string => `blobs/${digest.replace(':', '/')}`;

const oci = (kind: string, digest: string, size: number): Descriptor => ({
  mediaType: `application/vnd.oci.image.${kind}`,
  digest,
  size,
});

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

function manifestOf(archive: ImageArchive, sizes: readonly number[]): Buffer {
  return json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: oci('config.v1+json', archive.imageId, archive.configBytes.length),
    layers: archive.config.rootfs.diff_ids.map((diffId, i) => oci('layer.v1.tar', diffId, sizes[i] ?? 0)),
  });
}

/** How an engine with containerd's store knows the image that `cleanArchive` gives it. */
export function manifestDigest(archive: ImageArchive, sizes: readonly number[]): string {
  return `sha256:${sha256Hex(manifestOf(archive, sizes))}`;
}

/** The JSON of an archive by name: manifest.json is what a graph driver's engine reads, the OCI layout what containerd's store does. */
function descriptionOf(archive: ImageArchive, sizes: readonly number[]): Map<string, Buffer> {
  const manifest = manifestOf(archive, sizes);
  const digest = manifestDigest(archive, sizes);
  const index = { schemaVersion: 2, manifests: [oci('manifest.v1+json', digest, manifest.length)] };
  const Layers = archive.config.rootfs.diff_ids.map(blobPath);
  const docker = [{ Config: blobPath(archive.imageId), RepoTags: null, Layers }];
  return new Map([
    ['oci-layout', json({ imageLayoutVersion: '1.0.0' })],
    [blobPath(archive.imageId), Buffer.from(archive.configBytes)],
    [blobPath(digest), manifest],
    ['index.json', json(index)],
    ['manifest.json', json(docker)],
  ]);
}

/**
 * The same image as an archive of our own making: plain layers, verified once more on their way, and no names. An engine that loaded the
 * original would give the image whatever names it claims, those of other images too. The stream fails when a byte changed.
 * @param there layers that the engine has, from the lowest: named and left out
 */
export function cleanArchive(archive: ImageArchive, sizes: readonly number[], there = 0): Readable {
  const tar = pack();
  const fill = async (): Promise<void> => {
    const written = new Set<string>();
    for (const [i, diffId] of archive.config.rootfs.diff_ids.entries()) {
      if (i < there || written.has(diffId)) continue;
      written.add(diffId);
      await pipeline(archive.layer(i), tar.entry({ name: blobPath(diffId), size: sizes[i] ?? 0 }));
    }
    for (const [name, bytes] of descriptionOf(archive, sizes)) tar.entry({ name }, bytes);
    tar.finalize();
  };
  fill().catch((error: unknown) => tar.destroy(error as Error));
  return Readable.from(tar, { objectMode: false });
}
