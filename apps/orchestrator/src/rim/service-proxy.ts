import type { Request, Response } from 'express';
import { httpPeer } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { rewriteAnswer } from './bodies.ts';
import { addNames, createNamespace, decodeSegment, type Namespace } from './names.ts';
import { eventShape } from './shapes.ts';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 4 << 20;

function stripPath(path: string, namespace: Namespace): string {
  return path
    .split('/')
    .map((segment) => encodeURIComponent(namespace.strip(decodeSegment(segment))))
    .join('/');
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'] as const;

/**
 * Passes a call from this edge (core-command's, most of all) to the foreign service's own socket: its names lose the contract's
 * prefix on the way there and get it on the way back.
 *
 * @param path the part behind `/foreign/<contractId>`, percent-encoded, from the slash on
 * @throws AntirioError unavailable | timeout | tooLarge | invalidInput
 */
export async function passToService(
  contractId: string,
  socketPath: string,
  path: string,
  request: Request,
  response: Response,
): Promise<void> {
  const namespace = createNamespace(contractId);
  const method = METHODS.find((known) => known === request.method);
  if (method === undefined) throw new AntirioError('methodNotAllowed', `no ${request.method} here`);
  const query = request.originalUrl.split('?').slice(1).join('?');
  const bytes: unknown = response.locals['bytes'];
  const headers: Record<string, string> = {};
  for (const name of ['content-type', 'x-correlation-id']) {
    const value = request.get(name);
    if (value !== undefined && value.length <= 128) headers[name] = value;
  }
  const peer = httpPeer({ socketPath });
  try {
    const answer = await peer.call({
      method,
      path: stripPath(path, namespace) + (query === '' ? '' : `?${query}`),
      headers,
      ...(bytes instanceof Uint8Array && bytes.length > 0 ? { body: bytes } : {}),
      timeoutMs: TIMEOUT_MS,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    });
    const contentType = answer.headers['content-type'];
    const type = typeof contentType === 'string' ? contentType : undefined;
    const body = rewriteAnswer(answer.body, type, (value) => addNames(value, eventShape, namespace));
    response.status(answer.status);
    if (type !== undefined) response.set('content-type', type);
    response.end(body);
  } finally {
    peer.close();
  }
}
