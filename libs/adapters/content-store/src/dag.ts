import { decode, type PBNode } from '@ipld/dag-pb';
import { AntirioError } from '@antirio/kernel';
import {
  blockKey,
  isSupported,
  RAW,
  readBlock,
  requireReadable,
  type BlockSource,
  type CID,
} from './block.ts';

/** How much of a DAG is walked before it is refused. */
export interface DagLimits {
  /** Links from the root to the deepest block. */
  readonly maxDepth: number;
  readonly maxBlocks: number;
  /** Of all different blocks together. */
  readonly maxBytes: number;
}

/** A file of 1 PiB in chunks of 1 MiB is 4 deep; a directory of directories somewhat more. */
export const defaultDagLimits: DagLimits = { maxDepth: 32, maxBlocks: 1 << 20, maxBytes: 16 * 2 ** 30 };

export interface DagLink {
  readonly name: string;
  readonly cid: CID;
}

/** @throws AntirioError invalidInput when the block is no dag-pb node. */
export function decodeNode(cid: CID, bytes: Uint8Array): PBNode {
  try {
    return decode(bytes);
  } catch (cause) {
    throw new AntirioError(
      'invalidInput',
      `block ${cid.toString()} is no dag-pb node`,
      { cid: cid.toString() },
      cause,
    );
  }
}

/** The links of a block. @throws AntirioError invalidInput for a malformed node, or a link that cannot be followed. */
export function linksOf(cid: CID, bytes: Uint8Array): DagLink[] {
  if (requireReadable(cid).code === RAW) return [];
  return decodeNode(cid, bytes).Links.map((link) => ({
    name: link.Name ?? '',
    cid: requireReadable(link.Hash),
  }));
}

/** The links of a block that can be followed: none of a malformed node, and none to what cannot be here. */
export function linksWithin(cid: CID, bytes: Uint8Array): CID[] {
  if (!isSupported(cid) || cid.code === RAW) return [];
  try {
    return decode(bytes)
      .Links.map((link) => link.Hash)
      .filter(isSupported);
  } catch {
    return [];
  }
}

/**
 * Bytes of all of a DAG, as its root says: a claim of whoever made it, in which blocks that stand in it twice count twice.
 * @throws AntirioError invalidInput for a malformed node
 */
export function claimedBytes(root: CID, bytes: Uint8Array): number {
  if (requireReadable(root).code === RAW) return bytes.length;
  return decodeNode(root, bytes).Links.reduce((sum, link) => sum + (link.Tsize ?? 0), bytes.length);
}

/** What a place in a DAG is known by: the same bytes have links as a node and none as a raw block. */
export function placeKey(cid: CID): string {
  return `${cid.code}:${cid.multihash.code}:${blockKey(cid)}`;
}

/** Counts what has been seen of a DAG. */
export interface DagBudget {
  /** @throws AntirioError tooLarge when the DAG has grown over a limit with this block. */
  take(depth: number, bytes: number): void;
  /** Whether one more block at this depth would be within the limits, before it is asked for. @throws AntirioError tooLarge */
  requireRoom(depth: number): void;
  readonly blocks: number;
  readonly bytes: number;
}

export function createDagBudget(limits: DagLimits): DagBudget {
  let blocks = 0;
  let total = 0;
  const refuse = (what: string, limit: number): never => {
    throw new AntirioError('tooLarge', `the DAG has over ${limit} ${what}`, { limit });
  };
  const check = (depth: number, ofBlocks: number, ofBytes: number): void => {
    if (depth > limits.maxDepth) refuse('levels', limits.maxDepth);
    if (ofBlocks > limits.maxBlocks) refuse('blocks', limits.maxBlocks);
    if (ofBytes > limits.maxBytes) refuse('bytes', limits.maxBytes);
  };
  return {
    requireRoom: (depth) => check(depth, blocks + 1, total),
    take(depth, bytes) {
      blocks++;
      total += bytes;
      check(depth, blocks, total);
    },
    get blocks() {
      return blocks;
    },
    get bytes() {
      return total;
    },
  };
}

/** Every different block of a DAG, depth first, parents before children, in the order of the links. */
export async function* walkDag(
  source: BlockSource,
  root: CID,
  limits: DagLimits = defaultDagLimits,
): AsyncGenerator<{ cid: CID; bytes: Uint8Array }> {
  const budget = createDagBudget(limits);
  const seen = new Set<string>();
  const stack = [{ cid: requireReadable(root), depth: 0 }];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { cid, depth } = next;
    if (seen.has(placeKey(cid))) continue;
    seen.add(placeKey(cid));
    const bytes = await readBlock(source, cid);
    budget.take(depth, bytes.length);
    yield { cid, bytes };
    for (const link of linksOf(cid, bytes).reverse()) stack.push({ cid: link.cid, depth: depth + 1 });
  }
}

/** Reads and hashes every block. @throws AntirioError notFound | corrupt | tooLarge naming the first block that fails. */
export async function verifyDag(
  source: BlockSource,
  root: CID,
  limits?: DagLimits,
  onBlock?: (cid: CID, bytes: number) => void,
): Promise<{ blocks: number; bytes: number }> {
  let blocks = 0;
  let total = 0;
  for await (const { cid, bytes } of walkDag(source, root, limits)) {
    onBlock?.(cid, bytes.length);
    blocks++;
    total += bytes.length;
  }
  return { blocks, bytes: total };
}
