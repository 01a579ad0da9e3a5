import {
  fetchDag,
  inlineBytes,
  walkDag,
  type BlockProvider,
  type BlockStore,
  type CID,
  type DagLimits,
} from '@antirio/content-store';
import type { Check } from '@antirio/host';
import { AntirioError, describeError, type Random } from '@antirio/kernel';
import { isWhole, showBlocks } from './dag-of.ts';
import { fixedPrice, FREE, type StoragePrice, type StorageRate } from './price.ts';
import type {
  Dag,
  GetOptions,
  Holding,
  PutWatch,
  StorageNetwork,
  StorageRef,
  UncheckedBlock,
} from './storage-network.ts';

export interface OpenedProviders {
  readonly providers: readonly BlockProvider[];
  close(): void;
}

export interface EmbeddedNetworkOptions {
  /** Our own store: what is put is in it, what others give comes into it. Not closed with the network. */
  readonly store: BlockStore;
  /** What this edge is called as a provider. */
  readonly self: string;
  readonly random: Random;
  /** Opens those of a reference's providers that can be asked; without it nobody else is. */
  readonly open?: (names: readonly string[]) => OpenedProviders;
  /** Others that must show blocks of what is then called replicated (default 1). */
  readonly copies?: number;
  /** Paths from the root to a leaf that each of them is asked for (default 2). */
  readonly paths?: number;
  readonly blockTimeoutMs?: number;
  readonly limits?: DagLimits;
  /** Default: free. */
  readonly rate?: StorageRate;
}

/** Edges that hold blocks for each other: everything is in our own store, and comes from other edges by their block gateways. */
export function embeddedNetwork(options: EmbeddedNetworkOptions): StorageNetwork {
  return new EmbeddedNetwork(options);
}

const DEFAULT_TIMEOUT_MS = 15_000;
/** Apart from what other parts of the edge keep in the same store. */
const PIN_PREFIX = 'network/';
const pinOf = (name: string): string => PIN_PREFIX + name;

class EmbeddedNetwork implements StorageNetwork {
  readonly kind = 'embedded';
  readonly #options: EmbeddedNetworkOptions;
  readonly #store: BlockStore;
  readonly #price: StoragePrice;

  readonly #blockTimeoutMs: number;

  constructor(options: EmbeddedNetworkOptions) {
    this.#blockTimeoutMs = options.blockTimeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#options = options;
    this.#store = options.store;
    this.#price = fixedPrice(options.rate ?? FREE);
  }

  async put(name: string, dag: Dag, watch: PutWatch = {}): Promise<StorageRef> {
    const { root: cid, bytes } = dag;
    await this.#store.session(async () => {
      if (!(await isWhole(this.#store, cid))) await this.#take(dag, watch);
      await this.#store.pin(pinOf(name), cid);
    });
    watch.onProgress?.(bytes);
    return { cid, bytes, providers: [this.#options.self] };
  }

  async #take(dag: Dag, { signal, onProgress }: PutWatch): Promise<void> {
    let bytes = 0;
    for await (const block of dag.blocks()) {
      requireGoing(signal);
      await this.#store.put(block);
      bytes += block.bytes.length;
      onProgress?.(bytes);
    }
    await this.#store.flush();
  }

  async *get(
    { cid, providers }: Pick<StorageRef, 'cid' | 'providers'>,
    { have, signal, idleMs }: GetOptions = {},
  ): AsyncGenerator<UncheckedBlock> {
    const { limits } = this.#options;
    const opened = this.#open(providers);
    const blockTimeoutMs = idleMs ?? this.#blockTimeoutMs;
    // What no name keeps yet is not cleaned up before it has been read.
    const reading = Promise.withResolvers<undefined>();
    const session = this.#store.session(() => reading.promise);
    try {
      await fetchDag(this.#store, cid, opened.providers, { limits, blockTimeoutMs, signal });
      for await (const block of walkDag(this.#store, cid, limits)) {
        requireGoing(signal);
        const isWanted = have === undefined || !have(block.cid);
        if (isWanted && inlineBytes(block.cid) === undefined) yield block;
      }
    } catch (error) {
      throw opened.providers.length === 0 ? asMissing(error, cid) : error;
    } finally {
      opened.close();
      reading.resolve(undefined);
      await session;
    }
  }

  async has(cid: CID): Promise<boolean> {
    return this.#store.has(cid);
  }

  async pin(name: string, { cid }: StorageRef): Promise<void> {
    await this.#store.session(async () => {
      if (!(await isWhole(this.#store, cid)))
        throw new AntirioError('notFound', `${cid.toString()} is not whole here`, { cid: cid.toString() });
      await this.#store.pin(pinOf(name), cid);
    });
  }

  async unpin(name: string): Promise<boolean> {
    return this.#store.unpin(pinOf(name));
  }

  keepOnly(isWanted: (name: string) => boolean): Promise<number> {
    for (const { name } of this.#store.pins())
      if (name.startsWith(PIN_PREFIX) && !isWanted(name.slice(PIN_PREFIX.length))) this.#store.unpin(name);
    return Promise.resolve(0);
  }

  async status({ cid, providers }: StorageRef): Promise<Holding> {
    const isKept = this.#store.pins().some((pin) => pin.cid.equals(cid));
    if (!isKept || !(await isWhole(this.#store, cid)))
      return { state: 'absent', providers: [], detail: isKept ? 'blocks are missing' : 'no name keeps it' };
    const { shown, refused } = await this.#ask(cid, providers);
    const copies = this.#options.copies ?? 1;
    return {
      state: shown.length >= copies ? 'replicated' : 'stored',
      providers: [this.#options.self, ...shown],
      ...(refused.length === 0 ? {} : { detail: refused.join('; ') }),
    };
  }

  /** Who else shows blocks of it that are drawn by chance. */
  async #ask(cid: CID, names: readonly string[]): Promise<{ shown: string[]; refused: string[] }> {
    const { random, paths = 2 } = this.#options;
    const opened = this.#open(names);
    const shown: string[] = [];
    const refused: string[] = [];
    try {
      for (const provider of opened.providers) {
        const ask = (block: CID) => provider.fetchBlock(block, this.#blockTimeoutMs);
        await showBlocks(ask, cid, paths, random).then(
          () => shown.push(provider.name),
          (error: unknown) => refused.push(`${provider.name}: ${describeError(error)}`),
        );
      }
    } finally {
      opened.close();
    }
    return { shown, refused };
  }

  #open(names: readonly string[]): OpenedProviders {
    const others = names.filter((name) => name !== this.#options.self);
    return this.#options.open?.(others) ?? { providers: [], close: () => undefined };
  }

  price(): StoragePrice {
    return this.#price;
  }

  async health(): Promise<Check> {
    const { bytes, quotaBytes } = this.#store.usage();
    return { ok: bytes < quotaBytes, detail: `${bytes} of ${quotaBytes} bytes` };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function requireGoing(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new AntirioError('timeout', 'it was broken off');
}

/** With nobody to ask, what is not here is nowhere. */
function asMissing(error: unknown, cid: CID): unknown {
  if (!(error instanceof AntirioError) || error.code !== 'unavailable') return error;
  return new AntirioError('notFound', `${cid.toString()} is not whole here`, { cid: cid.toString() }, error);
}
