import { encode, prepare, type PBLink, type PBNode } from '@ipld/dag-pb';
import { murmur364 } from '@multiformats/murmur3';
import { AntirioError } from '@antirio/kernel';
import { DAG_PB, makeBlock, type BlockSink, type CID } from './block.ts';
import type { DirectoryEntry } from './unixfs-directory.ts';
import { encodeShardData, type UnixfsData } from './unixfs-data.ts';
import type { Stored } from './unixfs-file.ts';

/** Multicodec of the first 64 bits of MurmurHash3 x64 128: the only hash that shards have. */
const MURMUR3_X64_64 = 0x22;
const HASH_BITS = 64;
const FANOUT_BITS = 8;
/** Other implementations read up to this. */
const MAX_FANOUT_BITS = 10;

async function hashOf(name: string): Promise<bigint> {
  const hash = await murmur364.encode(new TextEncoder().encode(name));
  return new DataView(hash.buffer, hash.byteOffset).getBigUint64(0);
}

/** Which of 2^bits buckets a name belongs in, at a level from 0; undefined where its hash is used up. */
function bucketOf(hash: bigint, bits: number, level: number): number | undefined {
  const shift = HASH_BITS - bits * (level + 1);
  if (shift < 0) return undefined;
  return Number((hash >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n));
}

/** Bucket numbers in names of links have as many hex digits as the highest one. */
const prefixOf = (bucket: number, digits: number): string =>
  bucket.toString(16).toUpperCase().padStart(digits, '0');

interface Hashed {
  readonly entry: DirectoryEntry;
  readonly hash: bigint;
}

/**
 * Stores the entries of a directory as a HAMT of 256 buckets per shard (UnixFS specification, `HAMTShard`).
 * @throws AntirioError invalidInput for names that nothing tells apart, storageFull
 */
export async function putShards(
  sink: BlockSink,
  entries: readonly DirectoryEntry[],
  cidVersion: 0 | 1,
): Promise<Stored> {
  const hashed: Hashed[] = [];
  for (const entry of entries) hashed.push({ entry, hash: await hashOf(entry.name) });
  return putShard({ sink, cidVersion }, hashed, 0);
}

async function putShard(
  to: { readonly sink: BlockSink; readonly cidVersion: 0 | 1 },
  entries: readonly Hashed[],
  level: number,
): Promise<Stored> {
  const buckets = new Map<number, Hashed[]>();
  for (const each of entries) {
    const bucket = bucketOf(each.hash, FANOUT_BITS, level);
    if (bucket === undefined)
      throw new AntirioError('invalidInput', `names of one hash: ${each.entry.name} and another one`);
    const others = buckets.get(bucket);
    if (others === undefined) buckets.set(bucket, [each]);
    else others.push(each);
  }
  const links: PBLink[] = [];
  for (const [bucket, inside] of buckets) {
    const prefix = prefixOf(bucket, 2);
    const [only, second] = inside;
    if (only !== undefined && second === undefined) {
      const { name, cid, dagSize } = only.entry;
      links.push({ Name: prefix + name, Hash: cid, Tsize: dagSize });
    } else {
      const { cid, dagSize } = await putShard(to, inside, level + 1);
      links.push({ Name: prefix, Hash: cid, Tsize: dagSize });
    }
  }
  const data = encodeShardData(bitfieldOf(buckets.keys()), MURMUR3_X64_64, 1 << FANOUT_BITS);
  const block = makeBlock(DAG_PB, encode(prepare({ Data: data, Links: links })), to.cidVersion);
  await to.sink.put(block);
  const below = links.reduce((sum, link) => sum + (link.Tsize ?? 0), 0);
  return { cid: block.cid, size: 0, dagSize: below + block.bytes.length };
}

function bitfieldOf(buckets: Iterable<number>): Uint8Array {
  const bytes = new Uint8Array((1 << FANOUT_BITS) / 8);
  for (const bucket of buckets) {
    const at = bytes.length - 1 - (bucket >> 3);
    bytes[at] = (bytes[at] ?? 0) | (1 << (bucket & 7));
  }
  return bytes.subarray(bytes.findIndex((byte) => byte !== 0));
}

/** What a link of a shard is: an entry of the directory, or a further shard. */
export type ShardLink =
  | { readonly kind: 'entry'; readonly bucket: number; readonly name: string; readonly link: PBLink }
  | { readonly kind: 'shard'; readonly bucket: number; readonly cid: CID };

export interface Shard {
  /** Bits of a name's hash that it uses. */
  readonly bits: number;
  readonly links: readonly ShardLink[];
}

/** @throws AntirioError invalidInput for a shard that is malformed, or of a hash or a width that nobody writes. */
export function decodeShard(cid: CID, node: PBNode, data: UnixfsData): Shard {
  const refuse = (why: string): never => {
    throw new AntirioError('invalidInput', `block ${cid.toString()} is no shard of a directory: ${why}`, {
      cid: cid.toString(),
    });
  };
  const bits = Math.log2(Number(data.fanout));
  if (!Number.isInteger(bits) || bits < 1 || bits > MAX_FANOUT_BITS) refuse(`a fanout of ${data.fanout}`);
  if (data.hashType !== BigInt(MURMUR3_X64_64)) refuse(`hash type ${data.hashType}`);
  const digits = ((1 << bits) - 1).toString(16).length;
  const links = node.Links.map((link): ShardLink => {
    const [prefix, name] = [(link.Name ?? '').slice(0, digits), (link.Name ?? '').slice(digits)];
    const bucket = Number.parseInt(prefix, 16);
    if (prefixOf(bucket, digits) !== prefix) refuse(`a link ${JSON.stringify(link.Name)}`);
    if (name === '') return { kind: 'shard', bucket, cid: link.Hash };
    return { kind: 'entry', bucket, name, link };
  });
  return { bits, links };
}

/** Follows one name down a HAMT. */
export async function shardPath(name: string): Promise<(bits: number, level: number) => number | undefined> {
  const hash = await hashOf(name);
  return (bits, level) => bucketOf(hash, bits, level);
}
