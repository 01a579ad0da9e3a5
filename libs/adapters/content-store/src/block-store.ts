import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { AntirioError, equalBytes, isAntirioError, sha256, toHex, type Clock } from '@antirio/kernel';
import { blockKey, RAW, type Block, type BlockSink, type BlockSource, type CID } from './block.ts';
import { openBlockIndex, type BlockIndex, type IndexedBlock, type Location } from './block-index.ts';
import { linksWithin } from './dag.ts';
import { nodeFiles, type FileLayer } from './file-layer.ts';
import { RECORD_OVERHEAD, type Pack } from './pack.ts';
import { openPackFolder, type PackFolder } from './pack-folder.ts';
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
  /** Where the packs are written (default: the file system). */
  readonly files?: FileLayer;
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
 * be stored again, and never handed out. A write that fails, because the disk is full or for whatever reason, harms
 * nothing that was durable before; where there is room again, the store goes on.
 */
export interface BlockStore extends BlockSource, BlockSink {
  /** Makes everything that was put durable. May be tried again after it threw. @throws AntirioError storageFull */
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

/** The part of a pack that may be garbage before its other blocks are moved: moving costs as much as storing. */
const GARBAGE = 0.25;
const GARBAGE_WHERE_SCARCE = 0.02;
/** The part of the quota beyond which room is scarce. */
const SCARCE = 0.75;

/** Opens or creates a store, recovers what a crash left, rebuilds a lost index. @throws AntirioError unavailable */
export async function openBlockStore(options: BlockStoreOptions): Promise<BlockStore> {
  const folder = join(options.folder, 'packs');
  mkdirSync(folder, { recursive: true });
  // First the pins: their file is also what keeps a second process out.
  const pins = openPins(join(options.folder, 'pins.sqlite'), options.clock);
  let index: BlockIndex | undefined;
  try {
    index = openBlockIndex(join(options.folder, 'index.sqlite'));
    const packs = await openPackFolder(options.files ?? nodeFiles, folder, index);
    return new PackedBlockStore(options, index, pins, packs);
  } catch (error) {
    index?.close();
    pins.close();
    throw error;
  }
}

class PackedBlockStore implements BlockStore {
  readonly #index: BlockIndex;
  readonly #pins: Pins;
  readonly #packs: PackFolder;
  readonly #quotaBytes: number;
  readonly #packBytes: number;
  readonly #unflushedBytes: number;
  readonly #serial = createSerial();
  /** Appended to the active pack, not yet flushed. */
  readonly #unflushed = new Map<string, IndexedBlock>();
  /** Packs whose sync failed: what was written to them since the last flush may never reach the disk. */
  readonly #suspects = new Set<Pack>();
  #waitingBytes = 0;
  #sessions = 0;
  #collecting: Promise<unknown> | undefined;
  #damaged = 0;
  #failed: AntirioError | undefined;

  constructor(options: BlockStoreOptions, index: BlockIndex, pins: Pins, packs: PackFolder) {
    this.#index = index;
    this.#pins = pins;
    this.#packs = packs;
    this.#quotaBytes = options.quotaBytes ?? 8 * 2 ** 30;
    this.#packBytes = options.packBytes ?? 128 << 20;
    this.#unflushedBytes = options.unflushedBytes ?? 64 << 20;
  }

  has(cid: CID): boolean {
    return this.#find(cid) !== undefined;
  }

  async get(cid: CID): Promise<Uint8Array> {
    const found = this.#find(cid);
    if (found === undefined)
      throw new AntirioError('notFound', `block ${cid.toString()} is not here`, { cid: cid.toString() });
    return (await this.#read(found, cid.multihash.digest)) ?? this.#damage(cid);
  }

  /** Undefined where the disk has changed it. */
  async #read(location: Location, digest: Uint8Array): Promise<Uint8Array | undefined> {
    const bytes = await this.#packs
      .get(location.pack)
      ?.read(location)
      .catch(() => undefined);
    return bytes !== undefined && equalBytes(sha256(bytes), digest) ? bytes : undefined;
  }

  #damage(cid: CID): never {
    this.#damaged++;
    this.#unflushed.delete(blockKey(cid));
    this.#index.forget(cid.multihash.digest);
    throw new AntirioError('corrupt', `the disk has changed the stored block ${cid.toString()}`, {
      cid: cid.toString(),
    });
  }

