import { AntirioError } from '@antirio/kernel';
import { httpPeer, type HttpAnswer, type HttpPeer } from '@antirio/host';
import { broken } from './failures.ts';
import type { Piece } from './piece-cid.ts';
import { putBytes, type PutBytes } from './put-bytes.ts';
import { refusalOf } from './refusal.ts';

export interface Upload extends Omit<PutBytes, 'size'> {
  /** Of the provider's interface, with a slash at its end. */
  readonly url: string;
}

const MAX_ANSWER_BYTES = 1 << 20;
const PATH = 'pdp/piece/uploads';

/**
 * Brings a piece to a provider: asks for a place, sends the bytes there, and says which piece they are, which the provider has found
 * out for itself meanwhile. In place of the call that the network's client has for this: what Node's `fetch` sends stays in memory
 * until all of it is sent.
 * @throws AntirioError what `putBytes` throws, timeout where it is broken off; forbidden | tooLarge | storageFull | unavailable where the provider refuses
 */
export async function uploadPiece(piece: Piece, upload: Upload): Promise<void> {
  const peer = httpPeer({ url: upload.url });
  try {
    const path = await begin(peer, upload);
    const put = { ...upload, size: piece.bytes };
    const { status, text } = await putBytes(new URL(path, upload.url), put);
    if (status !== 204) throw refusalOf(`${upload.name} did not take the piece`, status, text);
    const ended = await ask(peer, upload, path, { pieceCid: piece.cid });
    requireStatus(200, ended, `${upload.name} did not keep the piece`);
  } catch (cause) {
    throw upload.signal?.aborted === true ? broken('upload', cause) : cause;
  } finally {
    peer.close();
  }
}

/** Where the bytes are to go. */
async function begin(peer: HttpPeer, upload: Upload): Promise<string> {
  const answer = await ask(peer, upload, PATH);
  requireStatus(201, answer, `${upload.name} does not begin an upload`);
  const [, id] = /\/pdp\/piece\/uploads\/([a-fA-F0-9-]+)/.exec(String(answer.headers['location'])) ?? [];
  if (id === undefined)
    throw new AntirioError('unavailable', `${upload.name} does not say where a piece is to be sent to`);
  return `${PATH}/${id}`;
}

const ask = (peer: HttpPeer, upload: Upload, path: string, json?: object): Promise<HttpAnswer> =>
  peer.call({
    method: 'POST',
    path: `/${path}`,
    json,
    timeoutMs: upload.idleMs,
    maxAnswerBytes: MAX_ANSWER_BYTES,
    ...(upload.signal === undefined ? {} : { signal: upload.signal }),
  });

function requireStatus(wanted: number, { status, body }: HttpAnswer, otherwise: string): void {
  if (status !== wanted) throw refusalOf(otherwise, status, Buffer.from(body).toString('utf8'));
}
