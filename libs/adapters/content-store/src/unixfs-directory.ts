import { encode, prepare, type PBLink } from '@ipld/dag-pb';
import { AntirioError } from '@antirio/kernel';
import {
  DAG_PB,
  makeBlock,
  RAW,
  readBlock,
  requireReadable,
  type BlockSink,
  type BlockSource,
  type CID,
} from './block.ts';
import { decodeNode } from './dag.ts';
import { decodeData, encodeDirectoryData } from './unixfs-data.ts';
import type { Stored } from './unixfs-file.ts';
import { unixfsV1, type UnixfsProfile } from './unixfs-profile.ts';
import { decodeShard, putShards, shardPath, type Shard } from './unixfs-shard.ts';

export interface DirectoryEntry {
  readonly name: string;
  readonly cid: CID;
  readonly dagSize: number;
}

/** Entries of one directory that are read or written. */
const MAX_ENTRIES = 1 << 20;
/** A hash of 64 bits has no more levels of buckets that anybody writes (fanout 8). */
const MAX_SHARD_LEVELS = 22;

/**
 * Stores a UnixFS directory of entries that are stored already, sharded where the profile wants that.
 * @throws AntirioError invalidInput for a name that is no file name or stands twice, tooLarge, storageFull
 */
export async function putDirectory(
  sink: BlockSink,
  entries: readonly DirectoryEntry[],
  profile: UnixfsProfile = unixfsV1,
): Promise<Stored> {
  requireNames(entries);
  if (profile.directorySize === 'links' && linksSize(entries) > profile.maxDirectoryBytes)
    return putShards(sink, entries, profile.cidVersion);
  const links = entries.map((entry) => ({ Name: entry.name, Tsize: entry.dagSize, Hash: entry.cid }));
  const bytes = encode(prepare({ Data: encodeDirectoryData(), Links: links }));
  if (profile.directorySize === 'block' && bytes.length > profile.maxDirectoryBytes)
    return putShards(sink, entries, profile.cidVersion);
  const block = makeBlock(DAG_PB, bytes, profile.cidVersion);
  await sink.put(block);
  return { cid: block.cid, size: 0, dagSize: entries.reduce((sum, e) => sum + e.dagSize, bytes.length) };
}

function requireNames(entries: readonly DirectoryEntry[]): void {
  if (entries.length > MAX_ENTRIES)
    throw new AntirioError('tooLarge', `a directory of over ${MAX_ENTRIES} entries`, { limit: MAX_ENTRIES });
  const names = new Set<string>();
  for (const { name } of entries) {
    if (!isFileName(name)) throw new AntirioError('invalidInput', `not a file name: ${JSON.stringify(name)}`);
    if (names.has(name)) throw new AntirioError('invalidInput', `the directory has ${name} twice`);
    names.add(name);
  }
}

function isFileName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}

const linksSize = (entries: readonly DirectoryEntry[]): number =>
  entries.reduce((sum, { name, cid }) => sum + Buffer.byteLength(name) + cid.bytes.length, 0);

type Decoded =
  | { readonly kind: 'plain'; readonly entries: readonly DirectoryEntry[] }
  | { readonly kind: 'sharded'; readonly shard: Shard };

/** @throws AntirioError invalidInput where the block is no directory. */
function decodeDirectory(cid: CID, bytes: Uint8Array): Decoded {
  if (cid.code === RAW) throw notDirectory(cid, 'raw block');
  const node = decodeNode(cid, bytes);
  const data = decodeData(cid, node.Data);
  if (data.type === 'directory')
    return { kind: 'plain', entries: node.Links.map((link) => entryOf(link.Name ?? '', link)) };
  if (data.type !== 'hamt-sharded-directory') throw notDirectory(cid, data.type);
  return { kind: 'sharded', shard: decodeShard(cid, node, data) };
}

const entryOf = (name: string, link: PBLink): DirectoryEntry => ({
  name,
  cid: requireReadable(link.Hash),
  dagSize: link.Tsize ?? 0,
});

/**
 * All entries of a directory, sharded or not.
 * @throws AntirioError notFound | corrupt | tooLarge, or invalidInput where the root is no directory, an entry is not where its
 * name belongs, or stands twice.
 */
