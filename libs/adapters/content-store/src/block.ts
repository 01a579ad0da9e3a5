import { AntirioError, equalBytes, sha256, toHex } from '@antirio/kernel';
import { CID } from 'multiformats/cid';
import { create as createDigest } from 'multiformats/hashes/digest';
import { hashMemory, type HashMemory } from './hash-threads.ts';

export type { CID } from 'multiformats/cid';

/** Multicodec of a block that is content and nothing else. */
export const RAW = 0x55;
/** Multicodec of a node with links (dag-pb), which is what UnixFS directories and large files are made of. */
export const DAG_PB = 0x70;

const SHA2_256 = 0x12;
const IDENTITY = 0x00;
/** Bytes that a CID may hold itself, as other implementations have it. */
const MAX_INLINE_BYTES = 128;
const MAX_CID_TEXT = 320;

/** No block may be larger, here or on the wire (the usual limit of IPFS peers). */
export const MAX_BLOCK_BYTES = 2 << 20;

declare const verified: unique symbol;

/** A block whose bytes were hashed in this process and are those of its CID: the only kind that a store takes. */
export interface Block {
  readonly cid: CID;
  readonly bytes: Uint8Array;
  readonly [verified]: true;
}

/** Where blocks are read from. Whoever hands out a block has checked it. */
export interface BlockSource {
  /** @throws AntirioError notFound | corrupt */
  get(cid: CID): Promise<Uint8Array>;
  has(cid: CID): boolean;
}

/** Where blocks are written to. */
export interface BlockSink {
  /** The bytes are the sink's until this resolves, and no longer: whoever keeps them copies them. @throws AntirioError storageFull | tooLarge */
  put(block: Block): Promise<void>;
}

/** @throws AntirioError invalidInput when the text is no CID. */
export function decodeCid(text: string): CID {
  if (text.length > MAX_CID_TEXT) throw new AntirioError('invalidInput', 'not a CID: too long');
  try {
    return CID.parse(text);
  } catch (cause) {
    throw new AntirioError('invalidInput', `not a CID: ${text}`, { cid: text }, cause);
  }
}

/** Whether blocks of this CID can be here: raw or dag-pb under a whole SHA-256. */
export function isSupported(cid: CID): boolean {
  const { code, size } = cid.multihash;
  return (cid.code === RAW || cid.code === DAG_PB) && code === SHA2_256 && size === 32;
}

/** The content of a CID that holds it itself (identity multihash) in place of a hash: such a block is nowhere but here. */
export function inlineBytes(cid: CID): Uint8Array | undefined {
  const { code, digest } = cid.multihash;
  const isInline = code === IDENTITY && digest.length <= MAX_INLINE_BYTES;
  return isInline && (cid.code === RAW || cid.code === DAG_PB) ? digest : undefined;
}

/** The bytes of any CID that can be read here. @throws AntirioError notFound | corrupt | invalidInput */
export async function readBlock(source: BlockSource, cid: CID): Promise<Uint8Array> {
  return inlineBytes(cid) ?? source.get(requireSupported(cid));
}

/** What a link may lead to: a block that can be here, or one in its own CID. @throws AntirioError invalidInput */
export function requireReadable(cid: CID): CID {
  return inlineBytes(cid) === undefined ? requireSupported(cid) : cid;
}

/** @throws AntirioError invalidInput when the text is no CID, or names a codec or a hash that is not supported. */
export function parseCid(text: string): CID {
  return requireSupported(decodeCid(text));
}

export function requireSupported(cid: CID): CID {
  if (isSupported(cid)) return cid;
  throw new AntirioError(
    'invalidInput',
    `${cid.toString()}: only raw and dag-pb blocks under SHA-256 are supported`,
    {
      cid: cid.toString(),
    },
  );
}

/** What a block is known by in stores and sets: the hash alone, so that CIDv0 and CIDv1 of the same bytes are one block. */
export function blockKey(cid: CID): string {
  return toHex(cid.multihash.digest);
}

export type Codec = typeof RAW | typeof DAG_PB;

/** Makes the block of bytes of our own. There is no CID of version 0 but of dag-pb nodes. @throws AntirioError tooLarge */
export function makeBlock(codec: Codec, bytes: Uint8Array, version: 0 | 1 = 1): Block {
  requireBlockSize(bytes.length);
  return blockOf(codec, version, sha256(bytes), bytes);
}

/** A block, and the memory whose beginning it is. */
export interface MadeBlock {
  readonly block: Block;
  readonly memory: Uint8Array<ArrayBuffer>;
}

/**
 * The same of the first bytes of some memory, which is not the caller's until this resolves, and then only what comes back.
 * @throws AntirioError tooLarge; unavailable, and the memory is lost, where a thread that hashes dies
 */
export async function makeBlockIn(
  memory: Uint8Array<ArrayBuffer>,
  length: number,
  { codec, version }: { readonly codec: Codec; readonly version: 0 | 1 },
  hash: HashMemory = hashMemory,
): Promise<MadeBlock> {
  requireBlockSize(length);
  const hashed = await hash(memory, length);
  const block = blockOf(codec, version, hashed.digest, hashed.memory.subarray(0, length));
  return { block, memory: hashed.memory };
}

function blockOf(codec: Codec, version: 0 | 1, sha256OfBytes: Uint8Array, bytes: Uint8Array): Block {
  const digest = createDigest(SHA2_256, sha256OfBytes);
  const isV0 = version === 0 && codec === DAG_PB;
  return { cid: isV0 ? CID.createV0(digest) : CID.createV1(codec, digest), bytes } as Block;
}

/** Takes bytes that came from outside as the block of a CID. @throws AntirioError corrupt | tooLarge | invalidInput */
export function checkBlock(cid: CID, bytes: Uint8Array): Block {
  requireBlockSize(bytes.length);
  const expected = requireSupported(cid).multihash.digest;
  if (!equalBytes(sha256(bytes), expected))
    throw new AntirioError('corrupt', `the bytes are not those of ${cid.toString()}`, {
      cid: cid.toString(),
      bytes: bytes.length,
    });
  return { cid, bytes } as Block;
}

/** @throws AntirioError tooLarge */
export function requireBlockSize(size: number): void {
  if (size > MAX_BLOCK_BYTES)
    throw new AntirioError('tooLarge', `a block of ${size} bytes is over the limit`, {
      limit: MAX_BLOCK_BYTES,
    });
}
