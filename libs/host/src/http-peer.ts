import { Agent, request, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import { AntirioError, concatBytes, errorCodes, fromUtf8, type ErrorCode } from '@antirio/kernel';
import { CORRELATION_HEADER, currentCorrelation } from './correlation.ts';
import { withoutLogins } from './logins.ts';
import type { Credentials } from './rim-access.ts';
import { openHttpStream, type HttpStream, type HttpStreamCall } from './http-stream.ts';
import { createHttpPipeline, type HttpPipeline, type PipelinedRequest } from './http-pipeline.ts';

export interface HttpCall {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD';
  /** With query, from the slash on. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly body?: Uint8Array;
  /** For the whole exchange (default 5000). */
  readonly timeoutMs?: number;
  /** Gives the call up. */
  readonly signal?: AbortSignal;
  /** Answers over this many bytes are an error (default 16 MiB). */
  readonly maxAnswerBytes?: number;
  /** It does no harm to be carried out twice: such calls share few connections, and cost a fraction of others where many come. */
  readonly repeatable?: boolean;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
  /** The JSON body. @throws AntirioError unavailable when it is none. */
  json(): unknown;
}

/** One HTTP server, whichever way it is reached. */
export interface HttpPeer {
  /** Any status is an answer. @throws AntirioError unavailable | timeout | tooLarge when there is none. */
  call(call: HttpCall): Promise<HttpAnswer>;
  /** A GET of whatever size, where the way there can carry it. @throws AntirioError unavailable | timeout */
  open?(path: string, call: HttpStreamCall): Promise<HttpStream>;
  close(): void;
}

export type PeerAddress =
  | {
      readonly url: string;
      /** What is shown there; read for each call. */
      readonly credentials?: Credentials | undefined;
      /** In place of the system's resolver, for names; an address in the URL is taken as it is. */
      readonly lookup?: LookupFunction | undefined;
    }
  | { readonly socketPath: string };

function readBody(incoming: IncomingMessage, limit: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    incoming.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > limit) incoming.destroy(new AntirioError('tooLarge', 'answer over the limit', { limit }));
      else chunks.push(chunk);
    });
    incoming.on('end', () => resolve(new Uint8Array(Buffer.concat(chunks))));
    incoming.on('error', reject);
    incoming.on('aborted', () => reject(new AntirioError('unavailable', 'the answer broke off')));
  });
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(body));
  } catch (cause) {
    throw new AntirioError('unavailable', 'the answer is no JSON', {}, cause);
  }
}

interface Base extends RequestOptions {
  /** What stands before the paths of calls. */
  readonly below: string;
  /** As the field `Host` has it. */
  readonly authority: string;
}

function baseOf(address: PeerAddress): Base {
  if ('socketPath' in address) return { socketPath: address.socketPath, below: '', authority: 'localhost' };
  const base = new URL(address.url);
  return {
    protocol: base.protocol,
    hostname: base.hostname.replace(/^\[|\]$/g, ''),
    port: base.port,
    authority: base.host,
    below: base.pathname.replace(/\/$/, ''),
    ...(address.lookup === undefined ? {} : { lookup: address.lookup }),
  };
}

const TIMEOUT_MS = 5000;
const MAX_ANSWER_BYTES = 16 << 20;
const PLAIN_PATH = /^\/[\x21-\x7e]*$/;
const PLAIN_FIELD = /^[A-Za-z0-9-]+: [\t\x20-\x7e]*$/;

function bodyOf({ json, body }: HttpCall): Uint8Array | undefined {
  return json === undefined ? body : Buffer.from(JSON.stringify(json));
}

function headersOf(
  { headers, json }: HttpCall,
  body: Uint8Array | undefined,
  credentials: Credentials | undefined,
): Record<string, string> {
  const all: Record<string, string> = { ...headers };
  const correlation = currentCorrelation();
  if (correlation !== undefined) all[CORRELATION_HEADER] ??= correlation;
  const token = credentials?.token?.();
  if (token !== undefined) all['authorization'] = `Bearer ${token}`;
  if (json !== undefined) all['content-type'] ??= 'application/json';
  if (body !== undefined) all['content-length'] = String(body.length);
  return all;
}

const mayShare = ({ repeatable = false, method, signal }: HttpCall): boolean =>
  repeatable && method !== 'HEAD' && signal === undefined;

/** The bytes of a call that needs nothing unusual; undefined for others. */
function plainRequest(
  { below, authority }: Base,
  call: HttpCall,
  credentials: Credentials | undefined,
): PipelinedRequest | undefined {
  const path = below + call.path;
  const body = bodyOf(call) ?? new Uint8Array();
  const fields = Object.entries({ host: authority, ...headersOf(call, body, credentials) }).map(
    ([field, value]) => `${field}: ${value}`,
  );
  if (!PLAIN_PATH.test(path) || !fields.every((field) => PLAIN_FIELD.test(field))) return undefined;
  const { method = 'GET', timeoutMs = TIMEOUT_MS, maxAnswerBytes = MAX_ANSWER_BYTES } = call;
  const head = `${method} ${path} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`;
  return { head, body, timeoutMs, maxAnswerBytes };
}

