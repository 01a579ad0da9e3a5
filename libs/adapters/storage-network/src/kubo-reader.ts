import { checkBlock, inlineBytes, MAX_BLOCK_BYTES, placeKey, RAW, type CID } from '@antirio/content-store';
import { isAntirioError } from '@antirio/kernel';
import { leavesOf, linksUnchecked } from './kubo-node.ts';
import type { KuboNodes } from './kubo-nodes.ts';
import type { GetOptions, StorageRef, UncheckedBlock } from './storage-network.ts';

/** The leaves of a node are asked for in one answer where as many are missing, and all. */
const EXPORT_FROM = 8;

type Wanted = Pick<StorageRef, 'cid' | 'providers'>;

/** Gets DAGs from nodes, from what of them is not here. */
export class KuboReader {
  readonly #nodes: KuboNodes;
  readonly #searchMs: number;

  /** @param searchMs how long the IPFS network is searched for what no node holds */
  constructor(nodes: KuboNodes, searchMs = 0) {
    this.#nodes = nodes;
    this.#searchMs = searchMs;
  }

  async *get(ref: Wanted, options: GetOptions = {}): AsyncGenerator<UncheckedBlock> {
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
  async #here(ref: Pick<Wanted, 'providers'>, cid: CID, options: GetOptions): Promise<UncheckedBlock> {
    const inline = inlineBytes(cid);
    if (inline !== undefined) return { cid, bytes: inline };
    if (options.read !== undefined) return { cid, bytes: await options.read(cid) };
    return checkBlock(cid, await this.#block(ref, cid, options));
  }

  /** From the nodes that the reference names first, then from the others, at last from the whole IPFS network. */
  async #block(
    { providers }: Pick<Wanted, 'providers'>,
    cid: CID,
    { signal, idleMs }: GetOptions,
  ): Promise<Uint8Array> {
    const searchMs = this.#searchMs;
    const nodes = this.#nodes.ordered(providers);
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
    { providers }: Pick<Wanted, 'providers'>,
    cid: CID,
    links: readonly CID[],
    { signal, idleMs }: GetOptions,
  ): AsyncGenerator<UncheckedBlock> {
    const wanted = new Set(links.map(placeKey));
    for (const node of this.#nodes.ordered(providers)) {
      try {
        const blocks = node.export(cid, links.length * MAX_BLOCK_BYTES, { signal, idleMs });
        yield* leavesOf(blocks, wanted);
        return;
      } catch (error) {
        if (signal?.aborted === true || isAntirioError(error, 'timeout')) throw error;
      }
    }
  }
}

const isKnown = (cid: CID, { have }: GetOptions): boolean =>
  inlineBytes(cid) !== undefined || have?.(cid) === true;

const areMissingLeaves = (links: readonly CID[], options: GetOptions): boolean =>
  links.length >= EXPORT_FROM && links.every((link) => link.code === RAW && !isKnown(link, options));
