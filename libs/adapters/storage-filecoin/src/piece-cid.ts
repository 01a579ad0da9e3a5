import { AntirioError } from '@antirio/kernel';
import { CID, varint } from 'multiformats';
import { decode as decodeMultihash } from 'multiformats/hashes/digest';

/** Multihash `fr32-sha2-256-trunc254-padded-binary-tree` (FRC-0069). */
const PIECE_MULTIHASH = 0x1011;
const RAW = 0x55;
const NODE_BYTES = 32;
const DIGEST_TAIL = 1 + NODE_BYTES;
/** 32 GiB sectors are 30 high; no piece that is stored here comes near. */
const MAX_HEIGHT = 40;

/** The least and the most bytes that a piece may have (Filecoin Onchain Cloud: 1 GiB less what fr32 adds). */
export const MIN_PIECE_BYTES = 127;
export const MAX_PIECE_BYTES = 1_065_353_216;

/** A piece by its PieceCIDv2, which says the root of its tree and how many bytes it has. */
export interface Piece {
  /** As text in base32. */
  readonly cid: string;
  /** Of the payload, without any padding. */
  readonly bytes: number;
}

/** Reads a PieceCIDv2. @throws AntirioError invalidInput */
export function parsePieceCid(text: string): Piece {
  try {
    return pieceOfCid(CID.parse(text));
  } catch (cause) {
    if (cause instanceof AntirioError) throw cause;
    throw notPiece(text.slice(0, 120), cause);
  }
}

/** The piece whose multihash these bytes are. @throws AntirioError invalidInput */
export function pieceOfMultihash(multihash: Uint8Array): Piece {
  return pieceOfCid(CID.createV1(RAW, decodeMultihash(multihash)));
}

function pieceOfCid(cid: CID): Piece {
  if (cid.code !== RAW || cid.multihash.code !== PIECE_MULTIHASH) throw notPiece(cid.toString());
  const { digest } = cid.multihash;
  const [padding, length] = varint.decode(digest);
  const height = digest[length] ?? Infinity;
  if (digest.length !== length + DIGEST_TAIL || height < 2 || height > MAX_HEIGHT)
    throw notPiece(cid.toString());
  const whole = (2 ** height * NODE_BYTES * 127) / 128;
  // More padding than half of it would be a smaller tree; only the smallest tree holds anything down to nothing.
  if (padding > whole || (height > 2 && padding >= whole / 2)) throw notPiece(cid.toString());
  return { cid: cid.toString(), bytes: whole - padding };
}

const notPiece = (what: string, cause?: unknown): AntirioError =>
  new AntirioError('invalidInput', `not a PieceCIDv2: ${what}`, { pieceCid: what }, cause);