export async function readDirectory(
  source: BlockSource,
  root: CID,
  maxEntries = MAX_ENTRIES,
): Promise<DirectoryEntry[]> {
  const entries = new Map<string, DirectoryEntry>();
  const take = (entry: DirectoryEntry): void => {
    if (entries.has(entry.name)) throw malformed(root, `it has ${JSON.stringify(entry.name)} twice`);
    if (entries.size >= maxEntries)
      throw new AntirioError('tooLarge', `a directory of over ${maxEntries} entries`, { limit: maxEntries });
    entries.set(entry.name, entry);
  };
  const decoded = decodeDirectory(requireReadable(root), await readBlock(source, root));
  if (decoded.kind === 'plain') decoded.entries.forEach(take);
  else await readShards({ source, root, take, left: maxEntries }, decoded.shard, []);
  return [...entries.values()];
}

interface ShardReader {
  readonly source: BlockSource;
  readonly root: CID;
  readonly take: (entry: DirectoryEntry) => void;
  /** Shards that may still be read: no directory has more of them than entries. */
  left: number;
}

async function readShards(reader: ShardReader, shard: Shard, path: readonly number[]): Promise<void> {
  if (path.length >= MAX_SHARD_LEVELS) throw malformed(reader.root, 'its shards are too deep');
  for (const link of shard.links) {
    const here = [...path, link.bucket];
    if (link.kind === 'shard') {
      reader.left--;
      if (reader.left < 0) throw new AntirioError('tooLarge', 'a directory of too many shards');
      await readShards(reader, await shardAt(reader.source, reader.root, link.cid, shard.bits), here);
    } else {
      const bucketAt = await shardPath(link.name);
      if (here.some((bucket, level) => bucketAt(shard.bits, level) !== bucket))
        throw malformed(reader.root, `${JSON.stringify(link.name)} is not where its name belongs`);
      reader.take(entryOf(link.name, link.link));
    }
  }
}

async function shardAt(source: BlockSource, root: CID, cid: CID, bits: number): Promise<Shard> {
  const decoded = decodeDirectory(requireReadable(cid), await readBlock(source, cid));
  if (decoded.kind !== 'sharded' || decoded.shard.bits !== bits) throw malformed(root, 'a shard is none');
  return decoded.shard;
}

/** Blocks passed on the way to something, parents before children. */
export type OnBlock = (block: { readonly cid: CID; readonly bytes: Uint8Array }) => void;

/**
 * One entry of a directory, reading no more than the shards on the way to it.
 * @throws AntirioError notFound where a block is missing, corrupt, or invalidInput where the root is no directory.
 */
export async function findEntry(
  source: BlockSource,
  root: CID,
  name: string,
  onBlock?: OnBlock,
): Promise<DirectoryEntry | undefined> {
  const bucketAt = await shardPath(name);
  let cid = requireReadable(root);
  for (let level = 0; level < MAX_SHARD_LEVELS; level++) {
    const bytes = await readBlock(source, cid);
    const decoded = decodeDirectory(cid, bytes);
    onBlock?.({ cid, bytes });
    if (decoded.kind === 'plain') {
      if (level > 0) throw malformed(root, 'a shard is none');
      return decoded.entries.find((entry) => entry.name === name);
    }
    const { bits, links } = decoded.shard;
    const bucket = bucketAt(bits, level);
    const inBucket = links.filter((link) => link.bucket === bucket);
    const entry = inBucket.find((link) => link.kind === 'entry' && link.name === name);
    if (entry?.kind === 'entry') return entryOf(name, entry.link);
    const below = inBucket.find((link) => link.kind === 'shard');
    if (below?.kind !== 'shard') return undefined;
    cid = requireReadable(below.cid);
  }
  throw malformed(root, 'its shards are too deep');
}

function notDirectory(cid: CID, what: string): AntirioError {
  return new AntirioError('invalidInput', `${cid.toString()} is a ${what}, not a directory`, {
    cid: cid.toString(),
  });
}

function malformed(cid: CID, why: string): AntirioError {
  return new AntirioError('invalidInput', `the directory ${cid.toString()} is malformed: ${why}`, {
    cid: cid.toString(),
  });
}
