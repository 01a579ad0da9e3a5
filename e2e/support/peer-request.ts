import { randomUUID } from 'node:crypto';
import { canonicalBytes, sha256Hex, utf8, type Identity } from '@antirio/kernel';
import { ask, type Answer } from './ask.ts';

/** A request from one edge to another, signed as docs/architecture.md says. */
export interface PeerRequest {
  readonly from: Identity;
  readonly to: string;
  readonly method: 'GET' | 'POST';
  /** From the slash on. */
  readonly path: string;
  readonly json?: unknown;
  /** Spoils what is sent. */
  readonly spoil?: (headers: Record<string, string>) => Record<string, string>;
}

async function challengeOf(url: string): Promise<string> {
  const { headers } = await ask(`${url}/edge2edge/api/v3/ping`);
  return headers.get('x-antirio-challenge') ?? '';
}

/** Headers of a fresh request. */
export async function signedHeaders(url: string, request: PeerRequest): Promise<Record<string, string>> {
  const { from, to, method, path, json } = request;
  const body = json === undefined ? '' : JSON.stringify(json);
  const nonce = `${await challengeOf(url)}.${randomUUID()}`;
  const said = {
    ...{ kind: 'request', method, path, bodySha256: sha256Hex(utf8(body)), from: from.edgeId, to, nonce },
  };
  return {
    'x-antirio-edge': from.edgeId,
    'x-antirio-to': to,
    'x-antirio-nonce': nonce,
    'x-antirio-signature': Buffer.from(from.sign(canonicalBytes(said))).toString('base64'),
  };
}

/** Sends it to another edge's port for edges. */
export async function askPeer(url: string, request: PeerRequest): Promise<Answer> {
  const { method, path, json, spoil = (sound: Record<string, string>) => sound } = request;
  const headers = spoil(await signedHeaders(url, request));
  return ask(`${url}${path}`, { method, headers, ...(json === undefined ? {} : { json }) });
}