  put(block: Block): Promise<void> {
    if (this.has(block.cid)) return Promise.resolve();
    return this.#serial(async () => {
      if (this.has(block.cid)) return;
      this.#requireRoom(RECORD_OVERHEAD + block.bytes.length);
      await this.#append(block.cid.multihash.digest, block.bytes);
    });
  }

  flush(): Promise<void> {
    return this.#serial(() => this.#flush());
  }

  async pin(name: string, cid: CID): Promise<void> {
    await this.flush();
    orFull(() => this.#pins.set(name, cid));
  }

  unpin(name: string): boolean {
    return orFull(() => this.#pins.remove(name));
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
      bytes: this.#packs.bytes(),
      quotaBytes: this.#quotaBytes,
      blocks: this.#index.count() + this.#unflushed.size,
      damaged: this.#damaged,
    };
  }

  async close(): Promise<void> {
    await this.#collecting;
    try {
      if (this.#failed === undefined) await this.flush();
    } finally {
      await this.#packs.close();
      this.#index.close();
      this.#pins.close();
    }
  }

  #find(cid: CID): Location | undefined {
    return this.#unflushed.get(blockKey(cid)) ?? this.#index.find(cid.multihash.digest);
  }

  #requireRoom(bytes: number): void {
    const used = this.#packs.bytes();
    const quotaBytes = this.#quotaBytes;
    if (used + bytes > quotaBytes)
      throw new AntirioError('storageFull', `the store is full: ${used} of ${quotaBytes} bytes are taken`, {
        used,
        quotaBytes,
      });
  }

  async #append(digest: Uint8Array, bytes: Uint8Array): Promise<void> {
    const { active } = this.#packs;
    const fits = active !== undefined && active.size + bytes.length <= this.#packBytes;
    if (!fits) await this.#flush();
    await this.#place(fits ? active : await this.#packs.begin(), digest, bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes >= this.#unflushedBytes) await this.#flush();
  }

  async #place(pack: Pack, digest: Uint8Array, bytes: Uint8Array): Promise<void> {
    const extent = await pack.append(digest, bytes);
    this.#unflushed.set(toHex(digest), { ...extent, digest, pack: pack.id });
  }

  async #flush(): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed;
    if (this.#suspects.size > 0) await this.#salvage();
    const pack = this.#packs.active;
    if (pack === undefined || this.#unflushed.size === 0) return;
    try {
      await pack.sync();
    } catch (cause) {
      // The kernel may have dropped the pages and will not say so again: they are written anew, elsewhere.
      this.#suspects.add(pack);
      this.#packs.retire();
      throw new AntirioError('storageFull', 'the disk takes no more blocks', {}, cause);
    }
    orFull(() => this.#index.commit(pack.id, pack.size, [...this.#unflushed.values()]));
    this.#unflushed.clear();
    this.#waitingBytes = 0;
    await this.#trimSuspects();
  }

  /** Writes what a failed sync left in doubt to a new pack. */
  async #salvage(): Promise<void> {
    const target = this.#packs.active ?? (await this.#packs.begin());
    const inDoubt = new Set([...this.#suspects].map((pack) => pack.id));
    for (const [key, block] of this.#unflushed) {
      if (!inDoubt.has(block.pack)) continue;
      const bytes = await this.#read(block, block.digest);
      if (bytes === undefined) {
        // Who put it believes it to be here: nobody is told that anything is stored until all begin anew.
        this.#failed = new AntirioError('corrupt', 'the disk lost blocks that it had taken', { block: key });
        throw this.#failed;
      }
      await this.#place(target, block.digest, bytes);
    }
  }

  /** Cuts off what was in doubt; where that fails, it is garbage that the next opening looks through. */
  async #trimSuspects(): Promise<void> {
    const durable = this.#suspects.size > 0 ? this.#index.packs() : new Map<number, number>();
    for (const pack of this.#suspects) await pack.truncate(durable.get(pack.id) ?? 0).catch(() => undefined);
    this.#suspects.clear();
  }

  async #collect(): Promise<Collected> {
    await this.#flush();
    const before = this.#packs.bytes();
    await this.#markPinned();
    const { forgotten, needed } = orFull(() => this.#index.sweep());
    const neededOf = (pack: Pack): number => needed.get(pack.id) ?? 0;
    // Those that need least room first: on a full disk they make room for the others.
    const garbageAllowed = before > this.#quotaBytes * SCARCE ? GARBAGE_WHERE_SCARCE : GARBAGE;
    const wasteful = this.#packs.all().filter((pack) => neededOf(pack) < pack.size * (1 - garbageAllowed));
    for (const pack of wasteful.sort((a, b) => neededOf(a) - neededOf(b))) await this.#evacuate(pack);
    return { forgottenBlocks: forgotten, freedBytes: before - this.#packs.bytes() };
  }

  async #markPinned(): Promise<void> {
    this.#index.beginMarking();
    const walked = new Set<string>();
    const stack = this.#pins.all().map((pin) => pin.cid);
    for (let cid = stack.pop(); cid !== undefined; cid = stack.pop()) {
      this.#index.mark(cid.multihash.digest);
      if (cid.code === RAW || walked.has(blockKey(cid))) continue;
      walked.add(blockKey(cid));
      const bytes = await this.#get(cid);
      if (bytes !== undefined) stack.push(...linksWithin(cid, bytes));
    }
  }

  /** What is pinned may be on its way here, or damaged: what is missing of it is simply not walked. */
  async #get(cid: CID): Promise<Uint8Array | undefined> {
    try {
      return await this.get(cid);
    } catch (error) {
      if (isAntirioError(error, 'notFound') || isAntirioError(error, 'corrupt')) return undefined;
      throw error;
    }
  }

  /** Moves the blocks that are still needed to another pack, then deletes this one. */
  async #evacuate(pack: Pack): Promise<void> {
    if (this.#packs.active === pack) this.#packs.retire();
    for (const block of this.#index.blocksOf(pack.id)) {
      const bytes = await this.#read(block, block.digest);
      if (bytes === undefined) this.#damaged++;
      else await this.#append(block.digest, bytes);
    }
    await this.#flush();
    orFull(() => this.#index.forgetPack(pack.id));
    await this.#packs.remove(pack);
  }
}

/** Runs a write to SQLite. @throws AntirioError storageFull where the disk does not take it. */
function orFull<T>(write: () => T): T {
  try {
    return write();
  } catch (cause) {
    if (cause instanceof AntirioError) throw cause;
    throw new AntirioError('storageFull', 'the disk takes no more blocks', {}, cause);
  }
}
