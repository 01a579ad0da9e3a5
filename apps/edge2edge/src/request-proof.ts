import type { IncomingMessage } from 'node:http';
import { AntirioError, parseEdgeId, type Clock, type EdgeId } from '@antirio/kernel';
import type { Freshness } from './freshness.ts';
import { findOpenRoute, type MatchedRoute } from './open-routes.ts';
import { createConcurrency, createRateLimit } from './rate-limit.ts';
import { HEADERS, isRequestOf } from './request-signature.ts';

export const MAX_BODY_BYTES = 1 << 20;
const MAX_TARGET = 2048;
const FROM_ONE_ADDRESS_PER_SECOND = 1000;
const ARRIVING_FROM_ONE_ADDRESS = 48;
const ARRIVING = 64;

/** A request that its edge has proven to be its own. */
export interface Proven {
  readonly from: EdgeId;
  readonly nonce: string;
  readonly matched: MatchedRoute;
  readonly method: string;
  /** Behind the room's name, with query. */
  readonly path: string;
  readonly body: Uint8Array;
}

/** Tells requests of other edges from what only pretends to be one. Bounded by address: until it is proven, an identity is a word. */
export interface Prover {
  /**
   * @throws AntirioError unauthenticated when it is not a fresh request of the edge that it names, to us; notFound when it is for
   * something that no edge may ask; tooLarge; busy.
   */
  prove(request: IncomingMessage): Promise<Proven>;
}

export interface ProverParts {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly role: 'edge' | 'central';
  readonly own: EdgeId;
  readonly freshness: Freshness;
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const tooLarge = (): AntirioError =>
    new AntirioError('tooLarge', `a body has at most ${MAX_BODY_BYTES} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function headerOf(request: IncomingMessage, name: string): string {
  const value = request.headers[name];
  if (typeof value !== 'string' || value === '' || value.length > 256)
    throw new AntirioError('unauthenticated', `the header ${name} is missing or wrong`);
  return value;
}

/** The edge that the request names; whether it is that edge, only the signature tells. */
function claimedEdge(request: IncomingMessage): EdgeId {
  try {
    return parseEdgeId(headerOf(request, HEADERS.edge));
  } catch (cause) {
    throw new AntirioError('unauthenticated', 'the request names no edge', {}, cause);
  }
}

interface Target {
  readonly matched: MatchedRoute;
  readonly path: string;
}

function targetOf(role: 'edge' | 'central', method: string, url: string): Target {
  const [, service = '', path = '', query = ''] = /^\/([a-z0-9-]+)\/([^?]*)(\?.*)?$/.exec(url) ?? [];
  const matched = url.length > MAX_TARGET ? undefined : findOpenRoute(role, method, service, path);
  if (matched === undefined) throw new AntirioError('notFound', `no resource ${method} ${url.slice(0, 200)}`);
  return { matched, path: `/${path}${query}` };
}

export function createProver({ clock, role, own, freshness }: ProverParts): Prover {
  const byAddress = createRateLimit(clock, FROM_ONE_ADDRESS_PER_SECOND);
  const arriving = createConcurrency(ARRIVING_FROM_ONE_ADDRESS, ARRIVING);

  const prove = async (request: IncomingMessage): Promise<Proven> => {
    const { method = '', url = '' } = request;
    const from = claimedEdge(request);
    if (headerOf(request, HEADERS.to) !== own)
      throw new AntirioError('unauthenticated', 'the request is for another edge');
    const target = targetOf(role, method, url);
    const nonce = headerOf(request, HEADERS.nonce);
    const signature = headerOf(request, HEADERS.signature);
    const body = await readBody(request);
    if (!isRequestOf(from, { method, path: url, body, to: own, nonce }, signature))
      throw new AntirioError('unauthenticated', 'the signature is not that of the edge');
    const fresh = freshness.check(from, nonce);
    if (fresh !== 'fresh') throw new AntirioError('unauthenticated', `the nonce is ${fresh}`);
    return { ...target, from, nonce, method, body };
  };
  return {
    async prove(request) {
      const address = request.socket.remoteAddress ?? '';
      const end = byAddress.admit(address) ? arriving.begin(address) : undefined;
      if (end === undefined) throw new AntirioError('busy', 'too many requests from this address');
      try {
        return await prove(request);
      } finally {
        end();
      }
    },
  };
}
