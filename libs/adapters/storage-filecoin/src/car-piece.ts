import { carOf, type CID } from '@antirio/content-store';
import { AntirioError } from '@antirio/kernel';
import { varint } from 'multiformats';
import { pieceOf } from './piece-hasher.ts';
import { MAX_PIECE_BYTES, MIN_PIECE_BYTES, type Piece } from './piece-cid.ts';

/** As much of a DAG as a piece is made of. */
interface Blocks {
  readonly root: CID;
  readonly bytes: number;
  blocks(): AsyncIterable<{ readonly cid: CID; readonly bytes: Uint8Array }>;
}

export interface CarPieceOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default: the most that a piece may have. */
  readonly maxBytes?: number;
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/**
 * The bytes of the one CAR (version 1, depth first, each block once) that a DAG is stored as; always the same for the same root.
 * One of less than 127 bytes is filled up with zeros, which readers of CARs on Filecoin take for its end.
 */
export async function* carBytes(dag: Blocks): AsyncGenerator<Uint8Array> {
  let sent = 0;
  for await (const part of carOf(dag.root, dag.blocks())) {
    sent += part.length;
    yield part;
  }
  if (sent < MIN_PIECE_BYTES) yield new Uint8Array(MIN_PIECE_BYTES - sent);
}

/** The piece that a DAG is stored as. @throws AntirioError tooLarge, what reading the DAG throws, unavailable, badConfig */
export async function carPiece(dag: Blocks, options: CarPieceOptions = {}): Promise<Piece> {
  const { maxBytes = MAX_PIECE_BYTES } = options;
  // Without reading any of it: a CAR is larger than its blocks.
  if (dag.bytes > maxBytes)
    throw new AntirioError(
      'tooLarge',
      `${dag.root.toString()} has ${dag.bytes} bytes: a piece has at most ${maxBytes}`,
      { limit: maxBytes, bytes: dag.bytes },
    );
  return pieceOf(carBytes(dag), { ...options, maxBytes });
}

/** A whole CAR of the least size without the zeros that fill it up. Anything else is given back as it is. */
export function withoutFilling(car: Uint8Array): Uint8Array {
  for (let at = 0; at < car.length;) {
    if (car[at] === 0) return car.subarray(0, at);
    try {
      const [length, bytes] = varint.decode(car, at);
      at += bytes + length;
    } catch {
      return car;
    }
  }
  return car;
}
