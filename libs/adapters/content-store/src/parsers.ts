// What reads bytes of strangers, for tools that try it with whatever bytes.
import { blockKey, DAG_PB, makeBlock } from './block.ts';
import { decodeNode } from './dag.ts';
import { TarScanner, entryPath, type TarEntry } from './tar.ts';
import { decodeData, type UnixfsData } from './unixfs-data.ts';
import { decodeShard } from './unixfs-shard.ts';

export { decodeCid, blockKey, type CID } from './block.ts';

/** A block as a node of UnixFS. @throws AntirioError invalidInput | tooLarge */
export function readNode(bytes: Uint8Array): { links: string[]; data: UnixfsData } {
  const { cid } = makeBlock(DAG_PB, bytes);
  const node = decodeNode(cid, bytes);
  const data = decodeData(cid, node.Data);
  if (data.type === 'hamt-sharded-directory') decodeShard(cid, node, data);
  return { links: node.Links.map((link) => blockKey(link.Hash)), data };
}

/** The entries of a tar, with paths inside of it. @throws AntirioError invalidInput | tooLarge */
export function readTar(bytes: Uint8Array): TarEntry[] {
  const entries: TarEntry[] = [];
  const scanner = new TarScanner((entry) => entries.push({ ...entry, name: entryPath(entry.name) }));
  scanner.push(bytes);
  scanner.finish();
  return entries;
}
