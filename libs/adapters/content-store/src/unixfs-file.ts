import { encode, prepare } from '@ipld/dag-pb';
import { AntirioError, concatBytes } from '@antirio/kernel';
import {
  DAG_PB,
  makeBlock,
  makeBlockIn,
  RAW,
  readBlock,
  requireBlockSize,
  requireReadable,
  type BlockSink,
  type BlockSource,
  type CID,
  type Codec,
} from './block.ts';
import { BlockWindow } from './block-window.ts';
import { fixedChunker, type Chunker } from './chunker.ts';
import type { HashMemory } from './hash-threads.ts';
import { decodeNode } from './dag.ts';
import { decodeData, encodeFileData, leafFrame, type UnixfsData } from './unixfs-data.ts';
import { unixfsV1, type UnixfsProfile } from './unixfs-profile.ts';

/** A file or directory in a store. */
export interface Stored {
  readonly cid: CID;
  /** Bytes of content; 0 for a directory. */
  readonly size: number;
  /** Bytes of all blocks below and with the root, equal ones counted each time (dag-pb's Tsize). */
  readonly dagSize: number;
}

export interface ImportOptions {
  /** Which CIDs come out (default: `unixfs-v1-2025`). */
  readonly profile?: UnixfsProfile;
  /** In place of the profile's chunks of one size. */
  readonly chunker?: Chunker;
  /** Links of one node, in place of the profile's. */
  readonly maxLinks?: number;
  /** Content of more bytes is refused (default 16 GiB). */
  readonly maxBytes?: number;
  /** By what leaves are hashed (default: here, or in threads where the processor is slow at it). */
  readonly hash?: HashMemory;
}

const DEFAULT_MAX_BYTES = 16 * 2 ** 30;

/**
 * Stores a stream as a UnixFS file, a balanced tree; without another chunker or other links the CIDs are those of the
 * profile (IPIP-499). Blocks are read, hashed and written at the same time; holds 8 MiB of them and the links of
 * one path. However it ends, nothing is being put any more.
 * @throws AntirioError tooLarge | storageFull; what the source throws
 */
export async function importFile(
  sink: BlockSink,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions = {},
): Promise<Stored> {
  const window = new BlockWindow(sink);
  try {
    const stored = await importInto(window, source, options);
    await window.arrived();
    return stored;
  } finally {
    await window.settled();
  }
}

