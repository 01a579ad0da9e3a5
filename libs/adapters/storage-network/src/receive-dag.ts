import {
  checkBlock,
  createDagBudget,
  defaultDagLimits,
  linksOf,
  placeKey,
  RAW,
  readBlock,
  requireSupported,
  type BlockStore,
  type CID,
  type DagBudget,
  type DagLimits,
  type FetchProgress,
} from '@antirio/content-store';
import { AntirioError } from '@antirio/kernel';
import { unlessMissing } from './dag-of.ts';
import type { StorageNetwork, StorageRef, UncheckedBlock } from './storage-network.ts';

export interface ReceiveOptions {
  readonly limits?: DagLimits;
  /** Of blocks that are not of the DAG, or came again; a network that sends more is cut off (default 16 MiB). */
  readonly maxIgnoredBytes?: number;
  readonly idleMs?: number;
  readonly signal?: AbortSignal;
  /** Told after each block. */
  readonly onProgress?: (progress: FetchProgress) => void;
}

const MAX_IGNORED_BYTES = 16 << 20;
/** A block costs more than its bytes: without this, empty ones could come forever. */
const BLOCK_OVERHEAD = 64;

/**
 * Makes a DAG whole in the store by what a network sends. What is here is read and checked, and not asked for; what comes is
 * checked before it is stored, and taken only where a block that was taken before has named it. Everything is durable when this
 * returns, and what came before it failed is not asked for again. The caller has pinned the root, so that it survives clean-ups.
 * @throws AntirioError corrupt (wrong bytes came) | notFound (blocks did not come) | tooLarge | storageFull | timeout, or what the network throws
 */
export async function receiveDag(
  store: BlockStore,
  network: Pick<StorageNetwork, 'get'>,
  ref: Pick<StorageRef, 'cid' | 'providers' | 'pieceCid'>,
  options: ReceiveOptions = {},
): Promise<FetchProgress> {
  return store.session(async () => {
    const receiver = new Receiver(store, options);
    await receiver.look(requireSupported(ref.cid));
    const { signal, idleMs } = options;
    const here = { have: (cid: CID) => store.has(cid), read: (cid: CID) => store.get(cid) };
    try {
      if (receiver.missing > 0)
        for await (const block of network.get(ref, { ...here, signal, idleMs })) {
          await receiver.take(block);
          if (receiver.missing === 0) break;
        }
    } finally {
      await store.flush();
    }
    receiver.requireWhole();
    return receiver.progress();
  });
}

class Receiver {
  readonly #store: BlockStore;
  readonly #options: ReceiveOptions;
  readonly #budget: DagBudget;
  readonly #seen = new Set<string>();
  /** Places whose blocks are not here, and how deep they are. */
  readonly #missing = new Map<string, { cid: CID; depth: number }>();
  #ignoredBytes = 0;
  #receivedBlocks = 0;
  #receivedBytes = 0;

  constructor(store: BlockStore, options: ReceiveOptions) {
    this.#store = store;
    this.#options = options;
    this.#budget = createDagBudget(options.limits ?? defaultDagLimits);
  }

  get missing(): number {
    return this.#missing.size;
  }

  progress(): FetchProgress {
    const { blocks, bytes } = this.#budget;
    return { blocks, bytes, fetchedBlocks: this.#receivedBlocks, fetchedBytes: this.#receivedBytes };
  }

  /** Walks what is here from a place on, and notes what is not. */
  async look(cid: CID, depth = 0): Promise<void> {
    const stack = [{ cid, depth }];
    for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
      const key = placeKey(place.cid);
      if (this.#seen.has(key)) continue;
      this.#seen.add(key);
      const { cid } = place;
      const bytes = await unlessMissing(() => readBlock(this.#store, cid));
      if (bytes === undefined) {
        this.#budget.requireRoom(place.depth);
        this.#missing.set(key, place);
        continue;
      }
      this.#count(place.depth, bytes.length);
      for (const link of linksOf(cid, bytes).reverse()) stack.push({ cid: link.cid, depth: place.depth + 1 });
    }
  }

  async take({ cid, bytes }: UncheckedBlock): Promise<void> {
    if (this.#options.signal?.aborted === true) throw new AntirioError('timeout', 'the fetch was broken off');
    const place = this.#missing.get(placeKey(cid));
    if (place === undefined) {
      this.#ignore(bytes.length);
      return;
    }
    // The network's memory is its own again with the next block, but the links of a node are kept, and are views of it.
    const block = checkBlock(place.cid, place.cid.code === RAW ? bytes : bytes.slice());
    const links = linksOf(place.cid, block.bytes);
    this.#receivedBlocks++;
    this.#receivedBytes += bytes.length;
    this.#count(place.depth, bytes.length);
    await this.#store.put(block);
    this.#missing.delete(placeKey(cid));
    for (const link of links) await this.look(link.cid, place.depth + 1);
  }

  #count(depth: number, bytes: number): void {
    this.#budget.take(depth, bytes);
    this.#options.onProgress?.(this.progress());
  }

  requireWhole(): void {
    const [first] = this.#missing.values();
    if (first === undefined) return;
    const cid = first.cid.toString();
    const message = `${this.#missing.size} blocks did not come, of which the first is ${cid}`;
    throw new AntirioError('notFound', message, { cid, blocks: this.#missing.size });
  }

  #ignore(bytes: number): void {
    const limit = this.#options.maxIgnoredBytes ?? MAX_IGNORED_BYTES;
    this.#ignoredBytes += bytes + BLOCK_OVERHEAD;
    if (this.#ignoredBytes > limit)
      throw new AntirioError('tooLarge', `over ${limit} bytes came that belong to nothing`, { limit });
  }
}
