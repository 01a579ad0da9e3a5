import { request, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { AntirioError } from '@antirio/kernel';
import { withoutLogins } from './logins.ts';
import { transientPieces } from './transient-pieces.ts';

export interface HttpStream {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Ends the connection when it is left. @throws AntirioError unavailable | timeout */
  readonly body: AsyncIterable<Uint8Array>;
  /** Ends the connection where the body is not wanted. */
  close(): void;
}

export interface HttpStreamCall {
  readonly headers?: Readonly<Record<string, string>>;
  /** Without a byte for so long the connection is given up, in milliseconds. */
  readonly idleMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Each piece of the body is valid only until the next one is asked for: what is large then takes no more memory than what is small. */
  readonly transient?: boolean;
}

/**
 * A GET whose body is read as it comes, on a connection of its own; redirects are not followed.
 * @param target a URL, or what node's `request` takes
 * @param name of the server, for messages
 * @throws AntirioError unavailable | timeout
 */
export function openHttpStream(
  target: string | RequestOptions,
  { headers = {}, idleMs, signal, transient = false }: HttpStreamCall,
  name = typeof target === 'string' ? withoutLogins(target) : 'the server',
): Promise<HttpStream> {
  const options = typeof target === 'string' ? optionsOf(target) : target;
  const send = options.protocol === 'https:' ? tlsRequest : request;
  return new Promise((resolve, reject) => {
    const outgoing = send({ ...options, headers, signal, agent: false, timeout: idleMs });
    const late = new AntirioError('timeout', `${name} sent nothing for ${idleMs} ms`);
    outgoing.on('timeout', () => outgoing.destroy(late));
    outgoing.on('error', (cause) => {
      reject(asFailure(name, cause));
    });
    outgoing.on('response', (incoming) => {
      // An error after the headers comes to whoever reads the body; before somebody does, it must have a listener.
      incoming.on('error', () => undefined);
      resolve({
        status: incoming.statusCode ?? 0,
        headers: incoming.headers,
        body: bodyOf(name, incoming, transient),
        close: () => outgoing.destroy(),
      });
    });
    outgoing.end();
  });
}

function optionsOf(url: string): RequestOptions {
  const { protocol, hostname, port, pathname, search } = new URL(url);
  return { protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port, path: pathname + search };
}

async function* bodyOf(
  name: string,
  incoming: IncomingMessage,
  transient: boolean,
): AsyncGenerator<Uint8Array> {
  try {
    if (transient) yield* transientPieces(incoming);
    else for await (const bytes of incoming) yield bytes as Uint8Array;
  } catch (cause) {
    throw asFailure(name, cause);
  } finally {
    incoming.destroy();
  }
}

function asFailure(name: string, cause: unknown): AntirioError {
  return cause instanceof AntirioError
    ? cause
    : new AntirioError('unavailable', `${name} does not answer`, {}, cause);
}
