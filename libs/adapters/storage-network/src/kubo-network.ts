import { checkBlock, inlineBytes, placeKey, RAW, MAX_BLOCK_BYTES, type CID } from '@antirio/content-store';
import type { Check } from '@antirio/host';
import { AntirioError, describeError, isAntirioError, type Clock, type Random } from '@antirio/kernel';
import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import { KeptNames } from './kept-names.ts';
import { worst, type Asked } from './asked.ts';
import { blockNamed } from './dag-of.ts';
import { holderOf } from './kubo-holder.ts';
import { kuboNode, leavesOf, linksUnchecked, type KuboNode } from './kubo-node.ts';
import { kuboRpc } from './kubo-rpc.ts';
import { pinningService, type PinningService, type PinningServiceOptions } from './pinning-service.ts';
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

export interface KuboNetworkOptions {
  /** RPC of each node, `http://127.0.0.1:5001`. */
  readonly apiUrls: readonly string[];
  /** Holds what the RPC asks for (see `KuboRpcOptions`). */
  readonly authFile?: string | undefined;
  /** A pinning service that is asked to hold what the nodes hold. */
  readonly pinning?: PinningServiceOptions | undefined;
  /** Nodes and services that must hold what is called replicated (default: all of them). */
  readonly copies?: number | undefined;
  /** A folder of its own, for the names of what is kept: a Kubo pin has one name only. */
  readonly folder: string;
  /** Stands before the names of our pins: those of others on the same node are left alone. */
  readonly owner: string;
  readonly clock: Clock;
  readonly random: Random;
  /** How long the IPFS network is searched for what no node holds, in milliseconds (default 0: not at all). */
  readonly searchMs?: number | undefined;
  /** A node that is silent for so long is given up (default 30000). */
  readonly idleMs?: number | undefined;
  /** Paths from the root to a leaf that a node is asked to show before it is believed to hold a DAG (default 2). */
  readonly paths?: number | undefined;
  /** Default: free. */
  readonly rate?: StorageRate | undefined;
}

const IDLE_MS = 30_000;
/** The leaves of a node are asked for in one answer where as many are missing, and all. */
const EXPORT_FROM = 8;
/** Of the name of a pin, in bytes, as Kubo has it. */
const MAX_NAME = 255;
/** Before what could not be let go is tried again; doubled after each further failure. */
const LET_GO_AFTER_MS = 1000;
const LET_GO_MOST_MS = 300_000;

/** Kubo nodes of our own, by their RPC, and a remote pinning service behind them where there is one. */
export function kuboNetwork(options: KuboNetworkOptions): StorageNetwork {
  if (options.apiUrls.length === 0)
    throw new AntirioError('badConfig', 'a Kubo network takes the URL of a node');
  mkdirSync(options.folder, { recursive: true });
  return new KuboNetwork(options);
}

