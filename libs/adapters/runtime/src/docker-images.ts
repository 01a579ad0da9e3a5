import { join } from 'node:path';
import type Docker from 'dockerode';
import { AntirioError, describeError, fromUtf8 } from '@antirio/kernel';
import { readFileIfThere, writeFileDurably, type Log } from '@antirio/host';
import { checkArchitecture } from './architecture.ts';
import { cleanArchive, manifestDigest, measureLayers } from './clean-archive.ts';
import { already, asked, followed, ifThere } from './docker-engine.ts';
import { keepsInContainerd, layersInCommon } from './docker-layers.ts';
import { openImageArchive, type ImageArchive } from './image-archive.ts';
import type { LoadedImage } from './runtime.ts';

/** The images that this runtime put into the engine. */
export interface DockerImages {
  /** Any image of the engine as it saves it. @throws AntirioError notFound | unavailable */
  export(image: string): Promise<AsyncIterable<Uint8Array>>;
  load(archivePath: string, expected?: string): Promise<LoadedImage>;
  /** How the engine knows the image; undefined when it was not loaded by us or is gone. */
  find(imageId: string): Promise<string | undefined>;
  remove(imageId: string): Promise<void>;
}

function parseKnown(bytes: Uint8Array | undefined): [string, string][] {
  return bytes === undefined ? [] : (JSON.parse(fromUtf8(bytes)) as [string, string][]);
}

interface Given {
  /** How the engine knows the image. */
  readonly name: string;
  readonly skippedLayers: number;
  readonly fellBack: boolean;
}

/** Puts images into an engine, of which it has some layers already. */
class Loader {
  readonly #docker: Docker;
  readonly #log: Log;

  constructor(docker: Docker, log: Log) {
    this.#docker = docker;
    this.#log = log;
  }

  async layersOf(name: string): Promise<readonly string[] | undefined> {
    const image = await ifThere('look at an image', this.#docker.getImage(name).inspect());
    return image?.RootFS.Layers ?? undefined;
  }

  /** @param known how the engine knows the images that it was given by us, by their ids */
  async put(archive: ImageArchive, known: ReadonlyMap<string, string>): Promise<Given> {
    const sizes = await measureLayers(archive);
    // Not by the name that it would get in containerd: what a load that was broken off has left there may lack layers.
    const there = await this.#first([archive.imageId, known.get(archive.imageId)], archive);
    if (there !== undefined) return { name: there, skippedLayers: archive.layers, fellBack: false };
    const common = await this.#layersThere(archive.config.rootfs.diff_ids, known);
    if (common > 0)
      try {
        return { name: await this.#give(archive, sizes, common), skippedLayers: common, fellBack: false };
      } catch (error) {
        const { imageId } = archive;
        this.#log.info({ imageId, common, error: describeError(error) }, 'the engine wants the whole image');
      }
    return { name: await this.#give(archive, sizes, 0), skippedLayers: 0, fellBack: common > 0 };
  }

  /**
   * In containerd a layer that somebody else pulled is there as it came, compressed: one that refers to the plain layer would run, but
   * could not be saved. Ours are plain.
   */
  async #layersThere(diffIds: readonly string[], known: ReadonlyMap<string, string>): Promise<number> {
    const ours = (await keepsInContainerd(this.#docker)) ? [...known.values()].reverse() : undefined;
    return layersInCommon(this.#docker, diffIds, ours);
  }

  /** @param there layers that are left out, from the lowest */
  async #give(archive: ImageArchive, sizes: readonly number[], there: number): Promise<string> {
    const answer = await asked('load an image', this.#docker.loadImage(cleanArchive(archive, sizes, there)));
    await followed(this.#docker, 'load an image', answer);
    // Graph drivers' engines name an image by its configuration, others by its manifest.
    const name = await this.#first([archive.imageId, manifestDigest(archive, sizes)], archive);
    if (name !== undefined) return name;
    throw new AntirioError('corrupt', 'the container engine holds another image than the one it was given');
  }

  /** The first of these names under which the engine has that image. */
  async #first(names: readonly (string | undefined)[], archive: ImageArchive): Promise<string | undefined> {
    for (const name of names) if (name !== undefined && (await this.#isIn(name, archive))) return name;
    return undefined;
  }

  async #isIn(name: string, archive: ImageArchive): Promise<boolean> {
    const layers = await this.layersOf(name);
    return layers !== undefined && JSON.stringify(layers) === JSON.stringify(archive.config.rootfs.diff_ids);
  }
}

export function openDockerImages(docker: Docker, dir: string, log: Log): DockerImages {
  const file = join(dir, 'images.json');
  const known = new Map(parseKnown(readFileIfThere(file)));
  const save = (): void => writeFileDurably(file, JSON.stringify([...known]));
  const loader = new Loader(docker, log);
  return {
    async export(image) {
      // Our ids are not the names of every engine
      const name = known.get(image) ?? image;
      const stream = await asked('save an image', docker.getImage(name).get());
      return stream as unknown as AsyncIterable<Uint8Array>;
    },
    async load(archivePath, expected) {
      const archive = await openImageArchive(archivePath);
      try {
        const { imageId } = archive;
        if (expected !== undefined && imageId !== expected)
          throw new AntirioError('corrupt', 'the archive holds another image', { expected, got: imageId });
        checkArchitecture(archive.config.architecture, process.arch);
        const { name, ...given } = await loader.put(archive, known);
        known.set(imageId, name);
        save();
        return { imageId, loadedLayers: archive.layers - given.skippedLayers, ...given };
      } finally {
        await archive.close();
      }
    },
    async find(imageId) {
      const name = known.get(imageId);
      return name !== undefined && (await loader.layersOf(name)) !== undefined ? name : undefined;
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
