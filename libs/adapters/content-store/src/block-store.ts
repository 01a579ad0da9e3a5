import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { AntirioError, equalBytes, sha256, toHex, type Clock } from '@antirio/kernel';
import { blockKey, RAW, type Block, type BlockSink, type BlockSource, type CID } from './block.ts';
import { openBlockIndex, type BlockIndex, type IndexedBlock, type Location } from './block-index.ts';
import { linksOf } from './dag.ts';
import { openPack, RECORD_OVERHEAD, type Pack } from './pack.ts';
import { openPins, type Pin, type Pins } from './pins.ts';
import { createSerial } from './serial.ts';

export interface BlockStoreOptions {
  /** A folder of its own. */
  readonly folder: string;
  readonly clock: Clock;
  /** Bytes that the packs may take on the disk (default 8 GiB). */
  readonly quotaBytes?: number;
  /** A pack of more bytes is closed and the next one begun (default 128 MiB). */
  readonly packBytes?: number;
  /** Written bytes that may wait for `flush` before the store flushes by itself (default 64 MiB). */
  readonly unflushedBytes?: number;
}

export interface Usage {
  /** On the disk, with what is garbage but not collected yet. */
  readonly bytes: number;
  readonly quotaBytes: number;
  readonly blocks: number;
  /** Blocks found damaged, and forgotten, since the store was opened. */
  readonly damaged: number;
}

export interface Collected {
  readonly forgottenBlocks: number;
  readonly freedBytes: number;
}

/**
 * Durable blocks in append-only packs. What `flush` has returned for is on the disk; a pack's torn tail is cut off when
 * the store is opened. Every block is hashed when it is read: one that the disk has changed is forgotten, so that it can
 * be stored again, and never handed out.
 */
export interface BlockStore extends BlockSource, BlockSink {
  /** Makes everything that was put durable. @throws AntirioError storageFull */
  flush(): Promise<void>;
  /** Keeps a root and all that is below it; flushes first. A name pins one root, the last one. */
  pin(name: string, cid: CID): Promise<void>;
  unpin(name: string): boolean;
  pins(): Pin[];
  /** Runs work that puts blocks or relies on blocks that are not pinned yet: meanwhile nothing is collected. */
  session<T>(work: () => Promise<T>): Promise<T>;
  /** Frees what no pin reaches. @throws AntirioError busy while a session is open. */
  collect(): Promise<Collected>;
  usage(): Usage;
  close(): Promise<void>;
}

/** Opens or creates a store, recovers what a crash left, rebuilds a lost index. */
export async function openBlockStore(options: BlockStoreOptions): Promise<BlockStore> {
  const folder = join(options.folder, 'packs');
  mkdirSync(folder, { recursive: true });
  // First the pins: their file is also what keeps a second process out.
  const pins = openPins(join(options.folder, 'pins.sqlite'), options.clock);
  const index = openBlockIndex(join(options.folder, 'index.sqlite'));
  const packs = await recoverPacks(folder, index);
  return new PackedBlockStore(options, folder, index, pins, packs);
}

const packName = (id: number): string => `${String(id).padStart(8, '0')}.pack`;

