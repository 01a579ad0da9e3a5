// What reads bytes of strangers, for tools that try it with whatever bytes.
import { blockKey, DAG_PB, makeBlock } from './block.ts';
import { readCar as sectionsOf } from './car-reader.ts';
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

const MAX_CAR_BYTES = 4 << 20;

/** The blocks of a CAR, unchecked, from bytes that come in two parts. @throws AntirioError invalidInput | tooLarge */
export async function readCar(bytes: Uint8Array): Promise<{ key: string; bytes: number }[]> {
  async function* parts(): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, bytes.length >> 1);
    yield bytes.subarray(bytes.length >> 1);
  }
  const blocks: { key: string; bytes: number }[] = [];
  for await (const block of sectionsOf(parts(), MAX_CAR_BYTES))
    blocks.push({ key: blockKey(block.cid), bytes: block.bytes.length });
  return blocks;
}

/** The entries of a tar, with paths inside of it. @throws AntirioError invalidInput | tooLarge */
export function readTar(bytes: Uint8Array): TarEntry[] {
  const entries: TarEntry[] = [];
  const scanner = new TarScanner((entry) => entries.push({ ...entry, name: entryPath(entry.name) }));
  scanner.push(bytes);
  scanner.finish();
  return entries;
}
