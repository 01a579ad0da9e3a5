import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AntirioError, fromUtf8 } from '@antirio/kernel';
import { readFileIfThere, writeFileDurably } from '@antirio/host';
import { openImageArchive, type ImageArchive, type ImageConfig } from './image-archive.ts';
import { RootTree } from './layer.ts';
import { bootId } from './process-table.ts';
import type { LoadedImage } from './runtime.ts';

/** A verified image, unpacked. */
export interface UnpackedImage {
  readonly config: ImageConfig;
  readonly root: string;
}

export interface ImageLimits {
  readonly maxBytes: number;
  readonly maxFiles: number;
}

/** Images by id under a folder. What a crash left half done is removed. */
export interface ImageStore {
  load(archivePath: string, expected?: string): Promise<LoadedImage>;
  /** Undefined when it is not loaded. */
  get(imageId: string): Promise<UnpackedImage | undefined>;
  remove(imageId: string): Promise<void>;
}

const COMPLETE = 'complete';
const IMAGE_ID = /^sha256:[0-9a-f]{64}$/;
const HASH = /^[0-9a-f]{64}$/;

async function unpack(archive: ImageArchive, folder: string, limits: ImageLimits): Promise<void> {
  const root = join(folder, 'rootfs');
  await mkdir(root, { recursive: true });
  const tree = new RootTree(root, { bytes: limits.maxBytes, entries: limits.maxFiles });
  for (let i = 0; i < archive.layers; i++) await tree.apply(archive.layer(i));
  const workingDir = archive.config.config.WorkingDir;
  if (workingDir !== '') await mkdir(join(root, join('/', workingDir)), { recursive: true });
  await writeFile(join(folder, 'config.json'), JSON.stringify(archive.config));
}

/**
 * The mark that an image is whole names the boot: files of a later one may have lost what the disk had not yet taken, and are
 * unpacked and verified again.
 */
async function isComplete(folder: string): Promise<boolean> {
  try {
    return fromUtf8(await readFile(join(folder, COMPLETE))) === bootId;
  } catch {
    return false;
  }
}

export async function openImageStore(dir: string, limits: ImageLimits): Promise<ImageStore> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const name of await readdir(dir)) {
    // Under another name it was on its way in or out when we were killed
    const isImage = HASH.test(name) && (await isComplete(join(dir, name)));
    if (!isImage) await rm(join(dir, name), { recursive: true, force: true });
  }

  let loads = 0;
  const folderOf = (imageId: string): string => join(dir, imageId.replace(/^sha256:/, ''));
  const unpackInto = async (archive: ImageArchive, folder: string): Promise<void> => {
    const temporary = `${folder}.${process.pid}-${++loads}`;
    try {
      await unpack(archive, temporary, limits);
      writeFileDurably(join(temporary, COMPLETE), bootId);
      await rm(folder, { recursive: true, force: true });
      await rename(temporary, folder);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      throw error;
    }
  };
  const under = new Map<string, Promise<void>>();
  return {
    async load(archivePath, expected) {
      const archive = await openImageArchive(archivePath);
      try {
        const { imageId } = archive;
        if (expected !== undefined && imageId !== expected)
          throw new AntirioError('corrupt', 'the archive holds another image', { expected, got: imageId });
        const folder = folderOf(imageId);
        const { layers } = archive;
        const fellBack = false;
        if (await isComplete(folder)) return { imageId, loadedLayers: 0, skippedLayers: layers, fellBack };
        const running = under.get(imageId) ?? unpackInto(archive, folder);
        under.set(imageId, running);
        await running.finally(() => under.delete(imageId));
        return { imageId, loadedLayers: layers, skippedLayers: 0, fellBack };
      } finally {
        await archive.close();
      }
    },
    async get(imageId) {
      const folder = folderOf(imageId);
      if (!IMAGE_ID.test(imageId) || !(await isComplete(folder))) return undefined;
      const config = readFileIfThere(join(folder, 'config.json'));
      if (config === undefined) return undefined;
      return { config: JSON.parse(fromUtf8(config)) as ImageConfig, root: join(folder, 'rootfs') };
    },
    async remove(imageId) {
      if (!IMAGE_ID.test(imageId) || !(await isComplete(folderOf(imageId)))) return;
      // At once for whoever looks, whatever it takes to remove it
      const gone = `${folderOf(imageId)}.${process.pid}-${++loads}`;
      await rename(folderOf(imageId), gone);
      await rm(gone, { recursive: true, force: true });
    },
  };
}
