import { placeKey, type CID } from '@antirio/content-store';
import { AntirioError, isAntirioError, type Random } from '@antirio/kernel';
import { blockNamed } from './dag-of.ts';
import { holderOf } from './kubo-holder.ts';
import type { KuboNode } from './kubo-node.ts';
import type { Dag } from './storage-network.ts';

/** Of the name of a pin, in bytes, as Kubo has it. */
const MAX_NAME = 255;

/** How an owner keeps DAGs at a node. */
export class KuboKeeper {
  readonly #owner: string;
  readonly #paths: number;
  readonly #random: Random;

  /** @param paths from the root to a leaf that a node is asked to show before it is believed to hold a DAG */
  constructor(owner: string, paths: number, random: Random) {
    this.#owner = owner;
    this.#paths = paths;
    this.#random = random;
  }

  /** Stands before the names of our pins. */
  get ownPrefix(): string {
    return `${this.#owner}/`;
  }

  pinName(name: string): string {
    return Buffer.from(this.ownPrefix + name)
      .subarray(0, MAX_NAME)
      .toString('utf8')
      .replace(/\uFFFD+$/, '');
  }

  async isKept(node: KuboNode, cid: CID): Promise<boolean> {
    const holder = await holderOf(this.#owner, cid);
    return (await node.pinned(holder.cid)) !== undefined;
  }

  async keep(node: KuboNode, cid: CID, pinName: string, signal?: AbortSignal): Promise<void> {
    const holder = await holderOf(this.#owner, cid);
    await node.sendBlock(holder, signal);
    await node.pin(holder.cid, pinName, signal);
  }

  async letGo(node: KuboNode, cid: CID): Promise<void> {
    await node.unpin((await holderOf(this.#owner, cid)).cid);
  }

  /**
   * Takes away our pins of all else than this. A DAG that is pinned itself, as it was done before there were directories for it, is given its
   * directory first.
   */
  async keepOnly(node: KuboNode, kept: readonly CID[]): Promise<void> {
    const holders = await Promise.all(kept.map((cid) => holderOf(this.#owner, cid)));
    const wanted = new Set(holders.map(({ cid }) => placeKey(cid)));
    for (const { cid, name } of await node.pins(this.ownPrefix)) {
      if (wanted.has(placeKey(cid))) continue;
      // One that is not whole is missed when it is looked at next, and sent again.
      if (kept.some((each) => each.equals(cid))) await this.keep(node, cid, name).catch(unlessNotFound);
      await node.unpin(cid);
    }
  }

  async holds(node: KuboNode, cid: CID): Promise<boolean> {
    return (await this.lack(node, cid)) === undefined;
  }

  /** Why a node does not hold a DAG; undefined where it does. */
  async lack(node: KuboNode, cid: CID): Promise<AntirioError | undefined> {
    if (!(await this.isKept(node, cid))) return new AntirioError('notFound', 'it is not pinned');
    try {
      await node.show(cid, this.#paths, this.#random);
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
  async renew(node: KuboNode, dag: Dag, { details }: AntirioError): Promise<void> {
    const block = await blockNamed(dag, details['cid']);
    if (block === undefined) return;
    const taken: { root: CID; name: string }[] = [];
    try {
      for (let root = await node.forget(block.cid); root !== undefined; root = await node.forget(block.cid)) {
        const name = (await node.pinned(root))?.name ?? '';
        if (!name.startsWith(this.ownPrefix))
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
}

function unlessNotFound(error: unknown): void {
  if (!isAntirioError(error, 'notFound')) throw error;
}
