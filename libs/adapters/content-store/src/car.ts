import { CarWriter } from '@ipld/car';
import { AntirioError, concatBytes } from '@antirio/kernel';
import { varint } from 'multiformats';
import { checkBlock, type BlockSink, type BlockSource, type CID } from './block.ts';
import { readCar } from './car-reader.ts';
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

export interface CarImportOptions {
  readonly limits?: DagLimits;
  /** Of blocks that are not of the DAG; a CAR with more is refused (default 16 MiB). */
  readonly maxIgnoredBytes?: number;
  /** Told of each block that was taken. */
  readonly onBlock?: (cid: CID, bytes: number) => void;
}

const MAX_IGNORED_BYTES = 16 << 20;

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
  options: CarImportOptions = {},
): Promise<CarImported> {
  const { limits = defaultDagLimits } = options;
  const budget = createDagBudget(limits);
  const expected = new ExpectedPlaces(root);
  const ignored = new Ignored(options.maxIgnoredBytes ?? MAX_IGNORED_BYTES);
  for await (const { cid, bytes } of readCar(source, limits.maxBytes)) {
    const depth = expected.take(cid);
    if (depth === undefined) {
      ignored.take(bytes.length);
      continue;
    }
    const block = checkBlock(cid, bytes);
    budget.take(depth, bytes.length);
    expected.add(
      linksOf(cid, bytes).map((link) => link.cid),
      depth + 1,
    );
    await sink.put(block);
    options.onBlock?.(cid, bytes.length);
  }
  return { blocks: budget.blocks, bytes: budget.bytes, ignored: ignored.blocks };
}

/** The places of a DAG that its blocks have named so far, each to be taken once. */
class ExpectedPlaces {
  readonly #depths: Map<string, number>;
  readonly #taken = new Set<string>();

  constructor(root: CID) {
    this.#depths = new Map([[placeKey(root), 0]]);
  }

  /** How deep it is; undefined where nobody named it, or it was taken before. */
  take(cid: CID): number | undefined {
    const key = placeKey(cid);
    const depth = this.#depths.get(key);
    if (depth === undefined || this.#taken.has(key)) return undefined;
    this.#taken.add(key);
    return depth;
  }

  add(cids: readonly CID[], depth: number): void {
    for (const cid of cids) {
      const key = placeKey(cid);
      if (!this.#depths.has(key)) this.#depths.set(key, depth);
    }
  }
}

class Ignored {
  readonly #maxBytes: number;
  #bytes = 0;
  blocks = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @throws AntirioError tooLarge */
  take(bytes: number): void {
    this.blocks++;
    this.#bytes += bytes;
    if (this.#bytes > this.#maxBytes)
      throw new AntirioError('tooLarge', `a CAR with over ${this.#maxBytes} bytes that belong to nothing`, {
        limit: this.#maxBytes,
      });
  }
}
