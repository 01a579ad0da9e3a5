import { AntirioError, isAntirioError } from '@antirio/kernel';
import { inlineBytes, RAW, requireSupported, type Block, type CID } from './block.ts';
import type { BlockStore } from './block-store.ts';
import { importCar } from './car.ts';
import {
  createDagBudget,
  defaultDagLimits,
  linksOf,
  placeKey,
  type DagBudget,
  type DagLimits,
} from './dag.ts';
import {
  createProviderPool,
  type BlockProvider,
  type ProviderPool,
  type ProviderReport,
} from './provider.ts';

export interface FetchOptions {
  readonly limits?: DagLimits;
  /** Blocks asked for at once (default 8). */
  readonly parallel?: number;
  /** For one block from one provider, in milliseconds (default 15000). */
  readonly blockTimeoutMs?: number;
  /** Told after each block. */
  readonly onProgress?: (progress: FetchProgress) => void;
  readonly signal?: AbortSignal;
}

export interface FetchProgress {
  /** Blocks of the DAG seen until now, and how many of them came from providers; the others were here. */
  readonly blocks: number;
  readonly fetchedBlocks: number;
  readonly bytes: number;
  readonly fetchedBytes: number;
}

export interface Fetched extends FetchProgress {
  readonly providers: readonly ProviderReport[];
}

/**
 * The leaves of a node with as many of them, of which none is here, are fetched as one CAR. Of nodes further up nothing can be
 * known: their children may be new and what is below those not.
 */
const CAR_FROM_LINKS = 8;

interface Place {
  readonly cid: CID;
  readonly depth: number;
}

/**
 * Makes a DAG whole in the store. What is here is read and checked, never fetched again, so that a fetch that was broken
 * off goes on where it was; a block that the disk has changed is fetched again. Every block that arrives is checked; who
 * sends wrong bytes is asked for nothing more. Files that are wholly missing come as CARs, where a provider has such, single
 * blocks otherwise: of an image that has changed a little only the changes move. Everything is durable when this returns.
 * @throws AntirioError unavailable (no provider is left; each one's reason is in the message) | corrupt (all have lied) | notFound (nobody has a
 * block) | tooLarge | invalidInput | storageFull | timeout (aborted)
 */
export async function fetchDag(
  store: BlockStore,
  root: CID,
  providers: readonly BlockProvider[],
  options: FetchOptions = {},
): Promise<Fetched> {
  const pool = createProviderPool(providers, options.blockTimeoutMs ?? 15_000);
  return store.session(async () => {
    const run = new FetchRun(store, pool, options);
    await run.all(requireSupported(root), options.parallel ?? 8);
    await store.flush();
    return { ...run.progress(), providers: pool.report() };
  });
}

class FetchRun {
  readonly #store: BlockStore;
  readonly #pool: ProviderPool;
  readonly #options: FetchOptions;
  readonly #budget: DagBudget;
  readonly #limits: DagLimits;
  readonly #seen = new Set<string>();
  /** Blocks without links that came in CARs of this run, and their bytes: they were checked, and are not read again. */
  readonly #arrived = new Map<string, number>();
  /** Last in, first out: the DAG is walked depth first, so that only the siblings of one path wait. */
  readonly #waiting: Place[] = [];
  #busy = 0;
  #wake: (() => void)[] = [];
  #failure: unknown;
  #fetchedBlocks = 0;
  #fetchedBytes = 0;

  constructor(store: BlockStore, pool: ProviderPool, options: FetchOptions) {
    this.#store = store;
    this.#pool = pool;
    this.#options = options;
    this.#limits = options.limits ?? defaultDagLimits;
    this.#budget = createDagBudget(this.#limits);
  }

