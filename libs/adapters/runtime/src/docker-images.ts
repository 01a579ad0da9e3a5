import { join } from 'node:path';
import type Docker from 'dockerode';
import { AntirioError, fromUtf8 } from '@antirio/kernel';
import { readFileIfThere, writeFileDurably } from '@antirio/host';
import { cleanArchive, measureLayers } from './clean-archive.ts';
import { already, asked, followed, ifThere } from './docker-engine.ts';
import { openImageArchive, type ImageArchive } from './image-archive.ts';

/** The images that this runtime put into the engine. */
export interface DockerImages {
  load(archivePath: string, expected?: string): Promise<string>;
  /** How the engine knows the image; undefined when it was not loaded by us or is gone. */
  find(imageId: string): Promise<string | undefined>;
  remove(imageId: string): Promise<void>;
}

function parseKnown(bytes: Uint8Array | undefined): [string, string][] {
  return bytes === undefined ? [] : (JSON.parse(fromUtf8(bytes)) as [string, string][]);
}

/** An engine with containerd's store names images by another hash than that of their configuration. */
function loadedName(output: string): string | undefined {
  return /Loaded image(?: ID)?: (\S+)/.exec(output)?.[1];
}

export function openDockerImages(docker: Docker, dir: string): DockerImages {
  const file = join(dir, 'images.json');
  const known = new Map(parseKnown(readFileIfThere(file)));
  const save = (): void => writeFileDurably(file, JSON.stringify([...known]));

  const layersOf = async (name: string): Promise<readonly string[] | undefined> => {
    const image = await ifThere('look at an image', docker.getImage(name).inspect());
    return image?.RootFS.Layers ?? undefined;
  };
  const isIn = async (name: string, archive: ImageArchive): Promise<boolean> => {
    const layers = await layersOf(name);
    return layers !== undefined && JSON.stringify(layers) === JSON.stringify(archive.config.rootfs.diff_ids);
  };
  const put = async (archive: ImageArchive): Promise<string> => {
    const sizes = await measureLayers(archive);
    if (await isIn(archive.imageId, archive)) return archive.imageId;
    const answer = await asked('load an image', docker.loadImage(cleanArchive(archive, sizes)));
    const output = await followed(docker, 'load an image', answer);
    for (const name of [archive.imageId, loadedName(output)])
      if (name !== undefined && (await isIn(name, archive))) return name;
    throw new AntirioError('corrupt', 'the container engine holds another image than the one it was given');
  };
  return {
    async load(archivePath, expected) {
      const archive = await openImageArchive(archivePath);
      try {
        const { imageId } = archive;
        if (expected !== undefined && imageId !== expected)
          throw new AntirioError('corrupt', 'the archive holds another image', { expected, got: imageId });
        known.set(imageId, await put(archive));
        save();
        return imageId;
      } finally {
        await archive.close();
      }
    },
    async find(imageId) {
      const name = known.get(imageId);
      return name !== undefined && (await layersOf(name)) !== undefined ? name : undefined;
    },
    async remove(imageId) {
      const name = known.get(imageId);
      if (name === undefined) return;
      const image = await ifThere('look at an image', docker.getImage(name).inspect());
      // One that has a name, or that another's container uses, is not only ours
      const isNamed = (image?.RepoTags ?? []).length > 0;
      if (image !== undefined && !isNamed)
        await already('remove an image', docker.getImage(name).remove(), 404, 409);
      known.delete(imageId);
      save();
    },
  };
}