async function importInto(
  window: BlockWindow,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<Stored> {
  const profile = options.profile ?? unixfsV1;
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  const tree = new BalancedTree(window, profile, options.maxLinks ?? profile.maxLinks);
  const kind = { codec: codecOf(profile), version: profile.cidVersion };
  let size = 0;
  for await (const chunk of (options.chunker ?? fixedChunker(profile.chunkBytes))(source)) {
    size += chunk.length;
    if (size > maxBytes)
      throw new AntirioError('tooLarge', `a file of over ${maxBytes} bytes`, { limit: maxBytes });
    const { memory, length } = await framed(window, profile, chunk);
    const making = makeBlockIn(memory, length, kind, options.hash);
    const leaf = { size: chunk.length, dagSize: length };
    window.sendWhenMade(making, ({ cid }) => tree.add({ cid, ...leaf }));
  }
  await window.sent();
  return tree.finish() ?? sendEmpty(window, profile);
}

const codecOf = (profile: UnixfsProfile): Codec => (profile.rawLeaves ? RAW : DAG_PB);
const BARE = { head: new Uint8Array(), tail: new Uint8Array() };
const frameOf = (profile: UnixfsProfile, size: number) => (profile.rawLeaves ? BARE : leafFrame(size));

/** The bytes of a leaf, in memory of the window. */
async function framed(
  window: BlockWindow,
  profile: UnixfsProfile,
  chunk: Uint8Array,
): Promise<{ memory: Uint8Array<ArrayBuffer>; length: number }> {
  const { head, tail } = frameOf(profile, chunk.length);
  const length = head.length + chunk.length + tail.length;
  requireBlockSize(length);
  const memory = await window.take(length);
  memory.set(head);
  memory.set(chunk, head.length);
  memory.set(tail, length - tail.length);
  return { memory, length };
}

function sendEmpty(window: BlockWindow, profile: UnixfsProfile): Stored {
  const { head, tail } = frameOf(profile, 0);
  const leaf = makeBlock(codecOf(profile), concatBytes(head, tail), profile.cidVersion);
  window.send(leaf);
  return { cid: leaf.cid, size: 0, dagSize: leaf.bytes.length };
}

/** Nodes from the leaves up: level 0 collects leaves, level n the nodes over full groups of level n - 1. */
class BalancedTree {
  readonly #window: BlockWindow;
  readonly #profile: UnixfsProfile;
  readonly #maxLinks: number;
  readonly #levels: Stored[][] = [];

  constructor(window: BlockWindow, profile: UnixfsProfile, maxLinks: number) {
    this.#window = window;
    this.#profile = profile;
    this.#maxLinks = maxLinks;
  }

  add(child: Stored, level = 0): void {
    const group = (this.#levels[level] ??= []);
    // A full group is closed by the child after it, because the last one may be the whole file.
    if (group.length === this.#maxLinks) {
      this.#levels[level] = [child];
      this.add(this.#close(group), level + 1);
    } else {
      group.push(child);
    }
  }

  /** The root; undefined where there is no leaf. */
  finish(): Stored | undefined {
    for (let level = 0; ; level++) {
      const group = this.#levels[level];
      if (group === undefined) return undefined;
      const [only, second] = group;
      if (only !== undefined && second === undefined && level === this.#levels.length - 1) return only;
      this.add(this.#close(group), level + 1);
    }
  }

  #close(children: readonly Stored[]): Stored {
    const data = encodeFileData(children.map((child) => child.size));
    const links = children.map((child) => ({ Name: '', Tsize: child.dagSize, Hash: child.cid }));
    const block = makeBlock(DAG_PB, encode(prepare({ Data: data, Links: links })), this.#profile.cidVersion);
    this.#window.send(block);
    const sum = (of: 'size' | 'dagSize'): number => children.reduce((total, child) => total + child[of], 0);
    return { cid: block.cid, size: sum('size'), dagSize: sum('dagSize') + block.bytes.length };
  }
}

export interface ReadOptions {
  /** A file of more bytes is refused (default 16 GiB). */
  readonly maxBytes?: number;
  /** Levels of nodes above a leaf (default 32). */
  readonly maxDepth?: number;
}

/**
 * The content of a UnixFS file, every block verified, in order.
 * @throws AntirioError notFound | corrupt | tooLarge, or invalidInput where the node is no file or its sizes contradict
 * its content.
 */
export async function* readFile(
  source: BlockSource,
  root: CID,
  options: ReadOptions = {},
): AsyncGenerator<Uint8Array> {
  const reader = { source, left: options.maxBytes ?? DEFAULT_MAX_BYTES, maxDepth: options.maxDepth ?? 32 };
  yield* readNode(reader, requireReadable(root), undefined, 0);
}

/** Bytes of content that a file says it has; reading it proves it. @throws AntirioError notFound | corrupt | invalidInput */
export async function fileSize(source: BlockSource, root: CID): Promise<number> {
  const bytes = await readBlock(source, root);
  if (root.code === RAW) return bytes.length;
  const node = decodeNode(root, bytes);
  const data = decodeData(root, node.Data);
  requireFile(root, data, node.Links.length, undefined);
  const size = Number(data.size);
  if (!Number.isSafeInteger(size)) throw new AntirioError('tooLarge', 'a file of absurd size');
  return size;
}

interface Reader {
  readonly source: BlockSource;
  readonly maxDepth: number;
  left: number;
}

async function* readNode(
  reader: Reader,
  cid: CID,
  expected: bigint | undefined,
  depth: number,
): AsyncGenerator<Uint8Array> {
  if (depth > reader.maxDepth) throw new AntirioError('tooLarge', `a file of over ${reader.maxDepth} levels`);
  const bytes = await readBlock(reader.source, cid);
  if (cid.code === RAW) {
    yield takeContent(reader, cid, bytes, expected);
    return;
  }
  const node = decodeNode(cid, bytes);
  const data = decodeData(cid, node.Data);
  requireFile(cid, data, node.Links.length, expected);
  // The content of the node itself comes before that of its children.
  if (data.data.length > 0) yield takeContent(reader, cid, data.data, undefined);
  for (const [i, link] of node.Links.entries())
    yield* readNode(reader, requireReadable(link.Hash), data.blockSizes[i], depth + 1);
}

function takeContent(reader: Reader, cid: CID, bytes: Uint8Array, expected: bigint | undefined): Uint8Array {
  if (expected !== undefined && BigInt(bytes.length) !== expected) wrongSize(cid);
  reader.left -= bytes.length;
  if (reader.left < 0)
    throw new AntirioError('tooLarge', 'the file is over the limit', { cid: cid.toString() });
  return bytes;
}

function requireFile(cid: CID, data: UnixfsData, links: number, expected: bigint | undefined): void {
  if (data.type !== 'file' && data.type !== 'raw')
    throw new AntirioError('invalidInput', `${cid.toString()} is a UnixFS ${data.type}, not a file`, {
      type: data.type,
    });
  if (data.blockSizes.length !== links || (expected !== undefined && data.size !== expected)) wrongSize(cid);
}

function wrongSize(cid: CID): never {
  throw new AntirioError('invalidInput', `block ${cid.toString()} is not of the size that its parent says`, {
    cid: cid.toString(),
  });
}