function pipelineTo({ socketPath, hostname, port }: Base, name: string): HttpPipeline {
  if (typeof socketPath === 'string') return createHttpPipeline({ path: socketPath }, name);
  return createHttpPipeline({ host: hostname ?? 'localhost', port: Number(port === '' ? 80 : port) }, name);
}

/** Keep-alive HTTP to one server, over TCP (or TLS) or a unix socket. */
export function httpPeer(address: PeerAddress): HttpPeer {
  const tls = 'url' in address && address.url.startsWith('https:');
  const agent = tls
    ? new TlsAgent({ keepAlive: true, maxSockets: 64 })
    : new Agent({ keepAlive: true, maxSockets: 64 });
  const send = tls ? tlsRequest : request;
  const credentials = 'url' in address ? address.credentials : undefined;
  const name = 'url' in address ? withoutLogins(address.url) : address.socketPath;
  let known: Base | undefined;
  const base = (): Base => (known ??= baseOf(address));

  const once = (call: HttpCall): Promise<HttpAnswer> =>
    new Promise((resolve, reject) => {
      const body = bodyOf(call);
      const { below, ...target } = base();
      const outgoing = send({
        ...target,
        path: below + call.path,
        agent,
        method: call.method ?? 'GET',
        headers: headersOf(call, body, credentials),
        ...(tls ? credentials?.tls?.() : undefined),
        signal: call.signal,
      });
      const timeoutMs = call.timeoutMs ?? TIMEOUT_MS;
      const timer = setTimeout(
        () => outgoing.destroy(new AntirioError('timeout', `${name} did not answer in ${timeoutMs} ms`)),
        timeoutMs,
      );
      const fail = (cause: unknown): void => {
        clearTimeout(timer);
        const known = cause instanceof AntirioError;
        const reused = outgoing.reusedSocket && (cause as NodeJS.ErrnoException).code === 'ECONNRESET';
        reject(
          known
            ? cause
            : new AntirioError('unavailable', `${name} does not answer`, { staleSocket: reused }, cause),
        );
      };
      outgoing.on('error', fail);
      outgoing.on('response', (incoming) => {
        readBody(incoming, call.maxAnswerBytes ?? MAX_ANSWER_BYTES).then((bytes) => {
          clearTimeout(timer);
          const { statusCode = 0, headers: got } = incoming;
          resolve({ status: statusCode, headers: got, body: bytes, json: () => parseJson(bytes) });
        }, fail);
      });
      outgoing.end(body);
    });
  let pipeline: HttpPipeline | undefined;
  const pipelined = async (plain: PipelinedRequest): Promise<HttpAnswer> => {
    pipeline ??= pipelineTo(base(), name);
    const answer = await pipeline.send(plain);
    return { ...answer, json: () => parseJson(answer.body) };
  };
  return {
    async call(call) {
      const isOrdinary = !tls && base().lookup === undefined;
      const plain = isOrdinary && mayShare(call) ? plainRequest(base(), call, credentials) : undefined;
      if (plain !== undefined) return pipelined(plain);
      try {
        return await once(call);
      } catch (error) {
        // A kept-alive socket that the server had just closed: the request was never read.
        if (error instanceof AntirioError && error.details['staleSocket'] === true) return once(call);
        throw error;
      }
    },
    open: (path, call) => {
      const { below, ...target } = base();
      const headers = headersOf(
        { path, ...(call.headers && { headers: call.headers }) },
        undefined,
        credentials,
      );
      const material = tls ? credentials?.tls?.() : undefined;
      return openHttpStream({ ...target, ...material, path: below + path }, { ...call, headers }, name);
    },
    close: () => {
      agent.destroy();
      pipeline?.close();
    },
  };
}

function codeOf(status: number): ErrorCode {
  const found = Object.entries(errorCodes).find(([, known]) => known === status);
  return (found?.[0] ?? (status >= 500 ? 'unavailable' : 'invalidInput')) as ErrorCode;
}

/** What an answer that is no 2xx says, with the other side's message where its body has one. */
export function answerError(
  call: HttpCall,
  { status, body }: Pick<HttpAnswer, 'status' | 'body'>,
): AntirioError {
  let message = `HTTP ${status}`;
  try {
    const said = parseJson(body);
    if (typeof said === 'object' && said !== null && 'message' in said) message = String(said.message);
  } catch {
    // an error page that is no JSON: the status must do
  }
  return new AntirioError(codeOf(status), `${call.method ?? 'GET'} ${call.path}: ${message}`, { status });
}

const MAX_FAILURE_BYTES = 64 << 10;

/** What a stream says whose status is not 200; its body is read, as far as it is short. */
export async function streamError(path: string, { status, body }: HttpStream): Promise<AntirioError> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > MAX_FAILURE_BYTES) break;
    parts.push(new Uint8Array(part));
  }
  return answerError({ path }, { status, body: concatBytes(...parts) });
}

/** Calls and gives the JSON body of a 2xx answer. @throws AntirioError with the other side's message otherwise. */
export async function callJson(peer: HttpPeer, call: HttpCall): Promise<unknown> {
  const answer = await peer.call(call);
  if (answer.status >= 200 && answer.status < 300)
    return answer.body.length === 0 ? undefined : answer.json();
  throw answerError(call, answer);
}
