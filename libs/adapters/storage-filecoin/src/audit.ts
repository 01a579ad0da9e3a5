import { describeError } from '@antirio/kernel';
import { broken } from './failures.ts';
import type { Piece } from './piece-cid.ts';
import { pieceOf } from './piece-hasher.ts';
import { pieceBytes } from './retrieve.ts';

/** What a provider sends of a whole piece, when it is read to be checked. */
export interface PieceAudit {
  readonly provider: string;
  readonly ok: boolean;
  readonly detail?: string;
}

/** Reads the whole piece at a provider. */
export async function auditPiece(
  piece: Piece,
  provider: string,
  url: string,
  signal: AbortSignal | undefined,
): Promise<PieceAudit> {
  try {
    const { cid } = await pieceOf(pieceBytes(piece, { name: `provider ${provider}`, url }, 0, { signal }), {
      signal,
    });
    if (cid === piece.cid) return { provider, ok: true };
    return { provider, ok: false, detail: `its bytes are those of the piece ${cid}` };
  } catch (error) {
    if (signal?.aborted === true) throw broken('audit', error);
    return { provider, ok: false, detail: describeError(error) };
  }
}
