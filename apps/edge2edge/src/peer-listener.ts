import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { API_VERSION, withCorrelation, type HttpPeer } from '@antirio/host';
import { AntirioError, describeError, isAntirioError, utf8 } from '@antirio/kernel';
import { createAdmission } from './admission.ts';
import type { Directory } from './directory.ts';
import { createFreshness } from './freshness.ts';
import { createContentStreams } from './content-streams.ts';
import { peerKey, streamingOf } from './open-routes.ts';
import type { Edge2EdgeOptions, Edge2EdgePorts } from './options.ts';
import { createProver, type Proven } from './request-proof.ts';
import { createConcurrency, createRateLimit } from './rate-limit.ts';
import { HEADERS, signAnswer } from './request-signature.ts';

export interface PeerListenerCounters {
  /** Passed on to a room. */
  served: number;
  /** Not proven to come from the edge that it names, or a replay. */
  unproven: number;
  /** Proven, and refused: not open to that edge, or too much at once. */
  refused: number;
}

/** Where other edges come in: nothing passes that is not signed, fresh, for us, and in the table of open routes. */
export interface PeerListener {
  listen(port: number, bind: string): Promise<number>;
  close(): Promise<void>;
  counters(): PeerListenerCounters;
}

export interface PeerListenerParts {
  readonly options: Edge2EdgeOptions;
  readonly ports: Edge2EdgePorts;
  readonly directory: Directory;
  /** Asks a local room; `edge2edge` is this one. */
  readonly rooms: Edge2EdgePorts['peers'];
}

const MAX_ANSWER_BYTES = 4 << 20;
const IN_ALL = 256;
/** Lives of a challenge, in seconds, that nonces must be remembered for. */
const NONCE_LIFE_S = 60;

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Uint8Array;
}

function errorAnswer(error: unknown): Answer {
  const statusCode = isAntirioError(error) ? error.statusCode : 500;
  // What went wrong inside stays inside.
  const message = statusCode === 500 ? 'internal error' : describeError(error);
  const body = utf8(JSON.stringify({ apiVersion: API_VERSION, message, statusCode }));
  return { status: statusCode, contentType: 'application/json', body };
}

function send(response: ServerResponse, challenge: string, answer: Answer, signature?: string): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(answer.status, {
    'content-type': answer.contentType,
    'content-length': answer.body.length,
    [HEADERS.challenge]: challenge,
    ...(signature === undefined ? {} : { [HEADERS.answer]: signature }),
  });
  response.end(answer.body);
}

export function createPeerListener({ options, ports, directory, rooms }: PeerListenerParts): PeerListener {
  const { clock, random, log, identity } = ports;
  const counts: PeerListenerCounters = { served: 0, unproven: 0, refused: 0 };
  const freshness = createFreshness(clock, random, Math.ceil(options.requestsPerSecond * NONCE_LIFE_S * 1.5));
  const prover = createProver({ clock, role: options.role, own: identity.edgeId, freshness });
  const admission = createAdmission(options, directory, createRateLimit(clock, options.requestsPerSecond));
  const working = createConcurrency(options.concurrentRequests, IN_ALL);
  const streams = createContentStreams({ identity, clock, bytesPerSecond: options.contentBytesPerSecond });
  let server: Server | undefined;

  const roomOf = ({ route: { service } }: Proven['matched']): HttpPeer => {
    const room = rooms[peerKey(service)];
    if (room === undefined) throw new AntirioError('unavailable', `there is no ${service} here`);
    return room;
  };

  const ask = async (
    { from, matched, method, path, body }: Proven,
    request: IncomingMessage,
  ): Promise<Answer> => {
    const room = roomOf(matched);
    const { timeoutMs = 10_000 } = matched.route;
    const headers: Record<string, string> = { [HEADERS.peer]: from };
    for (const name of ['content-type', 'accept', 'x-correlation-id']) {
      const value = request.headers[name];
      if (typeof value === 'string' && value.length <= 256) headers[name] = value;
    }
    const sent = body.length === 0 ? undefined : body;
    const call = {
      method: method as 'GET',
      path,
      headers,
      body: sent,
      timeoutMs,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    };
    const {
      status,
      headers: got,
      body: answered,
    } = await withCorrelation(headers['x-correlation-id'], () => {
      log.debug({ from, method, path }, 'passed on for another edge');
      return room.call(call);
    });
    const contentType = got['content-type'];
    return { status, contentType: typeof contentType === 'string' ? contentType : '', body: answered };
  };
  const serve = async (
    proven: Proven,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<Answer | undefined> => {
    const { from, matched } = proven;
    const end = working.begin(from);
    try {
      if (end === undefined) throw new AntirioError('busy', 'too many requests of this edge are under way');
      await admission.admit(from, matched);
      counts.served += 1;
      const streaming = streamingOf(matched.route, proven.path);
      if (streaming === undefined) return await ask(proven, request);
      const head = { challenge: freshness.challenge(), streaming };
      return await streams.serve(roomOf(matched), proven, request, response, head);
    } catch (error) {
      const answer = errorAnswer(error);
      if (answer.status < 500) counts.refused += 1;
      log.info({ from, service: matched.route.service, error: describeError(error) }, 'not served');
      return answer;
    } finally {
      end?.();
    }
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let proven: Proven;
    try {
      proven = await prover.prove(request);
    } catch (error) {
      counts.unproven += 1;
      log.debug({ from: request.socket.remoteAddress, error: describeError(error) }, 'refused');
      response.shouldKeepAlive = false;
      send(response, freshness.challenge(), errorAnswer(error));
      return;
    }
    const { from: to, nonce } = proven;
    const answer = await serve(proven, request, response);
    if (answer === undefined) return;
    // Content that breaks off has no other end.
    if (response.headersSent) response.destroy();
    // HEAD has no body to be signed.
    const body = request.method === 'HEAD' ? new Uint8Array(0) : answer.body;
    send(
      response,
      freshness.challenge(),
      { ...answer, body },
      signAnswer(identity, { ...answer, body, to, nonce }),
    );
  };
  return {
    counters: () => ({ ...counts }),
    listen(port, bind) {
      const opened = createServer(
        { requestTimeout: 30_000, headersTimeout: 10_000, keepAliveTimeout: 30_000, maxHeaderSize: 8192 },
        (request, response) => {
          handle(request, response).catch((error: unknown) => {
            log.error({ error: describeError(error) }, 'request failed');
            response.destroy();
          });
        },
      );
      opened.maxConnections = 512;
      server = opened;
      return new Promise((resolve, reject) => {
        opened.once('error', (cause: NodeJS.ErrnoException) => {
          const why = cause.code === 'EADDRINUSE' ? 'is taken' : 'cannot be listened on';
          reject(new AntirioError('unavailable', `edge2edge: ${bind}:${port} ${why}`, {}, cause));
        });
        opened.listen(port, bind, () => resolve((opened.address() as AddressInfo).port));
      });
    },
    async close() {
      const closing = server;
      if (closing === undefined) return;
      server = undefined;
      await new Promise((resolve) => {
        closing.close(resolve);
        closing.closeIdleConnections();
        setTimeout(() => closing.closeAllConnections(), 1000).unref();
      });
    },
  };
}
