import type { CID } from '@antirio/content-store';
import type { Check } from '@antirio/host';
import { AntirioError, describeError, isAntirioError, type Clock, type Random } from '@antirio/kernel';
import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import { KeptNames } from './kept-names.ts';
import { KuboKeeper } from './kubo-keeper.ts';
import { kuboNode, type KuboNode } from './kubo-node.ts';
import { KuboNodes, worst, type Asked } from './kubo-nodes.ts';
import { KuboReader } from './kubo-reader.ts';
import { KuboRemote } from './kubo-remote.ts';
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
const PATHS = 2;
/** Before what could not be let go is tried again; doubled after each further failure. */
const LET_GO_AFTER_MS = 1000;
const LET_GO_MOST_MS = 300_000;

/** Kubo nodes of our own, by their RPC, and a remote pinning service behind them where there is one. */
export function kuboNetwork(options: KuboNetworkOptions): StorageNetwork {
  if (options.apiUrls.length === 0 && options.pinning === undefined)
    throw new AntirioError('badConfig', 'a Kubo network takes the URL of a node');
  mkdirSync(options.folder, { recursive: true });
  return new KuboNetwork(options);
}

class KuboNetwork implements StorageNetwork {
  readonly kind = 'kubo';
  readonly #nodes: KuboNodes;
  readonly #keeper: KuboKeeper;
  readonly #reader: KuboReader;
  readonly #remote: KuboRemote | undefined;
  readonly #names: KeptNames;
  readonly #price: StoragePrice;
  readonly #copies: number;
  #last: Promise<unknown> = Promise.resolve();
  #letGoMs = LET_GO_AFTER_MS;
  #later: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: KuboNetworkOptions) {
    const { apiUrls, authFile, idleMs = IDLE_MS } = options;
    this.#nodes = new KuboNodes(apiUrls.map((url) => kuboNode(kuboRpc({ url, authFile, idleMs }))));
    this.#keeper = new KuboKeeper(options.owner, options.paths ?? PATHS, options.random);
    this.#reader = new KuboReader(this.#nodes, options.searchMs);
    this.#remote = options.pinning && this.#remoteOf(pinningService(options.pinning));
    const holders = apiUrls.length + (this.#remote === undefined ? 0 : 1);
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

  #remoteOf(service: PinningService): KuboRemote {
    return new KuboRemote(service, this.#nodes, this.#keeper.ownPrefix);
  }

  async put(name: string, dag: Dag, watch: PutWatch = {}): Promise<StorageRef> {
    const pinName = this.#keeper.pinName(name);
    let done = 0;
    const asked = await this.#nodes.each(async (node) => {
      const onProgress = (bytes: number): void =>
        watch.onProgress?.(Math.floor((done * dag.bytes + bytes) / this.#nodes.all.length));
      await this.#hold(node, name, dag, { ...watch, onProgress });
      done++;
    }, watch.signal);
    // Who is away is told of it when it is put again; what is held by too few is not put.
    const needed = Math.min(this.#copies, this.#nodes.all.length);
    if (asked.done.length < needed) throw worst(asked);
    await this.#alone(async () => {
      // Another name may have been let go of meanwhile, and the pin with it.
      for (const { node } of asked.done)
        if (!(await this.#keeper.isKept(node, dag.root))) await this.#keeper.keep(node, dag.root, pinName);
      this.#names.name(name, dag.root);
      await this.#letGoOfReplaced();
    });
    const providers = asked.done.map(({ node }) => node.name);
    if (this.#remote !== undefined) {
      await this.#remote.request(dag.root, pinName);
      providers.push(this.#remote.name);
    }
    watch.onProgress?.(dag.bytes);
    return { cid: dag.root, bytes: dag.bytes, providers };
  }

  /** What is pinned and shows its blocks is left as it is. */
  async #hold(node: KuboNode, name: string, dag: Dag, watch: PutWatch): Promise<void> {
    const lack = await this.#keeper.lack(node, dag.root);
    if (lack === undefined) return;
    if (lack.code === 'corrupt') await this.#alone(() => this.#keeper.renew(node, dag, lack));
    await node.send(dag, watch);
    const pinName = this.#keeper.pinName(name);
    await this.#alone(async () => this.#names.intend(name, dag.root));
    try {
      await this.#keeper.keep(node, dag.root, pinName, watch.signal);
    } catch (error) {
      if (!isAntirioError(error, 'notFound')) throw error;
      // Something was collected between being asked about and being pinned: this time nothing is asked.
      await node.send(dag, { ...watch, all: true });
      await this.#keeper.keep(node, dag.root, pinName, watch.signal);
    }
  }

  get(ref: Pick<StorageRef, 'cid' | 'providers'>, options?: GetOptions): AsyncIterable<UncheckedBlock> {
    return this.#reader.get(ref, options);
  }

  async has(cid: CID): Promise<boolean> {
    const asked = await this.#nodes.each((node) => node.has(cid));
    if (asked.done.some(({ value }) => value)) return true;
    if (asked.failed.length > 0) throw worst(asked);
    return false;
  }

  pin(name: string, { cid }: StorageRef): Promise<void> {
    return this.#alone(async () => {
      const asked = await this.#nodes.each(async (node) => {
        if (await this.#keeper.holds(node, cid)) return;
        this.#names.intend(name, cid);
        await this.#keeper.keep(node, cid, this.#keeper.pinName(name));
      });
      if (asked.done.length === 0) {
        const isNowhere = asked.failed.every(({ error }) => isAntirioError(error, 'notFound'));
        if (isNowhere) this.#names.dropIntent(name);
        throw worst(asked);
      }
      await this.#remote?.request(cid, this.#keeper.pinName(name));
      this.#names.name(name, cid);
      await this.#letGoOfReplaced();
    });
  }

  unpin(name: string): Promise<boolean> {
    return this.#alone(() => this.#drop(name));
  }

  async #drop(name: string): Promise<boolean> {
    const had = this.#names.of(name);
    for (const cid of had) if (!this.#names.isKept(cid, name)) await this.#letGo(cid);
    this.#names.drop(name);
    await this.#letGoOfReplaced();
    return had.length > 0;
  }

  /** By the names of the pins, so that nothing needs to be known of them here. */
  async keepOnly(isWanted: (name: string) => boolean, present?: StorageNetwork): Promise<number> {
    const other = present instanceof KuboNetwork ? present.#parts : undefined;
    const theirs = await other?.nodes.identities();
    return this.#alone(async () => {
      for (const name of this.#names.all()) if (!isWanted(name)) await this.#drop(name);
      const kept = this.#names.kept();
      const asked = await this.#nodes.each(async (node) => {
        if (theirs?.has(await node.identity()) !== true) await this.#keeper.keepOnly(node, kept);
      });
      if (asked.failed.length > 0) throw worst(asked);
      await this.#remote?.keepOnly(kept, other?.remote);
      return 0;
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
    const asked = await this.#nodes.each((node) => this.#keeper.letGo(node, cid));
    if (asked.failed.length > 0) throw worst(asked);
    await this.#remote?.letGo(cid);
  }

  async status({ cid }: StorageRef): Promise<Holding> {
    const asked = await this.#nodes.each((node) => this.#keeper.holds(node, cid));
    const holding = asked.done.filter(({ value }) => value).map(({ node }) => node);
    const { nodes, others } = await this.#nodes.different(holding);
    const remote = await this.#remote?.status(cid);
    const providers = nodes.map(({ name }) => name);
    if (remote === 'pinned') providers.push(this.#remoteName);
    if (providers.length === 0 && asked.failed.length > 0) throw worst(asked);
    const details = [...others, ...lacks(asked)];
    if (remote !== undefined && remote !== 'pinned') details.push(`${this.#remoteName}: ${remote}`);
    const detail = details.length === 0 ? {} : { detail: details.join('; ') };
    if (providers.length === 0) return { state: 'absent', providers, ...detail };
    return { state: providers.length >= this.#copies ? 'replicated' : 'stored', providers, ...detail };
  }

  get #remoteName(): string {
    return this.#remote?.name ?? '';
  }

  price(): StoragePrice {
    return this.#price;
  }

  async health(): Promise<Check> {
    const asked = await this.#nodes.each((node) => node.requireWell());
    const said = asked.done.map(({ value }) => value);
    const failed = asked.failed.map(({ error }) => describeError(error));
    const { others } = await this.#nodes.different(asked.done.map(({ node }) => node));
    const service = await this.#remote?.ailment();
    if (service !== undefined) failed.push(service);
    const ok = asked.done.length >= Math.min(this.#copies, this.#nodes.all.length) && service === undefined;
    return { ok, detail: [...failed, ...others, ...said].join('; ') };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#later);
    await this.#last.catch(() => undefined);
    this.#nodes.close();
    this.#remote?.close();
    this.#names.close();
  }

  get #parts(): { readonly nodes: KuboNodes; readonly remote: KuboRemote | undefined } {
    return { nodes: this.#nodes, remote: this.#remote };
  }

  /** One change of names and pins at a time. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(work, work);
    this.#last = run.catch(() => undefined);
    return run;
  }
}

const lacks = ({ done, failed }: Asked<boolean>): string[] => [
  ...done.filter(({ value }) => !value).map(({ node }) => `${node.name} does not hold it`),
  ...failed.map(({ error }) => describeError(error)),
];
