import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { AntirioError, describeError } from '@antirio/kernel';
import { CORRELATION_HEADER } from './correlation.ts';
import { errorBody, statusOf } from './error-answer.ts';
import type { Log } from './log.ts';
import type { CountRequest } from './rim-metrics.ts';

/** A request as it came over the wire. */
export interface HotRequest {
  /** The levels of the path below the route's, decoded. */
  readonly levels: readonly string[];
  readonly bytes: Uint8Array;
  readonly header: (name: string) => string | undefined;
}

/** A POST that comes thousands of times a second. */
export interface HotRoute {
  /** Such as `/api/v3/event/`. */
  readonly below: string;
  /** So many levels follow. */
  readonly levels: number;
  /** What it resolves with is sent as JSON with the status. */
  readonly handle: (request: HotRequest) => Promise<object>;
  readonly status: number;
  /** Without an answer for so long it is 503. */
  readonly timeoutMs: number;
}

interface HotOptions {
  readonly log: Log;
  readonly maxBodyBytes: number;
  readonly count: CountRequest;
  /** For the request id of a body that was refused. */
  readonly parseBody: (bytes: Uint8Array, contentType: string | undefined) => unknown;
}

const MAX_CORRELATION = 128;
/** Requests with these are for express: compressed bodies, chunks, pages of other origins. */
const UNUSUAL = ['content-encoding', 'transfer-encoding', 'expect', 'origin'] as const;

/** The levels of a path that the route takes; undefined for every other path, also where it cannot be decoded. */
function levelsBelow({ below, levels }: HotRoute, url: string): string[] | undefined {
  if (!url.startsWith(below) || url.includes('?')) return undefined;
  const found = url.slice(below.length).split('/');
  if (found.length !== levels || found.includes('')) return undefined;
  try {
    return url.includes('%') ? found.map(decodeURIComponent) : found;
  } catch {
    return undefined;
  }
}

function hasUsualBody({ headers }: IncomingMessage, maxBytes: number): boolean {
  const length = Number(headers['content-length'] ?? 0);
  return length > 0 && length <= maxBytes && UNUSUAL.every((name) => headers[name] === undefined);
}

class HotAnswer {
  readonly #response: ServerResponse;
  readonly #correlation: string | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #count: CountRequest;
  readonly #began = performance.now();

  constructor(request: IncomingMessage, response: ServerResponse, timeoutMs: number, count: CountRequest) {
    this.#response = response;
    this.#count = count;
    const correlation = request.headers['x-correlation-id'];
    if (typeof correlation === 'string' && correlation.length <= MAX_CORRELATION)
      this.#correlation = correlation;
    this.#timer = setTimeout(
      () => this.fail(new AntirioError('unavailable', 'HTTP request timeout'), undefined),
      timeoutMs,
    );
    this.#timer.unref();
  }

  send(status: number, body: object): void {
    clearTimeout(this.#timer);
    if (this.#response.headersSent || this.#response.destroyed) return;
    const text = JSON.stringify(body);
    const headers: Record<string, string | number> = {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(text),
    };
    if (this.#correlation !== undefined) headers['x-correlation-id'] = this.#correlation;
    this.#response.writeHead(status, headers).end(text);
    this.#count('POST', status, performance.now() - this.#began);
  }

  fail(error: unknown, requestBody: unknown): void {
    this.send(statusOf(error), errorBody(error, requestBody));
  }

  /** The client is gone. */
  drop(): void {
    clearTimeout(this.#timer);
  }
}

function readBody(request: IncomingMessage, done: (bytes: Uint8Array) => void, gone: () => void): void {
  let whole: Buffer | undefined;
  let more: Buffer[] | undefined;
  request.on('data', (chunk: Buffer) => {
    if (whole === undefined) whole = chunk;
    else (more ??= [whole]).push(chunk);
  });
  request.on('end', () => {
    const bytes = more === undefined ? (whole ?? Buffer.alloc(0)) : Buffer.concat(more);
    done(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  });
  request.on('error', gone);
}

/**
 * Takes the plain requests of hot routes, and leaves all others to express, whose routes have the same paths: going through its layers
 * would cost more than storing an event does. Correlation ids, limits, time-outs and error bodies are the same here.
 */
export function takeHotRoutes(
  hot: readonly HotRoute[],
  others: RequestListener,
  { log, maxBodyBytes, parseBody, count }: HotOptions,
): RequestListener {
  const bodyOf = (bytes: Uint8Array, contentType: string | undefined): unknown => {
    try {
      return parseBody(bytes, contentType);
    } catch {
      return undefined;
    }
  };
  const take = (
    route: HotRoute,
    levels: readonly string[],
    request: IncomingMessage,
    response: ServerResponse,
  ): void => {
    const answer = new HotAnswer(request, response, route.timeoutMs, count);
    const header = (name: string): string | undefined => {
      const value = request.headers[name];
      return typeof value === 'string' ? value : undefined;
    };
    const handle = async (bytes: Uint8Array): Promise<void> => {
      try {
        answer.send(route.status, await route.handle({ levels, bytes, header }));
      } catch (error) {
        if (statusOf(error) >= 500)
          log.error(
            { path: request.url, correlationId: header(CORRELATION_HEADER), error: describeError(error) },
            'request failed',
          );
        answer.fail(error, bodyOf(bytes, header('content-type')));
      }
    };
    readBody(
      request,
      (bytes) => void handle(bytes),
      () => answer.drop(),
    );
  };
  return (request, response) => {
    const { method, url = '' } = request;
    if (method === 'POST' && hasUsualBody(request, maxBodyBytes))
      for (const route of hot) {
        const levels = levelsBelow(route, url);
        if (levels === undefined) continue;
        take(route, levels, request, response);
        return;
      }
    others(request, response);
  };
}