  progress(): FetchProgress {
    const { blocks, bytes } = this.#budget;
    return { blocks, bytes, fetchedBlocks: this.#fetchedBlocks, fetchedBytes: this.#fetchedBytes };
  }

  async all(root: CID, parallel: number): Promise<void> {
    this.#add([{ cid: root, depth: 0 }]);
    await Promise.all(Array.from({ length: parallel }, () => this.#work()));
    if (this.#failure !== undefined) throw this.#failure as Error;
  }

  #add(places: readonly Place[]): void {
    for (const place of places) {
      if (this.#seen.has(placeKey(place.cid))) continue;
      this.#seen.add(placeKey(place.cid));
      this.#waiting.push(place);
    }
    for (const wake of this.#wake.splice(0)) wake();
  }

  async #work(): Promise<void> {
    for (;;) {
      const place = this.#failure === undefined ? this.#waiting.pop() : undefined;
      if (place !== undefined) {
        this.#busy++;
        await this.#visit(place).catch((error: unknown) => (this.#failure ??= error));
        this.#busy--;
        this.#add([]);
      } else if (this.#busy > 0) {
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      } else {
        return;
      }
    }
  }

  async #visit({ cid, depth }: Place): Promise<void> {
    if (this.#options.signal?.aborted === true) throw new AntirioError('timeout', 'the fetch was broken off');
    const key = placeKey(cid);
    const arrived = this.#arrived.get(key);
    if (arrived !== undefined) {
      this.#arrived.delete(key);
      this.#take(depth, arrived, []);
      return;
    }
    const local = await this.#local(cid);
    const bytes = local ?? (await this.#remote(cid, depth)).bytes;
    const links = linksOf(cid, bytes).map((link) => link.cid);
    if (local === undefined && this.#areMissingLeaves(links)) await this.#tryCar(cid, depth);
    this.#take(depth, bytes.length, links);
  }

  #take(depth: number, bytes: number, links: readonly CID[]): void {
    this.#budget.take(depth, bytes);
    this.#options.onProgress?.(this.progress());
    // Turned round, so that the first link is the next to be taken from the end.
    this.#add(links.map((cid) => ({ cid, depth: depth + 1 })).reverse());
  }

  #areMissingLeaves(links: readonly CID[]): boolean {
    return links.length >= CAR_FROM_LINKS && links.every((cid) => cid.code === RAW && !this.#store.has(cid));
  }

  /** What comes of it is here; what does not is fetched block by block. */
  async #tryCar(root: CID, depth: number): Promise<void> {
    const { maxDepth, maxBlocks, maxBytes } = this.#limits;
    const { blocks, bytes } = this.#budget;
    const limits = {
      maxDepth: maxDepth - depth,
      maxBlocks: maxBlocks - blocks,
      maxBytes: maxBytes - bytes,
    };
    const onBlock = (cid: CID, size: number): void => {
      // The root was here before, and counted.
      if (cid.equals(root)) return;
      this.#arrived.set(placeKey(cid), size);
      this.#fetchedBlocks++;
      this.#fetchedBytes += size;
      this.#options.onProgress?.(this.progress());
    };
    const { signal } = this.#options;
    await this.#pool.tryCar(
      root,
      (car) => importCar(this.#store, stoppable(car, signal), root, { limits, onBlock }),
      signal,
    );
  }

  async #local(cid: CID): Promise<Uint8Array | undefined> {
    const inline = inlineBytes(cid);
    if (inline !== undefined) return inline;
    if (!this.#store.has(cid)) return undefined;
    try {
      return await this.#store.get(cid);
    } catch (error) {
      if (isAntirioError(error, 'corrupt') || isAntirioError(error, 'notFound')) return undefined;
      throw error;
    }
  }

  async #remote(cid: CID, depth: number): Promise<Block> {
    this.#budget.requireRoom(depth);
    const block = await this.#pool.fetch(cid, this.#options.signal);
    await this.#store.put(block);
    this.#fetchedBlocks++;
    this.#fetchedBytes += block.bytes.length;
    return block;
  }
}

async function* stoppable(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const bytes of source) {
    if (signal?.aborted === true) throw new AntirioError('timeout', 'the fetch was broken off');
    yield bytes;
  }
}
