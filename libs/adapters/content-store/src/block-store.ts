import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { AntirioError, isAntirioError, type Clock } from '@antirio/kernel';
import { blockKey, RAW, type Block, type BlockSink, type BlockSource, type CID } from './block.ts';
import { openBlockIndex, type BlockIndex, type Location } from './block-index.ts';
import { linksWithin } from './dag.ts';
import { nodeFiles, type FileLayer } from './file-layer.ts';
import { RECORD_OVERHEAD, type Pack, type PackRecord } from './pack.ts';
import { openPackFolder, type PackFolder } from './pack-folder.ts';
import { PackWriter } from './pack-writer.ts';
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
  /** Written bytes that may wait for `flush` before the store begins to sync them by itself (default 16 MiB), behind what is written next. */
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

/** A block that somebody wants stored. */
interface Put {
  readonly block: Block;
  resolve(): void;
  reject(cause: unknown): void;
}

/** Blocks that are written at once, at most. */
const MAX_BATCH = 64;

class PackedBlockStore implements BlockStore {
  readonly #index: BlockIndex;
  readonly #pins: Pins;
  readonly #packs: PackFolder;
  readonly #writer: PackWriter;
  readonly #quotaBytes: number;
  readonly #serial = createSerial();
  /** What waits to be written: what comes while others are written goes together. */
  #puts: Put[] = [];
  #sessions = 0;
  #collecting: Promise<unknown> | undefined;
  #damaged = 0;

  constructor(options: BlockStoreOptions, index: BlockIndex, pins: Pins, packs: PackFolder) {
    this.#index = index;
    this.#pins = pins;
    this.#packs = packs;
    const { packBytes = 128 << 20, unflushedBytes = 16 << 20 } = options;
    this.#writer = new PackWriter(packs, index, { packBytes, unflushedBytes });
    this.#quotaBytes = options.quotaBytes ?? 8 * 2 ** 30;
  }

  has(cid: CID): boolean {
    return this.#find(cid) !== undefined;
  }

  async get(cid: CID): Promise<Uint8Array> {
    const found = this.#find(cid);
    if (found === undefined)
      throw new AntirioError('notFound', `block ${cid.toString()} is not here`, { cid: cid.toString() });
    return (await this.#packs.read(found, cid.multihash.digest)) ?? this.#damage(cid);
  }

  #damage(cid: CID): never {
    this.#damaged++;
    this.#writer.forget(blockKey(cid));
    this.#index.forget(cid.multihash.digest);
    throw new AntirioError('corrupt', `the disk has changed the stored block ${cid.toString()}`, {
      cid: cid.toString(),
    });
  }

  put(block: Block): Promise<void> {
    if (this.has(block.cid)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#puts.push({ block, resolve, reject });
      if (this.#puts.length === 1) void this.#serial(() => this.#storePuts());
    });
  }

  flush(): Promise<void> {
    return this.#serial(() => this.#writer.flush());
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
      blocks: this.#index.count() + this.#writer.count,
      damaged: this.#damaged,
    };
  }

  async close(): Promise<void> {
    await this.#collecting;
    try {
      await this.#serial(() => this.#writer.close());
    } finally {
      await this.#packs.close();
      this.#index.close();
      this.#pins.close();
    }
  }

  #find(cid: CID): Location | undefined {
    return this.#writer.find(blockKey(cid)) ?? this.#index.find(cid.multihash.digest);
  }

  async #storePuts(): Promise<void> {
    const puts = this.#puts;
    this.#puts = [];
    for (let at = 0; at < puts.length; at += MAX_BATCH) await this.#store(puts.slice(at, at + MAX_BATCH));
  }

  /** Equal blocks share one fate, as do all that are written together. */
  async #store(puts: readonly Put[]): Promise<void> {
    try {
      const { records, accepted } = this.#accept(puts);
      await this.#writer.append(records);
      for (const put of accepted) put.resolve();
    } catch (cause) {
      for (const put of puts) put.reject(cause);
    }
  }

  /** What is to be written for them; those for which there is no room are told so. */
  #accept(puts: readonly Put[]): { records: PackRecord[]; accepted: Put[] } {
    const records = new Map<string, PackRecord>();
    const accepted: Put[] = [];
    let used = this.#packs.bytes();
    for (const put of puts) {
      const { cid, bytes } = put.block;
      const isNew = !records.has(blockKey(cid)) && !this.has(cid);
      const size = isNew ? RECORD_OVERHEAD + bytes.length : 0;
      if (used + size > this.#quotaBytes) {
        put.reject(this.#full(used));
        continue;
      }
      used += size;
      accepted.push(put);
      if (isNew) records.set(blockKey(cid), { digest: cid.multihash.digest, bytes });
    }
    return { records: [...records.values()], accepted };
  }

  #full(used: number): AntirioError {
    const quotaBytes = this.#quotaBytes;
    const message = `the store is full: ${used} of ${quotaBytes} bytes are taken`;
    return new AntirioError('storageFull', message, { used, quotaBytes });
  }

  async #collect(): Promise<Collected> {
    await this.#writer.flush();
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
      const bytes = await this.#packs.read(block, block.digest);
      if (bytes === undefined) this.#damaged++;
      else await this.#writer.append([{ digest: block.digest, bytes }]);
    }
    await this.#writer.flush();
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
