export type { PieceAudit } from './audit.ts';
export * from './filecoin-network.ts';
export { FILECOIN_PACKAGES } from './optional.ts';
export { filecoinSettings, type FilecoinSettings } from './options.ts';
export type * from './chain.ts';
export { pieceOf, type PieceHashOptions } from './piece-hasher.ts';
export { MAX_PIECE_BYTES, MIN_PIECE_BYTES, parsePieceCid, type Piece } from './piece-cid.ts';
