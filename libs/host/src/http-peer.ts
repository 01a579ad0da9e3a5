import { Agent, request, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { AntirioError, errorCodes, fromUtf8, type ErrorCode } from '@antirio/kernel';

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
  close(): void;
}

export type PeerAddress = { readonly url: string } | { readonly socketPath: string };

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

function toOptions(address: PeerAddress, call: HttpCall): RequestOptions {
  if ('socketPath' in address) return { socketPath: address.socketPath, path: call.path };
  const base = new URL(address.url);
  return {
    protocol: base.protocol,
    hostname: base.hostname.replace(/^\[|\]$/g, ''),
    port: base.port,
    path: base.pathname.replace(/\/$/, '') + call.path,
  };
}

/** Keep-alive HTTP to one server, over TCP (or TLS) or a unix socket. */
export function httpPeer(address: PeerAddress): HttpPeer {
  const tls = 'url' in address && address.url.startsWith('https:');
  const agent = tls
    ? new TlsAgent({ keepAlive: true, maxSockets: 64 })
    : new Agent({ keepAlive: true, maxSockets: 64 });
  const send = tls ? tlsRequest : request;
  const name = 'url' in address ? address.url : address.socketPath;

  const once = (call: HttpCall): Promise<HttpAnswer> =>
    new Promise((resolve, reject) => {
      const body = call.json === undefined ? call.body : Buffer.from(JSON.stringify(call.json));
      const headers: Record<string, string> = { ...call.headers };
      if (call.json !== undefined) headers['content-type'] ??= 'application/json';
      if (body !== undefined) headers['content-length'] = String(body.length);
      const outgoing = send({
        ...toOptions(address, call),
        agent,
        method: call.method ?? 'GET',
        headers,
        signal: call.signal,
      });
      const timeoutMs = call.timeoutMs ?? 5000;
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
        readBody(incoming, call.maxAnswerBytes ?? 16 << 20).then((bytes) => {
          clearTimeout(timer);
          const { statusCode = 0, headers: got } = incoming;
          resolve({ status: statusCode, headers: got, body: bytes, json: () => parseJson(bytes) });
        }, fail);
      });
      outgoing.end(body);
    });
  return {
    async call(call) {
      try {
        return await once(call);
      } catch (error) {
        // A kept-alive socket that the server had just closed: the request was never read.
        if (error instanceof AntirioError && error.details['staleSocket'] === true) return once(call);
        throw error;
      }
    },
    close: () => {
      agent.destroy();
    },
  };
}

function codeOf(status: number): ErrorCode {
  const found = Object.entries(errorCodes).find(([, known]) => known === status);
  return (found?.[0] ?? (status >= 500 ? 'unavailable' : 'invalidInput')) as ErrorCode;
}

/** Calls and gives the JSON body of a 2xx answer. @throws AntirioError with the other side's message otherwise. */
export async function callJson(peer: HttpPeer, call: HttpCall): Promise<unknown> {
  const answer = await peer.call(call);
  if (answer.status >= 200 && answer.status < 300)
    return answer.body.length === 0 ? undefined : answer.json();
  let message = `HTTP ${answer.status}`;
  try {
    const body = answer.json();
    if (typeof body === 'object' && body !== null && 'message' in body) message = String(body.message);
  } catch {
    // an error page that is no JSON: the status must do
  }
  throw new AntirioError(codeOf(answer.status), `${call.method ?? 'GET'} ${call.path}: ${message}`, {
    status: answer.status,
  });
}
