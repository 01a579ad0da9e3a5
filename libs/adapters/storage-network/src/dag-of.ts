import {
  checkBlock,
  inlineBytes,
  linksOf,
  placeKey,
  RAW,
  readBlock,
  verifyDag,
  walkDag,
  type Block,
  type BlockSource,
  type CID,
  type DagLimits,
} from '@antirio/content-store';
import { AntirioError, isAntirioError, type Random } from '@antirio/kernel';
import type { Dag } from './storage-network.ts';

export interface DagOptions {
  readonly limits?: DagLimits;
  /** Of all its blocks, where they have been counted before. */
  readonly bytes?: number | undefined;
}

/**
 * A DAG of our own store, as networks take it. Every block is read and checked each time it is sent, and once before that where its
 * bytes are not known.
 * @throws AntirioError notFound | corrupt | tooLarge naming the first block that fails
 */
export async function dagOf(
  source: BlockSource,
  root: CID,
  { limits, bytes: known }: DagOptions = {},
): Promise<Dag> {
  const bytes = known ?? (await verifyDag(source, root, limits)).bytes;
  return { root, bytes, blocks: () => checkedBlocks(source, root, limits) };
}

/** Those that stand in their own CIDs are nowhere, and not sent. */
async function* checkedBlocks(source: BlockSource, root: CID, limits?: DagLimits): AsyncGenerator<Block> {
  for await (const { cid, bytes } of walkDag(source, root, limits))
    if (inlineBytes(cid) === undefined) yield checkBlock(cid, bytes);
}

/** Whether every block is here: nodes are read, leaves only looked up. */
export async function isWhole(source: BlockSource, root: CID): Promise<boolean> {
  const seen = new Set<string>();
  const stack = [root];
  for (let cid = stack.pop(); cid !== undefined; cid = stack.pop()) {
    if (seen.has(placeKey(cid))) continue;
    seen.add(placeKey(cid));
    if (inlineBytes(cid) === undefined && !source.has(cid)) return false;
    if (cid.code === RAW) continue;
    const bytes = await unlessMissing(() => readBlock(source, cid));
    if (bytes === undefined) return false;
    for (const link of linksOf(cid, bytes)) stack.push(link.cid);
  }
  return true;
}

/** Undefined where a block is not there, or damaged. */
export async function unlessMissing<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isAntirioError(error, 'notFound') || isAntirioError(error, 'corrupt')) return undefined;
    throw error;
  }
}

/**
 * Asks somebody who claims to hold a DAG for the blocks of some paths from its root to a leaf, drawn by chance.
 * @throws AntirioError corrupt where the bytes are wrong, and what `ask` throws
 */
export async function showBlocks(
  ask: (cid: CID) => Promise<Uint8Array>,
  root: CID,
  paths: number,
  random: Random,
): Promise<void> {
  const seen = new Map<string, Uint8Array>();
  for (let path = 0; path < paths; path++) {
    for (let cid: CID | undefined = root, depth = 0; cid !== undefined; depth++) {
      if (depth > MAX_PATH) throw new AntirioError('tooLarge', `the DAG has over ${MAX_PATH} levels`);
      const bytes: Uint8Array =
        inlineBytes(cid) ?? seen.get(placeKey(cid)) ?? checkBlock(cid, await ask(cid)).bytes;
      const links = linksOf(cid, bytes);
      if (links.length > 0 && seen.size < MAX_PATH) seen.set(placeKey(cid), bytes);
      cid = links[drawBelow(links.length, random)]?.cid;
    }
  }
}

const MAX_PATH = 32;

function drawBelow(count: number, random: Random): number {
  const bytes = random.bytes(4);
  return Math.floor((new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32) * count);
}

/** One block of a DAG by the text of its CID; undefined where it has none such. @throws what its store throws */
export async function blockNamed(dag: Dag, cid: unknown): Promise<Block | undefined> {
  for await (const { cid: each, bytes } of dag.blocks())
    if (each.toString() === cid) return checkBlock(each, Uint8Array.from(bytes));
  return undefined;
}
