import type { Request, Response } from 'express';
import { z } from 'zod';
import type { HttpAnswer, HttpCall, HttpPeer, HttpRim, HttpStream } from '@antirio/host';
import { AntirioError, canonicalBytes, fromBase64, verifySignature, type EdgeId } from '@antirio/kernel';
import type { AddressBook } from './address-book.ts';
import { passOn } from './content-streams.ts';
import { resolveEdge, type Directory } from './directory.ts';
import { findOpenRoute, peerKey, streamingOf, type Streaming } from './open-routes.ts';
import { edgeId, peerAddress, sealKey, type Edge2EdgeOptions } from './options.ts';
import type { PeerAnswer, PeerClient } from './peer-client.ts';

export interface LocalRoutesParts {
  readonly rim: HttpRim;
  readonly options: Edge2EdgeOptions;
  readonly own: EdgeId;
  readonly book: AddressBook;
  readonly directory: Directory;
  readonly client: PeerClient;
  readonly rooms: Readonly<Record<string, HttpPeer>>;
}

const edgeParam = z.object({ edgeId });
const told = peerAddress.extend({ sealKey: sealKey.optional() });
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
const PREFIX = '/edge2edge/peer/';
/** Of answers that the centre has carried: the way is narrow. */
const WAY_HEADER = 'x-antirio-way';
const STREAM_IDLE_MS = 30_000;

/** @throws AntirioError forbidden */
function checkSealKey(edge: EdgeId, key: z.output<typeof sealKey>): void {
  const { x25519 } = key;
  if (
    key.edgeId !== edge ||
    !verifySignature(edge, canonicalBytes({ edgeId: edge, x25519 }), fromBase64(key.signature))
  )
    throw new AntirioError('forbidden', 'the seal key is not signed by that edge');
}

function addressRoutes({ rim, book, directory, client }: LocalRoutesParts): void {
  rim.route('get', '/api/v3/peer', { summary: 'the address book' }, () => ({
    peers: book.all().map(([edge, entry]) => ({ edgeId: edge, ...entry, way: client.wayTo(edge) })),
  }));
  rim.route(
    'get',
    '/api/v3/peer/:edgeId',
    { summary: 'one edge, looked up on the ledger where the book does not know it', params: edgeParam },
    async ({ params }) => ({
      edgeId: params.edgeId,
      ...(await directory.find(params.edgeId)),
      way: client.wayTo(params.edgeId),
    }),
  );
  rim.route(
    'put',
    '/api/v3/peer/:edgeId',
    { summary: 'where an edge is', params: edgeParam, body: told },
    ({ params, body }) => {
      if (body.sealKey !== undefined) checkSealKey(params.edgeId, body.sealKey);
      const { url, udp, sealKey: key } = body;
      book.put(params.edgeId, { url, udp, sealKey: key, source: 'told' });
      return { edgeId: params.edgeId, ...directory.get(params.edgeId) };
    },
  );
}

function toCall(request: Request, response: Response, path: string): HttpCall {
  if (!METHODS.includes(request.method)) throw new AntirioError('methodNotAllowed', request.method);
  const givenUp = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) givenUp.abort();
  });
  const headers: Record<string, string> = {};
  for (const name of ['content-type', 'accept', 'x-correlation-id']) {
    const value = request.get(name);
    if (value !== undefined) headers[name] = value;
  }
  const bytes: unknown = response.locals['bytes'];
  const body = bytes instanceof Uint8Array && bytes.length > 0 ? bytes : undefined;
  return { method: request.method as 'GET', path, headers, body, signal: givenUp.signal };
}

/** To another edge, or to a room of our own where that is meant. */
async function pass(parts: LocalRoutesParts, to: EdgeId, call: HttpCall): Promise<HttpAnswer | PeerAnswer> {
  if (to !== parts.own) return parts.client.call(to, call);
  const [, service = '', path = ''] = /^\/([a-z0-9-]+)(\/.*)$/.exec(call.path) ?? [];
  const room = parts.rooms[peerKey(service)];
  if (room === undefined) throw new AntirioError('notFound', `there is no room ${service} here`);
  return room.call({ ...call, path, timeoutMs: 35_000 });
}

/** How the way to another edge takes the answer as a stream, where it does. */
function streamingFor(path: string): Streaming | undefined {
  const [, service = '', behind = '', query = ''] = /^\/([a-z0-9-]+)\/([^?]*)(.*)$/.exec(path) ?? [];
  const matched = findOpenRoute('edge', 'GET', service, behind);
  return matched === undefined ? undefined : streamingOf(matched.route, query);
}

async function openStream(
  { client, own, rooms }: LocalRoutesParts,
  to: EdgeId,
  path: string,
  headers: Readonly<Record<string, string>>,
  streaming: Streaming,
): Promise<HttpStream> {
  const call = { headers, idleMs: STREAM_IDLE_MS, transient: true };
  if (to !== own) return client.open(to, path, call, streaming);
  const [, service = '', behind = ''] = /^\/([a-z0-9-]+)(\/.*)$/.exec(path) ?? [];
  const room = rooms[peerKey(service)];
  if (room?.open === undefined) throw new AntirioError('notFound', `there is no room ${service} here`);
  return room.open(behind, call);
}

async function passStream(
  parts: LocalRoutesParts,
  to: EdgeId,
  path: string,
  streaming: Streaming,
  { request, response }: { readonly request: Request; readonly response: Response },
): Promise<void> {
  const headers: Record<string, string> = {};
  for (const name of ['accept', 'accept-encoding']) {
    const value = request.get(name);
    if (value !== undefined) headers[name] = value;
  }
  const stream = await openStream(parts, to, path, headers, streaming);
  response.once('close', () => stream.close());
  for (const name of ['content-type', 'content-encoding']) {
    const value = stream.headers[name];
    if (typeof value === 'string' && value !== '') response.set(name, value);
  }
  response.status(stream.status);
  try {
    await passOn(stream.body, response);
  } catch {
    // Content that breaks off has no other end.
    response.destroy();
  }
}

function peerRoutes(parts: LocalRoutesParts): void {
  parts.rim.app.all(`${PREFIX}:edgeId/*path`, async (request, response) => {
    const [, name = '', path = ''] = /^\/edge2edge\/peer\/([^/?]+)(\/.*)$/.exec(request.originalUrl) ?? [];
    const to = resolveEdge(name, parts.options, parts.own);
    const streaming = request.method === 'GET' ? streamingFor(path) : undefined;
    if (streaming !== undefined) {
      await passStream(parts, to, path, streaming, { request, response });
      return;
    }
    const answer = await pass(parts, to, toCall(request, response, path));
    const contentType = answer.headers['content-type'];
    if (typeof contentType === 'string' && contentType !== '') response.set('content-type', contentType);
    if ('way' in answer && answer.way === 'central') response.set(WAY_HEADER, 'central');
    response.status(answer.status).end(Buffer.from(answer.body));
  });
}

/** What the rooms of this edge use: other edges' rooms behind `/edge2edge/peer/<edgeId>/<service>/<path>`, and the address book. */
export function addLocalRoutes(parts: LocalRoutesParts): void {
  addressRoutes(parts);
  peerRoutes(parts);
}
