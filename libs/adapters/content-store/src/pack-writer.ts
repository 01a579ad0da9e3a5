import { AntirioError, toHex } from '@antirio/kernel';
import type { BlockIndex, IndexedBlock, Location } from './block-index.ts';
import type { Pack, PackRecord } from './pack.ts';
import type { PackFolder } from './pack-folder.ts';

export interface PackWriterOptions {
  /** A pack of more bytes is closed and the next one begun. */
  readonly packBytes: number;
  /** A sync begins when so many bytes have been written since the last one; while it is under way as many again are written. */
  readonly unflushedBytes: number;
}

/** A sync that is under way, and the blocks that are durable once it has ended well. */
interface Sync {
  readonly pack: Pack;
  readonly blocks: Map<string, IndexedBlock>;
  /** Where the pack ended when the sync began. */
  readonly through: number;
  /** What it failed of. */
  readonly failure: Promise<{ readonly cause: unknown } | undefined>;
}

/**
 * Appends blocks to the packs and makes them durable, a part being synced while the next one is written. What one call
 * was told of a failed sync the next `flush` mends. Whoever calls `append` and `flush` calls them one after the other.
 */
export class PackWriter {
  readonly #packs: PackFolder;
  readonly #index: BlockIndex;
  readonly #options: PackWriterOptions;
  /** Appended to the active pack since the last sync began. */
  #fresh = new Map<string, IndexedBlock>();
  #freshBytes = 0;
  #sync: Sync | undefined;
  /** Packs whose sync failed: what was written to them since the one before may never reach the disk. */
  readonly #suspects = new Set<Pack>();
  #failed: AntirioError | undefined;

  constructor(packs: PackFolder, index: BlockIndex, options: PackWriterOptions) {
    this.#packs = packs;
    this.#index = index;
    this.#options = options;
  }

  /** Where a block is that is not in the index yet. */
  find(key: string): Location | undefined {
    return this.#fresh.get(key) ?? this.#sync?.blocks.get(key);
  }

  /** Forgets a block that is not in the index yet. */
  forget(key: string): void {
    this.#fresh.delete(key);
    this.#sync?.blocks.delete(key);
  }

  /** Blocks that are not in the index yet. */
  get count(): number {
    return this.#fresh.size + (this.#sync?.blocks.size ?? 0);
  }

  /** Writes blocks in their order. @throws AntirioError storageFull: none of them can be relied on. */
  async append(records: readonly PackRecord[]): Promise<void> {
    for (let at = 0; at < records.length;) {
      const pack = await this.#packFor(records[at]?.bytes.length ?? 0);
      const end = this.#fitting(pack, records, at);
      await this.#place(pack, records.slice(at, end));
      at = end;
    }
    if (this.#freshBytes >= this.#options.unflushedBytes) await this.#syncBehind();
  }

  /** Makes all that was appended durable. May be tried again after it threw. @throws AntirioError storageFull */
  async flush(): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed;
    await this.#settle();
    if (this.#suspects.size > 0) await this.#salvage();
    this.#beginSync();
    await this.#settle();
    await this.#trimSuspects();
  }

  /** Waits for what is under way; flushes where that can still be. */
  async close(): Promise<void> {
    await this.#sync?.failure;
    if (this.#failed === undefined) await this.flush();
  }

  async #packFor(length: number): Promise<Pack> {
    const fits = (pack: Pack | undefined): pack is Pack =>
      pack !== undefined && pack.size + length <= this.#options.packBytes;
    const before = this.#packs.active;
    if (fits(before)) return before;
    await this.#syncBehind();
    // To mend a failed sync a pack was begun.
    const { active } = this.#packs;
    return active !== before && fits(active) ? active : this.#packs.begin();
  }

  /** Where the records end that this pack takes: at least one. */
  #fitting(pack: Pack, records: readonly PackRecord[], start: number): number {
    let size = pack.size;
    let end = start;
    for (; end < records.length; end++) {
      const length = records[end]?.bytes.length ?? 0;
      if (end > start && size + length > this.#options.packBytes) break;
      size += length;
    }
    return end;
  }

  async #place(pack: Pack, records: readonly PackRecord[]): Promise<void> {
    const extents = await pack.append(records);
    for (const [i, { digest }] of records.entries()) {
      const extent = extents[i];
      if (extent === undefined) continue;
      this.#fresh.set(toHex(digest), { ...extent, digest, pack: pack.id });
      this.#freshBytes += extent.length;
    }
  }

  /** Has what was appended synced without waiting for it; waits for the sync before. */
  async #syncBehind(): Promise<void> {
    await this.#settle();
    if (this.#suspects.size > 0) await this.flush();
    else this.#beginSync();
  }

  #beginSync(): void {
    const pack = this.#packs.active;
    if (pack === undefined || this.#fresh.size === 0) return;
    const failure = pack.sync().then(
      () => undefined,
      (cause: unknown) => ({ cause }),
    );
    this.#sync = { pack, blocks: this.#fresh, through: pack.size, failure };
    this.#fresh = new Map();
    this.#freshBytes = 0;
  }

  /** Waits for the sync that is under way, and takes what it made durable into the index. */
  async #settle(): Promise<void> {
    if (this.#sync === undefined) return;
    const failure = await this.#sync.failure;
    const { pack, blocks, through } = this.#sync;
    this.#sync = undefined;
    try {
      if (failure !== undefined) throw failure.cause;
      this.#index.commit(pack.id, through, [...blocks.values()]);
    } catch (cause) {
      // Nothing is forgotten: the next flush begins with these.
      this.#fresh = new Map([...blocks, ...this.#fresh]);
      if (failure !== undefined) this.#suspect(pack);
      throw new AntirioError('storageFull', 'the disk takes no more blocks', {}, cause);
    }
  }

  /** The kernel may have dropped the pages and will not say so again: they are written anew, elsewhere. */
  #suspect(pack: Pack): void {
    this.#suspects.add(pack);
    if (this.#packs.active === pack) this.#packs.retire();
  }

  /** Writes what a failed sync left in doubt to a new pack. */
  async #salvage(): Promise<void> {
    const target = this.#packs.active ?? (await this.#packs.begin());
    const inDoubt = new Set([...this.#suspects].map((pack) => pack.id));
    for (const [key, block] of this.#fresh) {
      if (!inDoubt.has(block.pack)) continue;
      const bytes = await this.#packs.read(block, block.digest);
      if (bytes === undefined) {
        // Who put it believes it to be here: nobody is told that anything is stored until all begin anew.
        this.#failed = new AntirioError('corrupt', 'the disk lost blocks that it had taken', { block: key });
        throw this.#failed;
      }
      await this.#place(target, [{ digest: block.digest, bytes }]);
    }
  }

  /** Cuts off what was in doubt; where that fails, it is garbage that the next opening looks through. */
  async #trimSuspects(): Promise<void> {
    const durable = this.#suspects.size > 0 ? this.#index.packs() : new Map<number, number>();
    for (const pack of this.#suspects) await pack.truncate(durable.get(pack.id) ?? 0).catch(() => undefined);
    this.#suspects.clear();
  }
}
