import { Readable } from 'node:stream';
import {
  httpPeer,
  type HttpAnswer,
  type HttpCall,
  type HttpPeer,
  type HttpStream,
  type HttpStreamCall,
  type Log,
} from '@antirio/host';
import {
  AntirioError,
  fromUtf8,
  toHex,
  utf8,
  type Clock,
  type EdgeId,
  type Identity,
  type Random,
} from '@antirio/kernel';
import { wholeBody } from './content-streams.ts';
import type { Directory } from './directory.ts';
import type { Streaming } from './open-routes.ts';
import { CARRIED_WITHIN_MS, fromRelayed, isRelayed, RELAY_PATH, toRelayed } from './central-way.ts';
import { createConcurrency } from './rate-limit.ts';
import { HEADERS, isAnswerOf, isStreamHeadOf, signRequest } from './request-signature.ts';
import { SIGNED_PIECES, verifiedPieces, type StreamOf } from './signed-pieces.ts';
import { createWays, type Way, type Ways } from './ways.ts';

/** Signed requests to other edges, and only answers that they signed. */
export interface PeerClient {
  /** @throws AntirioError notFound, busy, unavailable, timeout, tooLarge */
  call(to: EdgeId, call: HttpCall): Promise<PeerAnswer>;
  /** Sends what another edge has signed, as it is. @throws as `call` */
  pass(to: EdgeId, call: HttpCall): Promise<HttpAnswer>;
  /**
   * A GET whose answer is a stream of content; its head is proven to be the edge's, and of a `signed` one each piece, before it is
   * given; the body of others proves itself or not. @throws as `call`
   */
  open(to: EdgeId, path: string, call: HttpStreamCall, streaming: Streaming): Promise<HttpStream>;
  /** Answers of other edges that came through the centre, and how often it did not bring one. */
  counters(): Readonly<Record<'throughCentre' | 'notThroughCentre', number>>;
  /** How the next request that may go either way will go. */
  wayTo(to: EdgeId): Way;
  close(): void;
}

/** Brings a signed request to its edge, and back what was answered. */
type Carry = (signed: HttpCall) => Promise<HttpAnswer>;

export interface PeerAnswer extends HttpAnswer {
  readonly way: Way;
}

export interface PeerClientParts {
  readonly identity: Identity;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  readonly log: Log;
  readonly directory: () => Directory;
  /** Who carries where the other edge itself is not reached, and how long that one may take to answer. */
  readonly relay?: { readonly central: EdgeId; readonly directMs: number } | undefined;
}

/** Longer than anybody waits: who asked gives the call up before. */
const TIMEOUT_MS = 35_000;
const MAX_ANSWER_BYTES = 4 << 20;
const MAX_PER_EDGE = 64;
const MAX_IN_ALL = 512;
const MAX_CONNECTIONS = 256;
const NO_CHALLENGE = '0'.repeat(32);
/** Streams from one edge at once, and from all: each has a connection of its own. */
const STREAMS_PER_EDGE = 8;
const STREAMS_IN_ALL = 24;
const FORWARDED = ['content-type', 'accept', 'x-correlation-id'];

const header = (answer: Pick<HttpAnswer, 'headers'>, name: string): string => {
  const value = answer.headers[name];
  return typeof value === 'string' ? value : '';
};

/** Keeps the newest entries of a map. */
function remember<K, V>(map: Map<K, V>, key: K, value: V, max: number): V | undefined {
  map.delete(key);
  const oldest = map.size >= max ? map.keys().next().value : undefined;
  const dropped = oldest === undefined ? undefined : map.get(oldest);
  if (oldest !== undefined) map.delete(oldest);
  map.set(key, value);
  return dropped;
}

function reasonOf(answer: HttpAnswer): string {
  try {
    const body = JSON.parse(fromUtf8(answer.body)) as { message?: unknown };
    return String(body.message).slice(0, 200);
  } catch {
    return `HTTP ${answer.status}`;
  }
}

/** JSON as the bytes that are signed. */
function withBytes({ json, ...call }: HttpCall): HttpCall {
  if (json === undefined) return call;
  const headers = { ...call.headers, 'content-type': 'application/json' };
  return { ...call, headers, body: utf8(JSON.stringify(json)) };
}

async function* whileOpen(body: AsyncIterable<Uint8Array>, end: () => void): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } finally {
    end();
  }
}

