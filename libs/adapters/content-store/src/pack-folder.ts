import { join } from 'node:path';
import { AntirioError, equalBytes, sha256 } from '@antirio/kernel';
import type { BlockIndex, IndexedBlock, Location } from './block-index.ts';
import type { FileLayer } from './file-layer.ts';
import { openPack, type Pack } from './pack.ts';

const packName = (id: number): string => `${String(id).padStart(8, '0')}.pack`;

/** The packs of a store. One of them, at most, is appended to. */
export class PackFolder {
  readonly #files: FileLayer;
  readonly #folder: string;
  readonly #packs: Map<number, Pack>;
  #active: Pack | undefined;
  /** No number is used twice: an index that is older than a pack would take it for another one. */
  #lastId: number;

  constructor(files: FileLayer, folder: string, packs: Map<number, Pack>) {
    this.#files = files;
    this.#folder = folder;
    this.#packs = packs;
    this.#active = [...packs.values()].at(-1);
    this.#lastId = Math.max(0, ...packs.keys());
  }

  get active(): Pack | undefined {
    return this.#active;
  }

  /** The block of that hash; undefined where the disk has changed it. */
  async read(location: Location, digest: Uint8Array): Promise<Uint8Array | undefined> {
    const bytes = await this.#packs
      .get(location.pack)
      ?.read(location)
      .catch(() => undefined);
    return bytes !== undefined && equalBytes(sha256(bytes), digest) ? bytes : undefined;
  }

  all(): Pack[] {
    return [...this.#packs.values()];
  }

  bytes(): number {
    let bytes = 0;
    for (const pack of this.#packs.values()) bytes += pack.size;
    return bytes;
  }

  /** Nothing more is appended to the active pack. */
  retire(): void {
    this.#active = undefined;
  }

  /** A new, empty pack, durably there, becomes the active one. @throws AntirioError storageFull */
  async begin(): Promise<Pack> {
    const id = ++this.#lastId;
    const path = join(this.#folder, packName(id));
    try {
      const pack = await openPack(this.#files, id, path);
      await this.#files.syncFolder(this.#folder).catch(async (error: unknown) => {
        await pack.close();
        await this.#files.remove(path);
        throw error;
      });
      this.#packs.set(id, pack);
      this.#active = pack;
      return pack;
    } catch (cause) {
      throw new AntirioError('storageFull', 'the disk takes no new pack of blocks', { path }, cause);
    }
  }

  /** Deletes a pack that nothing points to any more. @throws AntirioError unavailable, and it is still there. */
  async remove(pack: Pack): Promise<void> {
    const path = join(this.#folder, packName(pack.id));
    await this.#files.remove(path).catch((cause: unknown) => {
      throw new AntirioError('unavailable', `cannot delete ${path}`, { path }, cause);
    });
    this.#packs.delete(pack.id);
    await pack.close();
  }

  async close(): Promise<void> {
    for (const pack of this.#packs.values()) await pack.close();
  }
}

/** Opens the packs of a folder and brings the index up to what is in them. @throws AntirioError unavailable */
export async function openPackFolder(
  files: FileLayer,
  folder: string,
  index: BlockIndex,
): Promise<PackFolder> {
  const found = packPaths(files, folder);
  // First what is gone: an index that is older than the packs would keep blocks from being found where they are now.
  for (const id of index.packs().keys()) if (!found.has(id)) index.forgetPack(id);
  const known = index.packs();
  const packs = new Map<number, Pack>();
  try {
    for (const [id, path] of found) {
      const pack = await openPack(files, id, path);
      packs.set(id, pack);
      await recoverPack(pack, index, known.get(id) ?? 0);
    }
  } catch (cause) {
    for (const pack of packs.values()) await pack.close();
    if (cause instanceof AntirioError) throw cause;
    throw new AntirioError('unavailable', `cannot recover the packs of ${folder}`, { folder }, cause);
  }
  return new PackFolder(files, folder, packs);
}

function packPaths(files: FileLayer, folder: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of files.list(folder).sort()) {
    const id = /^(\d{8})\.pack$/.exec(name)?.[1];
    if (id !== undefined) found.set(Number(id), join(folder, name));
  }
  return found;
}

/** What lies behind the last flush may be whole or torn: the whole records are kept, the rest is cut off. */
async function recoverPack(pack: Pack, index: BlockIndex, through: number): Promise<void> {
  if (pack.size === through) return;
  // A pack that lost some of its end is read from its beginning, to find the last record that is still whole.
  if (pack.size < through) index.forgetPack(pack.id);
  const found: IndexedBlock[] = [];
  let end = pack.size < through ? 0 : through;
  for await (const record of pack.recover(end)) {
    found.push({ ...record, pack: pack.id });
    end = record.offset + record.length;
  }
  await pack.truncate(end);
  index.commit(
    pack.id,
    end,
    found.filter((block) => index.find(block.digest) === undefined),
  );
}