class KuboNetwork implements StorageNetwork {
  readonly kind = 'kubo';
  readonly #options: KuboNetworkOptions;
  readonly #nodes: readonly KuboNode[];
  readonly #service: PinningService | undefined;
  readonly #names: KeptNames;
  readonly #price: StoragePrice;
  readonly #copies: number;
  #last: Promise<unknown> = Promise.resolve();
  #letGoMs = LET_GO_AFTER_MS;
  #later: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: KuboNetworkOptions) {
    const { apiUrls, authFile, idleMs = IDLE_MS } = options;
    this.#options = options;
    this.#nodes = apiUrls.map((url) => kuboNode(kuboRpc({ url, authFile, idleMs })));
    this.#service = options.pinning === undefined ? undefined : pinningService(options.pinning);
    const holders = this.#nodes.length + (this.#service === undefined ? 0 : 1);
    this.#copies = options.copies ?? holders;
    if (this.#copies < 1 || this.#copies > holders)
      throw new AntirioError(
        'badConfig',
        `copies must be from 1 to ${holders}, which is how many can hold one`,
      );
    this.#price = fixedPrice(options.rate ?? FREE);
    this.#names = new KeptNames(join(options.folder, 'names.sqlite'), options.clock);
    if (this.#names.replaced().length > 0) this.#letGoLater();
  }

  async put(name: string, dag: Dag, watch: PutWatch = {}): Promise<StorageRef> {
    const pinName = this.#pinName(name);
    let done = 0;
    const asked = await this.#each(async (node) => {
      const onProgress = (bytes: number): void =>
        watch.onProgress?.(Math.floor((done * dag.bytes + bytes) / this.#nodes.length));
      await this.#hold(node, name, dag, { ...watch, onProgress });
      done++;
    }, watch.signal);
    // Who is away is told of it when it is put again; what is held by too few is not put.
    const needed = Math.min(this.#copies, this.#nodes.length);
    if (asked.done.length < needed) throw worst(asked);
    await this.#alone(async () => {
      // Another name may have been let go of meanwhile, and the pin with it.
      for (const { node } of asked.done)
        if (!(await this.#isKept(node, dag.root))) await this.#keep(node, dag.root, pinName);
      this.#names.name(name, dag.root);
      await this.#letGoOfReplaced();
    });
    const providers = asked.done.map(({ node }) => node.name);
    if (this.#service !== undefined) providers.push(await this.#request(this.#service, dag.root, pinName));
    watch.onProgress?.(dag.bytes);
    return { cid: dag.root, bytes: dag.bytes, providers };
  }

  /** What is pinned and shows its blocks is left as it is. */
  async #hold(node: KuboNode, name: string, dag: Dag, watch: PutWatch): Promise<void> {
    const lack = await this.#lack(node, dag.root);
    if (lack === undefined) return;
    if (lack.code === 'corrupt') await this.#alone(() => this.#renew(node, dag, lack));
    await node.send(dag, watch);
    const pinName = this.#pinName(name);
    await this.#alone(async () => this.#names.intend(name, dag.root));
    try {
      await this.#keep(node, dag.root, pinName, watch.signal);
    } catch (error) {
      if (!isAntirioError(error, 'notFound')) throw error;
      // Something was collected between being asked about and being pinned: this time nothing is asked.
      await node.send(dag, { ...watch, all: true });
      await this.#keep(node, dag.root, pinName, watch.signal);
    }
  }

  async #isKept(node: KuboNode, cid: CID): Promise<boolean> {
    const holder = await holderOf(this.#options.owner, cid);
    return (await node.pinned(holder.cid)) !== undefined;
  }

  async #keep(node: KuboNode, cid: CID, pinName: string, signal?: AbortSignal): Promise<void> {
    const holder = await holderOf(this.#options.owner, cid);
    await node.sendBlock(holder, signal);
    await node.pin(holder.cid, pinName, signal);
  }

  async #holds(node: KuboNode, cid: CID): Promise<boolean> {
    return (await this.#lack(node, cid)) === undefined;
  }

  /** Why a node does not hold a DAG; undefined where it does. */
  async #lack(node: KuboNode, cid: CID): Promise<AntirioError | undefined> {
    if (!(await this.#isKept(node, cid))) return new AntirioError('notFound', 'it is not pinned');
    try {
      await node.show(cid, this.#options.paths ?? 2, this.#options.random);
      return undefined;
    } catch (error) {
      if (isAntirioError(error, 'notFound') || isAntirioError(error, 'corrupt')) return error;
      throw error;
    }
  }

  /**
   * Kubo takes no block that it believes to have: a damaged one is removed first, for which all pins above it must go. They come back at once.
   * @throws AntirioError conflict where a pin of somebody else is above it
   */
  async #renew(node: KuboNode, dag: Dag, { details }: AntirioError): Promise<void> {
    const block = await blockNamed(dag, details['cid']);
    if (block === undefined) return;
    const taken: { root: CID; name: string }[] = [];
    try {
      for (let root = await node.forget(block.cid); root !== undefined; root = await node.forget(block.cid)) {
        const name = (await node.pinned(root))?.name ?? '';
        if (!name.startsWith(this.#ownPrefix))
          throw new AntirioError(
            'conflict',
            `${node.name} keeps a damaged block, ${block.cid.toString()}, for a pin that is not ours: ${root.toString()}`,
          );
        taken.push({ root, name });
        await node.unpin(root);
      }
      await node.sendBlock(block);
    } finally {
      // What cannot be pinned again is missed when it is looked at next.
      for (const { root, name } of taken) await node.pin(root, name).catch(() => undefined);
    }
  }

  async *get(
    ref: Pick<StorageRef, 'cid' | 'providers'>,
    options: GetOptions = {},
  ): AsyncGenerator<UncheckedBlock> {
    const seen = new Set<string>();
    const stack = [ref.cid];
    for (let cid = stack.pop(); cid !== undefined; cid = stack.pop()) {
      if (seen.has(placeKey(cid))) continue;
      seen.add(placeKey(cid));
      const isHere = isKnown(cid, options);
      if (isHere && cid.code === RAW) continue;
      const block = isHere
        ? await this.#here(ref, cid, options)
        : { cid, bytes: await this.#block(ref, cid, options) };
      if (!isHere) yield block;
      const links = linksUnchecked(block).filter((link) => !seen.has(placeKey(link)));
      if (areMissingLeaves(links, options))
        for await (const leaf of this.#leaves(ref, cid, links, options)) {
          seen.add(placeKey(leaf.cid));
          yield leaf;
        }
      stack.push(...links.reverse());
    }
  }

  /** A node that is here already, for its links. */
  async #here(ref: Pick<StorageRef, 'providers'>, cid: CID, options: GetOptions): Promise<UncheckedBlock> {
    const inline = inlineBytes(cid);
    if (inline !== undefined) return { cid, bytes: inline };
    if (options.read !== undefined) return { cid, bytes: await options.read(cid) };
    return checkBlock(cid, await this.#block(ref, cid, options));
  }

  /** From the nodes that the reference names first, then from the others, at last from the whole IPFS network. */
  async #block(
    { providers }: Pick<StorageRef, 'providers'>,
    cid: CID,
    { signal, idleMs }: GetOptions,
  ): Promise<Uint8Array> {
    const { searchMs = 0 } = this.#options;
    const nodes = this.#ordered(providers);
    const tries = nodes.map((node) => () => node.block(cid, { signal, idleMs }));
    if (searchMs > 0) tries.push(...nodes.map((node) => () => node.block(cid, { signal, idleMs, searchMs })));
    const errors: unknown[] = [];
    for (const ask of tries) {
      try {
        return await ask();
      } catch (error) {
        if (signal?.aborted === true) throw error;
        errors.push(error);
      }
    }
    // Who does not have it has said less than who failed.
    throw errors.find((error) => !isAntirioError(error, 'notFound')) ?? errors[0];
  }

  /** The leaves of a node in one answer, as many as come of it: who asked gets the others one by one. */
  async *#leaves(
    { providers }: Pick<StorageRef, 'providers'>,
    cid: CID,
    links: readonly CID[],
    { signal, idleMs }: GetOptions,
  ): AsyncGenerator<UncheckedBlock> {
    const wanted = new Set(links.map(placeKey));
    for (const node of this.#ordered(providers)) {
      try {
        const blocks = node.export(cid, links.length * MAX_BLOCK_BYTES, { signal, idleMs });
        yield* leavesOf(blocks, wanted);
        return;
      } catch (error) {
        if (signal?.aborted === true || isAntirioError(error, 'timeout')) throw error;
      }
    }
  }

  #ordered(providers: readonly string[]): KuboNode[] {
    const isNamed = (node: KuboNode): number => (providers.includes(node.name) ? 0 : 1);
    return this.#nodes.toSorted((a, b) => isNamed(a) - isNamed(b));
  }

  async has(cid: CID): Promise<boolean> {
    const asked = await this.#each((node) => node.has(cid));
    if (asked.done.some(({ value }) => value)) return true;
    if (asked.failed.length > 0) throw worst(asked);
    return false;
  }

  pin(name: string, { cid }: StorageRef): Promise<void> {
    return this.#alone(async () => {
      const asked = await this.#each(async (node) => {
        if (await this.#holds(node, cid)) return;
        this.#names.intend(name, cid);
        await this.#keep(node, cid, this.#pinName(name));
      });
      if (asked.done.length === 0) {
        const isNowhere = asked.failed.every(({ error }) => isAntirioError(error, 'notFound'));
        if (isNowhere) this.#names.dropIntent(name);
        throw worst(asked);
      }
      if (this.#service !== undefined) await this.#request(this.#service, cid, this.#pinName(name));
      this.#names.name(name, cid);
      await this.#letGoOfReplaced();
    });
  }

  unpin(name: string): Promise<boolean> {
    return this.#alone(async () => {
      const had = this.#names.of(name);
      for (const cid of had) if (!this.#names.isKept(cid, name)) await this.#letGo(cid);
      this.#names.drop(name);
      await this.#letGoOfReplaced();
      return had.length > 0;
    });
  }

