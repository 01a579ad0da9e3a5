import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
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

/**
 * The same image as an archive of our own making: plain layers, verified once more on their way, and no names. An engine that loaded the
 * original would give the image whatever names it claims, those of other images too. The stream fails when a byte changed.
 * @param there layers that the engine has, from the lowest: named and left out
 */
export function cleanArchive(archive: ImageArchive, sizes: readonly number[], there = 0): Readable {
  const tar = pack();
  const configName = `${archive.imageId.replace('sha256:', '')}.json`;
  const names = sizes.map((_, i) => `${i}/layer.tar`);
  const manifest = JSON.stringify([{ Config: configName, RepoTags: null, Layers: names }]);
  const fill = async (): Promise<void> => {
    tar.entry({ name: configName }, Buffer.from(archive.configBytes));
    for (const [i, size] of sizes.entries()) {
      if (i < there) continue;
      const entry = tar.entry({ name: names[i] ?? '', size });
      await pipeline(archive.layer(i), entry);
    }
    tar.entry({ name: 'manifest.json' }, manifest);
    tar.finalize();
  };
  fill().catch((error: unknown) => tar.destroy(error as Error));
  return Readable.from(tar, { objectMode: false });
}
