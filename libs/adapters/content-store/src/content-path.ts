import { AntirioError, isAntirioError } from '@antirio/kernel';
import { DAG_PB, readBlock, requireReadable, type BlockSource, type CID } from './block.ts';
import { decodeNode } from './dag.ts';
import { decodeData } from './unixfs-data.ts';
import { findEntry } from './unixfs-directory.ts';

/** A path below a root, followed to its end. */
export interface ResolvedPath {
  /** What the path leads to. */
  readonly cid: CID;
  /** The root and what each segment leads to. */
  readonly roots: readonly CID[];
  /** Blocks that prove the way, without the one at its end. */
  readonly passed: readonly CID[];
}

/**
 * Follows names through UnixFS directories, sharded ones too, and through the named links of other dag-pb nodes.
 * @throws AntirioError notFound where a name or a block on the way is not there or no block that has names, corrupt
 */
export async function resolvePath(
  source: BlockSource,
  root: CID,
  segments: readonly string[],
): Promise<ResolvedPath> {
  const roots = [requireReadable(root)];
  const passed: CID[] = [];
  let at = root;
  for (const segment of segments) {
    const next = await step(source, at, segment, (cid) => passed.push(cid)).catch((error: unknown) => {
      if (isAntirioError(error, 'corrupt') || !isAntirioError(error)) throw error;
      throw new AntirioError('notFound', `no way to ${JSON.stringify(segment)}: ${error.message}`, {}, error);
    });
    if (next === undefined)
      throw new AntirioError('notFound', `${at.toString()} has no ${JSON.stringify(segment)}`);
    at = next;
    roots.push(at);
  }
  return { cid: at, roots, passed };
}

async function step(
  source: BlockSource,
  cid: CID,
  name: string,
  onPassed: (cid: CID) => void,
): Promise<CID | undefined> {
  if (cid.code !== DAG_PB) return undefined;
  const node = decodeNode(cid, await readBlock(source, cid));
  if (node.Data !== undefined && node.Data.length > 0) {
    const { type } = decodeData(cid, node.Data);
    if (type !== 'directory' && type !== 'hamt-sharded-directory') return undefined;
    return (await findEntry(source, cid, name, (block) => onPassed(block.cid)))?.cid;
  }
  onPassed(cid);
  const link = node.Links.find((each) => each.Name === name);
  return link === undefined ? undefined : requireReadable(link.Hash);
}
