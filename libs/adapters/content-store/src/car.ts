import { CarBlockIterator, CarWriter } from '@ipld/car';
import { AntirioError, concatBytes } from '@antirio/kernel';
import { varint } from 'multiformats';
import { checkBlock, MAX_BLOCK_BYTES, type BlockSink, type BlockSource, type CID } from './block.ts';
import { createDagBudget, defaultDagLimits, linksOf, placeKey, walkDag, type DagLimits } from './dag.ts';

/**
 * A CAR (version 1) of a whole DAG: depth first, every block once.
 * @throws AntirioError notFound | corrupt | tooLarge in the middle of the stream, which is then no whole CAR.
 */
export function exportCar(source: BlockSource, root: CID, limits?: DagLimits): AsyncIterable<Uint8Array> {
  return carOf(root, walkDag(source, root, limits));
}

/** A CAR of the given blocks under one root (CARv1: a header, then length, CID and bytes of each block). */
export async function* carOf(
  root: CID,
  blocks: AsyncIterable<{ cid: CID; bytes: Uint8Array }> | Iterable<{ cid: CID; bytes: Uint8Array }>,
): AsyncGenerator<Uint8Array> {
  const { writer, out } = CarWriter.create([root]);
  void writer.close();
  yield* out;
  for await (const { cid, bytes } of blocks) {
    const length = cid.bytes.length + bytes.length;
    yield concatBytes(varint.encodeTo(length, new Uint8Array(varint.encodingLength(length))), cid.bytes);
    yield bytes;
  }
}

export interface CarImported {
  /** Blocks of the DAG that were in the CAR. */
  readonly blocks: number;
  readonly bytes: number;
  /** Blocks that are not of the DAG, or came again: read, checked against nothing, and dropped. */
  readonly ignored: number;
}

/**
 * Takes from a CAR the blocks of one DAG, parents before children (as `order=dfs` and `order=bfs` have them); each is
 * checked before it is stored. What its header claims as roots is not believed. The caller flushes the store, and finds
 * out by walking the DAG whether it is whole.
 * @throws AntirioError invalidInput for what is no CAR, corrupt for a block that is not what its CID says, tooLarge.
 */
export async function importCar(
  sink: BlockSink,
  source: AsyncIterable<Uint8Array>,
  root: CID,
  limits: DagLimits = defaultDagLimits,
): Promise<CarImported> {
  const budget = createDagBudget(limits);
  const expected = new Map([[placeKey(root), 0]]);
  const seen = new Set<string>();
  let ignored = 0;
  for await (const { cid, bytes } of readCar(source, limits.maxBytes)) {
    const key = placeKey(cid);
    const depth = expected.get(key);
    if (depth === undefined || seen.has(key)) {
      ignored++;
      continue;
    }
    const block = checkBlock(cid, bytes);
    budget.take(depth, bytes.length);
    seen.add(key);
    for (const link of linksOf(cid, bytes)) {
      const place = placeKey(link.cid);
      if (!expected.has(place)) expected.set(place, depth + 1);
    }
    await sink.put(block);
  }
  return { blocks: budget.blocks, bytes: budget.bytes, ignored };
}

/** The decoder believes the lengths that a CAR states, so what it may read ahead is bounded before it. */
async function* readCar(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<{ cid: CID; bytes: Uint8Array }> {
  try {
    for await (const block of await CarBlockIterator.fromIterable(bounded(source, maxBytes))) yield block;
  } catch (cause) {
    if (cause instanceof AntirioError) throw cause;
    throw new AntirioError('invalidInput', 'not a CAR, or one that breaks off', {}, cause);
  }
}

async function* bounded(source: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  const sections = new SectionGuard();
  let total = 0;
  // Headers and CIDs come on top of the blocks' own bytes.
  const limit = maxBytes * 1.1 + MAX_BLOCK_BYTES;
  for await (const bytes of source) {
    total += bytes.length;
    if (total > limit) throw new AntirioError('tooLarge', `a CAR of over ${Math.round(limit)} bytes`);
    sections.push(bytes);
    yield bytes;
  }
}

/** Follows the varint lengths of a CAR's sections. @throws AntirioError tooLarge | invalidInput */
class SectionGuard {
  #left = 0;
  #length = 0;
  #shift = 0;

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#left > 0) {
        const part = Math.min(this.#left, bytes.length - at);
        this.#left -= part;
        at += part;
      } else {
        this.#lengthByte(bytes[at] ?? 0);
        at++;
      }
    }
  }

  #lengthByte(byte: number): void {
    this.#length += (byte & 0x7f) * 2 ** this.#shift;
    this.#shift += 7;
    if (this.#length > MAX_BLOCK_BYTES + 128)
      throw new AntirioError('tooLarge', 'a CAR with a block over the limit');
    if (this.#shift > 35) throw new AntirioError('invalidInput', 'a CAR with a malformed length');
    if (byte >= 0x80) return;
    this.#left = this.#length;
    this.#length = this.#shift = 0;
  }
}
