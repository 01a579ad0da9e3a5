import { framesOf, toFrames } from '@antirio/host';
import {
  AntirioError,
  canonicalBytes,
  sha256Hex,
  verifySignature,
  type EdgeId,
  type Identity,
} from '@antirio/kernel';

/** The content coding of a stream whose pieces are signed one by one. */
export const SIGNED_PIECES = 'antirio-signed';

const SIGNATURE = 64;

/** What binds pieces to the answer that they belong to. */
export interface StreamOf {
  readonly from: EdgeId;
  readonly to: EdgeId;
  readonly nonce: string;
}

function pieceBytes({ from, to, nonce }: StreamOf, index: number, bytes: Uint8Array): Uint8Array {
  return canonicalBytes({ kind: 'piece', from, to, nonce, index, sha256: sha256Hex(bytes) });
}

/** Each piece with a signature over its place and its hash; an empty one says that nothing follows. */
export async function* signPieces(
  identity: Identity,
  { to, nonce }: Pick<StreamOf, 'to' | 'nonce'>,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const of = { from: identity.edgeId, to, nonce };
  let index = 0;
  const signed = (bytes: Uint8Array): Uint8Array => {
    const signature = identity.sign(pieceBytes(of, index, bytes));
    index += 1;
    return toFrames([[signature, bytes]]);
  };
  for await (const piece of body) if (piece.length > 0) yield signed(piece);
  yield signed(new Uint8Array(0));
}

/** The pieces that the edge signed, in their order, each before anything is done with it. @throws AntirioError unavailable */
export async function* verifiedPieces(
  of: StreamOf,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let index = 0;
  for await (const frames of framesOf(body))
    for (const frame of frames) {
      const bytes = frame.subarray(SIGNATURE);
      if (!verifySignature(of.from, pieceBytes(of, index, bytes), frame.subarray(0, SIGNATURE)))
        throw new AntirioError('unavailable', `a piece of a stream is not the word of ${of.from}`);
      if (bytes.length === 0) return;
      index += 1;
      yield bytes;
    }
  throw new AntirioError('unavailable', `a stream of ${of.from} broke off`);
}
