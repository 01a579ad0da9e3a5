import { encode, prepare } from '@ipld/dag-pb';
import { AntirioError } from '@antirio/kernel';
import { UnixFS } from 'ipfs-unixfs';
import {
  DAG_PB,
  makeBlock,
  RAW,
  requireSupported,
  type BlockSink,
  type BlockSource,
  type CID,
} from './block.ts';
import { decodeNode } from './dag.ts';
import { decodeData } from './unixfs-data.ts';
import type { Stored } from './unixfs-file.ts';

export interface DirectoryEntry {
  readonly name: string;
  readonly cid: CID;
  readonly dagSize: number;
}

/** Above this a directory is sharded (HAMT) in the profile `unixfs-v1-2025`, which is not done here. */
const MAX_DIRECTORY_BYTES = 256 << 10;

/**
 * Stores a UnixFS directory of entries that are stored already.
 * @throws AntirioError invalidInput for a name that is no file name or stands twice, tooLarge over 256 KiB of entries.
 */
export async function putDirectory(sink: BlockSink, entries: readonly DirectoryEntry[]): Promise<Stored> {
  const names = new Set<string>();
  for (const { name } of entries) {
    if (!isFileName(name)) throw new AntirioError('invalidInput', `not a file name: ${JSON.stringify(name)}`);
    if (names.has(name)) throw new AntirioError('invalidInput', `the directory has ${name} twice`);
    names.add(name);
  }
  const links = entries.map((entry) => ({ Name: entry.name, Tsize: entry.dagSize, Hash: entry.cid }));
  const bytes = encode(prepare({ Data: new UnixFS({ type: 'directory' }).marshal(), Links: links }));
  if (bytes.length > MAX_DIRECTORY_BYTES)
    throw new AntirioError('tooLarge', `a directory of ${entries.length} entries would have to be sharded`);
  const block = makeBlock(DAG_PB, bytes);
  await sink.put(block);
  return { cid: block.cid, size: 0, dagSize: entries.reduce((sum, e) => sum + e.dagSize, bytes.length) };
}

function isFileName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}

/** @throws AntirioError notFound | corrupt, or invalidInput where the root is no (unsharded) directory. */
export async function readDirectory(source: BlockSource, root: CID): Promise<DirectoryEntry[]> {
  if (requireSupported(root).code === RAW) throw notDirectory(root, 'raw block');
  const node = decodeNode(root, await source.get(root));
  const { type } = decodeData(root, node.Data);
  if (type !== 'directory') throw notDirectory(root, type);
  return node.Links.map((link) => ({
    name: link.Name ?? '',
    cid: requireSupported(link.Hash),
    dagSize: link.Tsize ?? 0,
  }));
}

function notDirectory(cid: CID, what: string): AntirioError {
  return new AntirioError('invalidInput', `${cid.toString()} is a ${what}, not a directory`, {
    cid: cid.toString(),
  });
}
