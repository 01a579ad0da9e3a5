import { request, type IncomingMessage } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { AntirioError } from '@antirio/kernel';

export interface StreamAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Ends the connection when it is left. @throws AntirioError unavailable | timeout */
  readonly body: AsyncIterable<Uint8Array>;
  /** Ends the connection where the body is not wanted. */
  close(): void;
}

export interface StreamCall {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Without a byte for so long the connection is given up, in milliseconds. */
  readonly idleMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** A GET whose body is read as it comes; redirects are not followed. @throws AntirioError unavailable | timeout | invalidInput */
export function openStream({ url, headers, idleMs, signal }: StreamCall): Promise<StreamAnswer> {
  const send = url.startsWith('https:') ? tlsRequest : request;
  return new Promise((resolve, reject) => {
    const outgoing = send(url, { headers, signal, agent: false, timeout: idleMs });
    const late = new AntirioError('timeout', `${url} sent nothing for ${idleMs} ms`);
    outgoing.on('timeout', () => outgoing.destroy(late));
    outgoing.on('error', (cause) => {
      reject(asFailure(url, cause));
    });
    outgoing.on('response', (incoming) => {
      // An error after the headers comes to whoever reads the body; before somebody does, it must have a listener.
      incoming.on('error', () => undefined);
      resolve({
        status: incoming.statusCode ?? 0,
        headers: incoming.headers,
        body: bodyOf(url, incoming),
        close: () => outgoing.destroy(),
      });
    });
    outgoing.end();
  });
}

async function* bodyOf(url: string, incoming: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    for await (const bytes of incoming) yield bytes as Uint8Array;
  } catch (cause) {
    throw asFailure(url, cause);
  } finally {
    incoming.destroy();
  }
}

function asFailure(url: string, cause: unknown): AntirioError {
  return cause instanceof AntirioError
    ? cause
    : new AntirioError('unavailable', `${url} does not answer`, {}, cause);
}