async function recoverPacks(folder: string, index: BlockIndex): Promise<Map<number, Pack>> {
  const known = index.packs();
  const packs = new Map<number, Pack>();
  for (const name of readdirSync(folder).sort()) {
    const id = Number(/^(\d{8})\.pack$/.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(id)) continue;
    const pack = await openPack(id, join(folder, name));
    await recoverPack(pack, index, known.get(id) ?? 0);
    packs.set(id, pack);
  }
  for (const id of known.keys()) if (!packs.has(id)) index.forgetPack(id);
  return packs;
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

class PackedBlockStore implements BlockStore {
  readonly #folder: string;
  readonly #index: BlockIndex;
  readonly #pins: Pins;
  readonly #packs: Map<number, Pack>;
  readonly #quotaBytes: number;
  readonly #packBytes: number;
  readonly #unflushedBytes: number;
  readonly #serial = createSerial();
  /** Appended to the active pack, not yet flushed. */
  readonly #unflushed = new Map<string, IndexedBlock>();
  #waitingBytes = 0;
  #active: Pack | undefined;
  #sessions = 0;
  #collecting: Promise<unknown> | undefined;
  #damaged = 0;
  #failed: AntirioError | undefined;

  constructor(
    options: BlockStoreOptions,
    folder: string,
    index: BlockIndex,
    pins: Pins,
    packs: Map<number, Pack>,
  ) {
    this.#folder = folder;
    this.#index = index;
    this.#pins = pins;
    this.#packs = packs;
    this.#quotaBytes = options.quotaBytes ?? 8 * 2 ** 30;
    this.#packBytes = options.packBytes ?? 128 << 20;
    this.#unflushedBytes = options.unflushedBytes ?? 64 << 20;
    this.#active = [...packs.values()].at(-1);
  }

  has(cid: CID): boolean {
    return this.#find(cid) !== undefined;
  }

  async get(cid: CID): Promise<Uint8Array> {
    const found = this.#find(cid);
    const pack = found === undefined ? undefined : this.#packs.get(found.pack);
    if (found === undefined || pack === undefined)
      throw new AntirioError('notFound', `block ${cid.toString()} is not here`, { cid: cid.toString() });
    const bytes = await pack.read(found).catch(() => undefined);
    if (bytes !== undefined && equalBytes(sha256(bytes), cid.multihash.digest)) return bytes;
    return this.#damage(cid);
  }

  #damage(cid: CID): never {
    this.#damaged++;
    this.#index.forget(cid.multihash.digest);
    this.#unflushed.delete(blockKey(cid));
    throw new AntirioError('corrupt', `the disk has changed the stored block ${cid.toString()}`, {
      cid: cid.toString(),
    });
  }

  put(block: Block): Promise<void> {
    if (this.has(block.cid)) return Promise.resolve();
    return this.#serial(async () => {
      if (this.has(block.cid)) return;
      this.#requireWritable(RECORD_OVERHEAD + block.bytes.length);
      await this.#append(block.cid.multihash.digest, block.bytes);
    });
  }

  flush(): Promise<void> {
    return this.#serial(() => this.#flush());
  }

  async pin(name: string, cid: CID): Promise<void> {
    await this.flush();
    this.#pins.set(name, cid);
  }

  unpin(name: string): boolean {
    return this.#pins.remove(name);
  }

  pins(): Pin[] {
    return this.#pins.all();
  }

  async session<T>(work: () => Promise<T>): Promise<T> {
    while (this.#collecting !== undefined) await this.#collecting;
    this.#sessions++;
    try {
      return await work();
    } finally {
      this.#sessions--;
    }
  }

  async collect(): Promise<Collected> {
    if (this.#sessions > 0 || this.#collecting !== undefined)
      throw new AntirioError('busy', 'blocks are being stored: nothing is collected now');
    const run = this.#serial(() => this.#collect());
    this.#collecting = run.catch(() => undefined);
    try {
      return await run;
    } finally {
      this.#collecting = undefined;
    }
  }

  usage(): Usage {
    return {
      bytes: this.#bytes(),
      quotaBytes: this.#quotaBytes,
      blocks: this.#index.count() + this.#unflushed.size,
      damaged: this.#damaged,
    };
  }

  async close(): Promise<void> {
    await this.#collecting;
    if (this.#failed === undefined) await this.flush();
    for (const pack of this.#packs.values()) await pack.close();
    this.#index.close();
    this.#pins.close();
  }

  #find(cid: CID): Location | undefined {
    return this.#unflushed.get(blockKey(cid)) ?? this.#index.find(cid.multihash.digest);
  }

  #bytes(): number {
    let bytes = 0;
    for (const pack of this.#packs.values()) bytes += pack.size;
    return bytes;
  }

  #requireWritable(bytes: number): void {
    if (this.#failed !== undefined) throw this.#failed;
    const used = this.#bytes();
    if (used + bytes > this.#quotaBytes)
      throw new AntirioError(
        'storageFull',
        `the store is full: ${used} of ${this.#quotaBytes} bytes are taken`,
        {
          used,
          quotaBytes: this.#quotaBytes,
        },
      );
  }

  async #append(digest: Uint8Array, bytes: Uint8Array): Promise<void> {
    const pack = await this.#packFor(bytes.length);
    const extent = await pack.append(digest, bytes);
    this.#unflushed.set(toHex(digest), { ...extent, digest, pack: pack.id });
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes >= this.#unflushedBytes) await this.#flush();
  }

  async #packFor(bytes: number): Promise<Pack> {
    if (this.#active !== undefined && this.#active.size + bytes <= this.#packBytes) return this.#active;
    await this.#flush();
    return this.#nextPack();
  }

  async #nextPack(): Promise<Pack> {
    const id = Math.max(0, ...this.#packs.keys()) + 1;
    const pack = await openPack(id, join(this.#folder, packName(id)));
    this.#packs.set(id, pack);
    this.#active = pack;
    const folder = await open(this.#folder, 'r');
    await folder.sync().finally(() => folder.close());
    return pack;
  }

  async #flush(): Promise<void> {
    const pack = this.#active;
    if (this.#failed !== undefined) throw this.#failed;
    if (pack === undefined || this.#unflushed.size === 0) return;
    try {
      await pack.sync();
      this.#index.commit(pack.id, pack.size, [...this.#unflushed.values()]);
    } catch (cause) {
      // After a failed sync the kernel may have dropped the pages: only opening the store again tells what is there.
      this.#failed = new AntirioError('storageFull', 'the disk takes no more blocks', {}, cause);
      throw this.#failed;
    }
    this.#unflushed.clear();
    this.#waitingBytes = 0;
  }

  async #collect(): Promise<Collected> {
    await this.#flush();
    const before = this.#bytes();
    await this.#markPinned();
    const { forgotten, needed } = this.#index.sweep();
    for (const pack of [...this.#packs.values()]) {
      if ((needed.get(pack.id) ?? 0) * 2 < pack.size) await this.#evacuate(pack);
    }
    return { forgottenBlocks: forgotten, freedBytes: before - this.#bytes() };
  }

  async #markPinned(): Promise<void> {
    this.#index.beginMarking();
    const walked = new Set<string>();
    const stack = this.#pins.all().map((pin) => pin.cid);
    for (let cid = stack.pop(); cid !== undefined; cid = stack.pop()) {
      this.#index.mark(cid.multihash.digest);
      // A pinned root may still be on its way here: what is missing of it is simply not walked.
      if (cid.code === RAW || walked.has(blockKey(cid)) || !this.has(cid)) continue;
      walked.add(blockKey(cid));
      for (const link of linksOf(cid, await this.get(cid))) stack.push(link.cid);
    }
  }

  /** Moves the blocks that are still needed to another pack, then deletes this one. */
  async #evacuate(pack: Pack): Promise<void> {
    if (this.#active === pack) this.#active = undefined;
    for (const block of this.#index.blocksOf(pack.id)) {
      const bytes = await pack.read(block).catch(() => undefined);
      if (bytes !== undefined && equalBytes(sha256(bytes), block.digest))
        await this.#append(block.digest, bytes);
    }
    await this.#flush();
    this.#index.forgetPack(pack.id);
    this.#packs.delete(pack.id);
    rmSync(join(this.#folder, packName(pack.id)), { force: true });
    await pack.close();
  }
}