  /** What could not be let go is tried again in its own time: that a node is away is no failure of what is asked now. */
  async #letGoOfReplaced(): Promise<void> {
    if (this.#later === undefined) await this.#tryToLetGo();
  }

  async #tryToLetGo(): Promise<void> {
    let isDone = true;
    for (const cid of this.#names.replaced()) {
      try {
        if (!this.#names.isKept(cid)) await this.#letGo(cid);
        this.#names.isLetGo(cid);
      } catch (error) {
        isDone = false;
        // Who is silent once is silent for the others too, and each takes its time.
        if (isAntirioError(error, 'timeout')) break;
      }
    }
    this.#letGoMs = isDone ? LET_GO_AFTER_MS : Math.min(this.#letGoMs * 2, LET_GO_MOST_MS);
    if (!isDone) this.#letGoLater();
  }

  #letGoLater(): void {
    if (this.#isClosed) return;
    this.#later = setTimeout(() => {
      this.#later = undefined;
      void this.#alone(() => this.#tryToLetGo());
    }, this.#letGoMs).unref();
  }

  /** Takes our pins away everywhere. @throws what the first failure was, once all were tried */
  async #letGo(cid: CID): Promise<void> {
    const asked = await this.#each(async (node) => {
      await node.unpin((await holderOf(this.#options.owner, cid)).cid);
    });
    if (asked.failed.length > 0) throw worst(asked);
    if (this.#service === undefined) return;
    for (const pin of await this.#service.list(cid.toString()))
      if (pin.pin.name?.startsWith(this.#ownPrefix) === true) await this.#service.remove(pin.requestid);
  }

  /** Asks a service to pin what the nodes hold, unless it was asked before. */
  async #request(service: PinningService, cid: CID, name: string): Promise<string> {
    const known = await service.list(cid.toString());
    const ours = known.filter((pin) => pin.pin.name?.startsWith(this.#ownPrefix) === true);
    if (!ours.some((pin) => pin.status !== 'failed')) {
      const asked = await this.#each((node) => node.addresses());
      const origins = asked.done.flatMap(({ value }) => value);
      const { delegates } = await service.add({ cid: cid.toString(), name, origins });
      for (const pin of ours) await service.remove(pin.requestid);
      await this.#each((node) => Promise.all(delegates.map((delegate) => node.connect(delegate))));
    }
    return service.name;
  }

  async status({ cid }: StorageRef): Promise<Holding> {
    const asked = await this.#each((node) => this.#holds(node, cid));
    const remote = await this.#remote(cid);
    const providers = asked.done.filter(({ value }) => value).map(({ node }) => node.name);
    if (remote?.status === 'pinned') providers.push(remote.name);
    if (providers.length === 0 && asked.failed.length > 0) throw worst(asked);
    const details = [
      ...asked.done.filter(({ value }) => !value).map(({ node }) => `${node.name} does not hold it`),
      ...asked.failed.map(({ error }) => describeError(error)),
      ...(remote === undefined || remote.status === 'pinned' ? [] : [`${remote.name}: ${remote.status}`]),
    ];
    const detail = details.length === 0 ? {} : { detail: details.join('; ') };
    if (providers.length === 0) return { state: 'absent', providers, ...detail };
    return { state: providers.length >= this.#copies ? 'replicated' : 'stored', providers, ...detail };
  }

  async #remote(cid: CID): Promise<{ name: string; status: string } | undefined> {
    if (this.#service === undefined) return undefined;
    const { name } = this.#service;
    try {
      const known = await this.#service.list(cid.toString());
      const pins = known.filter((pin) => pin.pin.name?.startsWith(this.#ownPrefix) === true);
      const order = ['pinned', 'pinning', 'queued', 'failed'];
      const best = order.find((status) => pins.some((pin) => pin.status === status));
      return { name, status: best ?? 'was not asked' };
    } catch (error) {
      return { name, status: describeError(error) };
    }
  }

  price(): StoragePrice {
    return this.#price;
  }

  async health(): Promise<Check> {
    const asked = await this.#each((node) => node.requireWell());
    const said = asked.done.map(({ value }) => value);
    const failed = asked.failed.map(({ error }) => describeError(error));
    const service = await this.#service?.requireWell().then(
      () => undefined,
      (error: unknown) => describeError(error),
    );
    if (service !== undefined) failed.push(service);
    const ok = asked.done.length >= Math.min(this.#copies, this.#nodes.length) && service === undefined;
    return { ok, detail: [...failed, ...said].join('; ') };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#later);
    await this.#last.catch(() => undefined);
    for (const { rpc } of this.#nodes) rpc.close();
    this.#service?.close();
    this.#names.close();
  }

  get #ownPrefix(): string {
    return `${this.#options.owner}/`;
  }

  #pinName(name: string): string {
    return Buffer.from(this.#ownPrefix + name)
      .subarray(0, MAX_NAME)
      .toString('utf8')
      .replace(/\uFFFD+$/, '');
  }

  /** Asks one after the other, so that what is held in memory for one is enough for all. */
  async #each<T>(ask: (node: KuboNode) => Promise<T>, signal?: AbortSignal): Promise<Asked<T>> {
    const asked: Asked<T> = { done: [], failed: [] };
    for (const node of this.#nodes) {
      try {
        asked.done.push({ node, value: await ask(node) });
      } catch (error) {
        if (signal?.aborted === true) throw error;
        asked.failed.push({ node, error });
      }
    }
    return asked;
  }

  /** One change of names and pins at a time. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(work, work);
    this.#last = run.catch(() => undefined);
    return run;
  }
}

const isKnown = (cid: CID, { have }: GetOptions): boolean =>
  inlineBytes(cid) !== undefined || have?.(cid) === true;

const areMissingLeaves = (links: readonly CID[], options: GetOptions): boolean =>
  links.length >= EXPORT_FROM && links.every((link) => link.code === RAW && !isKnown(link, options));
