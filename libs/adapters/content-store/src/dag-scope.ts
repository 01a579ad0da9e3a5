import { AntirioError } from '@antirio/kernel';
import { DAG_PB, inlineBytes, RAW, readBlock, requireReadable, type BlockSource, type CID } from './block.ts';
import { createDagBudget, decodeNode, linksOf, placeKey, type DagLimits } from './dag.ts';
import { decodeData, type UnixfsData } from './unixfs-data.ts';
import { decodeShard } from './unixfs-shard.ts';

/** How much of a DAG is meant: one block, one file or list of names, or all of it (Trustless Gateway, `dag-scope`). */
export type DagScope = 'block' | 'entity' | 'all';

/** A part of a file, both ends included; negative numbers count from its end (Trustless Gateway, `entity-bytes`). */
export interface EntityBytes {
  readonly from: number;
  /** Undefined: to the end of the file. */
  readonly to: number | undefined;
}

/** Which links of a block are followed. */
type Follow =
  | { readonly kind: 'none' | 'all' | 'shards' | 'file' }
  /** Bytes of the file below the block, counted from its first one, both ends included. */
  | { readonly kind: 'part'; readonly from: bigint; readonly to: bigint };

interface Place {
  readonly cid: CID;
  readonly depth: number;
  readonly follow: Follow;
}

export interface ScopeOptions {
  readonly scope: DagScope;
  /** Means the scope `entity`. */
  readonly entityBytes?: EntityBytes | undefined;
  /** Whether a block is given each time that it occurs, or once. */
  readonly duplicates: boolean;
  /** Blocks that are given first: those on the path to the root. */
  readonly before?: readonly CID[];
  readonly limits: DagLimits;
}

export type Blocks = AsyncGenerator<{ readonly cid: CID; readonly bytes: Uint8Array }>;

/**
 * Finds out what a scope means for a root, then gives its blocks depth first, parents before children, in the order of the
 * links. Content that is in a CID itself is no block.
 * @throws AntirioError before the first block: notFound | corrupt for the root, invalidInput where all of the wanted bytes lie
 * outside of the file; later: notFound | corrupt | invalidInput | tooLarge for what is below it.
 */
export async function openScope(source: BlockSource, root: CID, options: ScopeOptions): Promise<Blocks> {
  const bytes = await readBlock(source, requireReadable(root));
  return walk(source, { cid: root, depth: 0, follow: followOf(root, bytes, options) }, options);
}

function followOf(root: CID, bytes: Uint8Array, { scope, entityBytes }: ScopeOptions): Follow {
  if (entityBytes === undefined && scope !== 'entity') return { kind: scope === 'all' ? 'all' : 'none' };
  const data = unixfsOf(root, bytes);
  if (data?.type === 'hamt-sharded-directory') return { kind: 'shards' };
  const size = root.code === RAW ? BigInt(bytes.length) : isFile(data) ? data.size : undefined;
  if (size === undefined) return { kind: 'none' };
  return entityBytes === undefined ? { kind: 'file' } : partOf(size, entityBytes);
}

/** Undefined where it is no UnixFS: then it is as if there was nothing below. */
function unixfsOf(cid: CID, bytes: Uint8Array): UnixfsData | undefined {
  if (cid.code !== DAG_PB) return undefined;
  try {
    return decodeData(cid, decodeNode(cid, bytes).Data);
  } catch {
    return undefined;
  }
}

const isFile = (data: UnixfsData | undefined): data is UnixfsData =>
  data?.type === 'file' || data?.type === 'raw';

function partOf(size: bigint, { from, to }: EntityBytes): Follow {
  const position = (at: number): bigint => (at < 0 ? size + BigInt(at) : BigInt(at));
  const first = position(from) < 0n ? 0n : position(from);
  const last = to === undefined || position(to) >= size ? size - 1n : position(to);
  if (size > 0n && (first >= size || last < 0n))
    throw new AntirioError('invalidInput', `entity-bytes lie outside of the ${size} bytes that there are`, {
      size: Number(size),
    });
  // Nothing at all: the root tells the client why.
  return last < first ? { kind: 'none' } : { kind: 'part', from: first, to: last };
}

async function* walk(source: BlockSource, root: Place, options: ScopeOptions): Blocks {
  const sent = options.duplicates ? everyTime : once();
  for (const cid of options.before ?? [])
    if (sent(placeKey(cid)) && inlineBytes(cid) === undefined)
      yield { cid, bytes: await readBlock(source, cid) };
  yield* walkBelow(source, root, options, sent);
}

async function* walkBelow(source: BlockSource, root: Place, options: ScopeOptions, sent: Filter): Blocks {
  const walked = options.duplicates ? everyTime : once();
  const budget = createDagBudget(options.limits);
  const stack: Place[] = [root];
  for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
    if (!walked(walkKey(place))) continue;
    const { cid, depth } = place;
    const bytes = await readBlock(source, cid);
    budget.take(depth, bytes.length);
    if (sent(placeKey(cid)) && inlineBytes(cid) === undefined) yield { cid, bytes };
    stack.push(...below(place, bytes).reverse());
  }
}

/** Tells whether it is to be: each time, or the first time. */
type Filter = (key: string) => boolean;

const everyTime: Filter = () => true;

function once(): Filter {
  const seen = new Set<string>();
  return (key) => seen.size < seen.add(key).size;
}

/** The same node twice in a file may have other parts of it wanted each time. */
function walkKey({ cid, follow }: Place): string {
  const part = follow.kind === 'part' ? `${follow.from}-${follow.to}` : follow.kind;
  return `${placeKey(cid)} ${part}`;
}

function below({ cid, depth, follow }: Place, bytes: Uint8Array): Place[] {
  if (cid.code === RAW || follow.kind === 'none') return [];
  if (follow.kind === 'part') return partsBelow(cid, bytes, depth, follow);
  const links = follow.kind === 'shards' ? shardsBelow(cid, bytes) : linksOf(cid, bytes).map((l) => l.cid);
  return links.map((link) => ({ cid: link, depth: depth + 1, follow }));
}

function shardsBelow(cid: CID, bytes: Uint8Array): CID[] {
  const node = decodeNode(cid, bytes);
  const { links } = decodeShard(cid, node, decodeData(cid, node.Data));
  return links.flatMap((link) => (link.kind === 'shard' ? [requireReadable(link.cid)] : []));
}

function partsBelow(
  cid: CID,
  bytes: Uint8Array,
  depth: number,
  wanted: { from: bigint; to: bigint },
): Place[] {
  const { Links: links, Data } = decodeNode(cid, bytes);
  const data = decodeData(cid, Data);
  if (!isFile(data) || data.blockSizes.length !== links.length)
    throw new AntirioError('invalidInput', `block ${cid.toString()} is no node of a file`, {
      cid: cid.toString(),
    });
  const places: Place[] = [];
  let start = BigInt(data.data.length);
  for (const [i, link] of links.entries()) {
    const size = data.blockSizes[i] ?? 0n;
    const [from, to] = [wanted.from - start, wanted.to - start];
    start += size;
    if (size === 0n || to < 0n || from >= size) continue;
    const isWhole = from <= 0n && to >= size - 1n;
    const follow: Follow = isWhole ? { kind: 'file' } : { kind: 'part', from, to };
    places.push({ cid: requireReadable(link.Hash), depth: depth + 1, follow });
  }
  return places;
}