/** @throws AntirioError unavailable where the pieces are not signed as they have to be. */
function withVerified(stream: HttpStream, of: StreamOf): HttpStream {
  const { 'content-encoding': coding, ...headers } = stream.headers;
  if (coding === SIGNED_PIECES) return { ...stream, headers, body: verifiedPieces(of, stream.body) };
  stream.close();
  throw new AntirioError('unavailable', `${of.from} gave a stream that is not signed`);
}

export function createPeerClient(parts: PeerClientParts): PeerClient {
  const { identity, clock, random, log, directory, relay } = parts;
  const connections = new Map<string, HttpPeer>();
  const challenges = new Map<EdgeId, string>();
  const counts = { throughCentre: 0, notThroughCentre: 0 };
  const underWay = createConcurrency(MAX_PER_EDGE, MAX_IN_ALL);
  const streaming = createConcurrency(STREAMS_PER_EDGE, STREAMS_IN_ALL);

  const connection = (url: string): HttpPeer => {
    const known = connections.get(url);
    if (known !== undefined) return known;
    const peer = httpPeer({ url });
    remember(connections, url, peer, MAX_CONNECTIONS)?.close();
    return peer;
  };
  /** After a cut, sockets that were kept open may be dead without a sign: none is used again. */
  const forget = (url: string, to: EdgeId): void => {
    const old = connections.get(url);
    connections.delete(url);
    if (old !== undefined) setTimeout(() => old.close(), TIMEOUT_MS).unref();
    directory().refresh(to);
  };
  const noteChallenge = (to: EdgeId, challenge: string): void => {
    if (challenge !== '' && challenge !== challenges.get(to))
      remember(challenges, to, challenge, MAX_CONNECTIONS);
  };
  const isSigned = (answer: HttpAnswer, by: EdgeId, nonce: string): boolean => {
    const { status, body } = answer;
    const signed = { status, contentType: header(answer, 'content-type'), body, to: identity.edgeId, nonce };
    return isAnswerOf(by, signed, header(answer, HEADERS.answer));
  };
  const attempt = async (to: EdgeId, carry: Carry, call: HttpCall): Promise<HttpAnswer | 'stale'> => {
    const { method = 'GET', path, body = new Uint8Array(0) } = call;
    const nonce = `${challenges.get(to) ?? NO_CHALLENGE}.${toHex(random.bytes(12))}`;
    const passed = Object.entries(call.headers ?? {}).filter(([name]) => FORWARDED.includes(name));
    const headers = {
      ...Object.fromEntries(passed),
      ...signRequest(identity, { method, path, body, to, nonce }),
    };
    const { signal, timeoutMs = TIMEOUT_MS } = call;
    const answer = await carry({
      method,
      path,
      headers,
      signal,
      timeoutMs,
      maxAnswerBytes: MAX_ANSWER_BYTES,
      body: call.body,
    });
    const challenge = header(answer, HEADERS.challenge);
    noteChallenge(to, challenge);
    if (isSigned(answer, to, nonce)) return answer;
    if (answer.status === 401 && challenge !== '' && !nonce.startsWith(`${challenge}.`)) return 'stale';
    // Not proven to be the edge's own word, so none that a contract could rest on.
    throw new AntirioError('unavailable', `${to} gave no signed answer: ${reasonOf(answer)}`, {
      status: answer.status,
    });
  };
  const exchange = async (to: EdgeId, carry: Carry, request: HttpCall): Promise<HttpAnswer> => {
    for (let tries = 0; tries < 3; tries++) {
      const answer = await attempt(to, carry, request);
      if (answer !== 'stale') return answer;
    }
    throw new AntirioError('unavailable', `${to} keeps changing its challenge`);
  };
  const unlessGone = async <T>(to: EdgeId, url: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof AntirioError && ['unavailable', 'timeout'].includes(error.code)) forget(url, to);
      throw error;
    }
  };
  const askDirectly = async (to: EdgeId, request: HttpCall): Promise<PeerAnswer> => {
    const { url } = await directory().find(to);
    const carry: Carry = (signed) => connection(url).call(signed);
    const answer = await unlessGone(to, url, () => exchange(to, carry, request));
    ways.reached(to);
    return { ...answer, way: 'direct' };
  };
  /** The centre's own answer is signed as any; the other edge's is in it, and signed as well. */
  const askThrough = async (central: EdgeId, to: EdgeId, request: HttpCall): Promise<PeerAnswer> => {
    const carry: Carry = async (signed) => {
      const json = toRelayed(to, signed);
      const { signal } = signed;
      const call = { method: 'POST', path: RELAY_PATH, json, signal, timeoutMs: CARRIED_WITHIN_MS } as const;
      const answer = await askDirectly(central, withBytes(call));
      if (answer.status === 200) return fromRelayed(answer);
      throw new AntirioError('unavailable', `the centre does not carry to ${to}: ${reasonOf(answer)}`);
    };
    try {
      const answer = await exchange(to, carry, request);
      counts.throughCentre += 1;
      return { ...answer, way: 'central' };
    } catch (error) {
      counts.notThroughCentre += 1;
      throw error;
    }
  };
  const ways: Ways = createWays({
    clock,
    probe: (to) =>
      askDirectly(to, { path: '/edge2edge/api/v3/ping', timeoutMs: relay?.directMs ?? TIMEOUT_MS }),
  });
  const ask = (to: EdgeId, request: HttpCall): Promise<PeerAnswer> => {
    if (relay === undefined || relay.central === to || !isRelayed(request)) return askDirectly(to, request);
    const { central, directMs } = relay;
    const isFirst = ways.of(to) === 'direct';
    return ways.take(to, {
      direct: () => askDirectly(to, isFirst ? { ...request, timeoutMs: directMs } : request),
      central: () => askThrough(central, to, request),
    });
  };
  const attemptStream = async (
    to: EdgeId,
    url: string,
    path: string,
    call: HttpStreamCall,
    proven: Streaming,
  ): Promise<HttpStream | 'stale'> => {
    const nonce = `${challenges.get(to) ?? NO_CHALLENGE}.${toHex(random.bytes(12))}`;
    const empty = new Uint8Array(0);
    const signed = signRequest(identity, { method: 'GET', path, body: empty, to, nonce });
    const peer = connection(url);
    if (peer.open === undefined) throw new AntirioError('unavailable', `no streams from ${url}`);
    const stream = await peer.open(path, { ...call, headers: { ...call.headers, ...signed } });
    const challenge = header(stream, HEADERS.challenge);
    noteChallenge(to, challenge);
    const { status } = stream;
    const contentType = header(stream, 'content-type');
    const contentEncoding = header(stream, 'content-encoding');
    const head = { status, contentType, contentEncoding, path, to: identity.edgeId, nonce };
    if (isStreamHeadOf(to, head, header(stream, HEADERS.stream)))
      return proven === 'self' ? stream : withVerified(stream, { from: to, to: identity.edgeId, nonce });
    const body = await wholeBody(stream.body, MAX_ANSWER_BYTES);
    const answer = { status, contentType, body, to: identity.edgeId, nonce };
    if (isAnswerOf(to, answer, header(stream, HEADERS.answer)))
      return { ...stream, body: Readable.from([body]) };
    if (status === 401 && challenge !== '' && !nonce.startsWith(`${challenge}.`)) return 'stale';
    throw new AntirioError('unavailable', `${to} gave no signed answer: HTTP ${status}`, { status });
  };
  const openStream = async (
    to: EdgeId,
    url: string,
    path: string,
    call: HttpStreamCall,
    proven: Streaming,
  ): Promise<HttpStream> => {
    for (let tries = 0; tries < 3; tries++) {
      const stream = await attemptStream(to, url, path, call, proven);
      if (stream !== 'stale') return stream;
    }
    throw new AntirioError('unavailable', `${to} keeps changing its challenge`);
  };
  return {
    async open(to, path, call, proven) {
      const { url } = await directory().find(to);
      const end = streaming.begin(to);
      if (end === undefined) throw new AntirioError('busy', `too much content of ${to} is on its way`);
      try {
        const stream = await openStream(to, url, path, call, proven);
        const close = (): void => {
          end();
          stream.close();
        };
        return { ...stream, close, body: whileOpen(stream.body, end) };
      } catch (error) {
        end();
        if (error instanceof AntirioError && ['unavailable', 'timeout'].includes(error.code)) forget(url, to);
        log.debug({ to, path, error }, 'no content');
        throw error;
      }
    },
    async call(to, request) {
      const end = underWay.begin(to);
      if (end === undefined) throw new AntirioError('busy', `too many requests to ${to} are under way`);
      try {
        return await ask(to, withBytes(request));
      } catch (error) {
        log.debug({ to, path: request.path, error }, 'no answer');
        throw error;
      } finally {
        end();
      }
    },
    async pass(to, signed) {
      const { url } = await directory().find(to);
      return unlessGone(to, url, () => connection(url).call(signed));
    },
    counters: () => ({ ...counts }),
    wayTo: (to) => ways.of(to),
    close() {
      for (const peer of connections.values()) peer.close();
      connections.clear();
    },
  };
}
