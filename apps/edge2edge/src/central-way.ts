import { parseInput, type HttpAnswer, type HttpCall } from '@antirio/host';
import { AntirioError, fromBase64, fromUtf8, toBase64, type EdgeId } from '@antirio/kernel';
import { findOpenRoute } from './open-routes.ts';
import { MAX_RELAYED_BODY_BYTES, relayedAnswer, type RelayedRequest } from './relay-wire.ts';
import { HEADERS } from './request-signature.ts';

export const RELAY_PATH = '/edge2edge/api/v3/relay';
/** A little longer than the centre gives the other edge. */
export const CARRIED_WITHIN_MS = 3000;

/** Whether the centre may carry this where the other edge is not reached. */
export function isRelayed({ method = 'GET', path, body }: HttpCall): boolean {
  const [, service = '', behind = ''] = /^\/([a-z0-9-]+)\/([^?]*)(?:\?.*)?$/.exec(path) ?? [];
  const isShort = (body?.length ?? 0) <= MAX_RELAYED_BODY_BYTES;
  return isShort && findOpenRoute('edge', method, service, behind)?.route.relayed === true;
}

/** A signed request as the centre takes it. */
export function toRelayed(to: EdgeId, { method, path, headers = {}, body }: HttpCall): RelayedRequest {
  if (method !== 'GET' && method !== 'POST')
    throw new AntirioError('internal', 'not for the centre to carry');
  const contentType = headers['content-type'];
  return {
    ...{ to, method, path },
    nonce: headers[HEADERS.nonce] ?? '',
    signature: headers[HEADERS.signature] ?? '',
    ...(contentType === undefined ? {} : { contentType }),
    body: body === undefined ? '' : toBase64(body),
  };
}

/** The other edge's answer out of the centre's; whose it is, its signature tells. @throws AntirioError unavailable */
export function fromRelayed(answer: HttpAnswer): HttpAnswer {
  const { status, contentType, challenge, signature, body } = parseInput(relayedAnswer, answer.json());
  const bytes = fromBase64(body);
  return {
    status,
    headers: { 'content-type': contentType, [HEADERS.challenge]: challenge, [HEADERS.answer]: signature },
    body: bytes,
    json: () => JSON.parse(fromUtf8(bytes)) as unknown,
  };
}
