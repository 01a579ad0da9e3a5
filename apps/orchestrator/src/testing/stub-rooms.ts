import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StubCall {
  readonly method: string;
  readonly path: string;
  readonly text: string;
  readonly headers: IncomingMessage['headers'];
}

export type Answer = { readonly status?: number; readonly json?: unknown };

/** An HTTP room that answers as the test says and remembers what it was asked. */
export interface StubRoom {
  readonly url: string;
  readonly calls: StubCall[];
  answer: (call: StubCall) => Answer;
  close(): Promise<void>;
}

/**
 * Migration as a service sees it: each image that is asked for is DOWNLOADED at once.
 * @param held archives by the name of the fetch, as they are asked for and let go
 */
export function migrationOf(
  held: Map<string, string>,
  archiveOf: (imageCid: string) => string,
  configurationOf: (archive: string) => object = () => ({}),
): StubRoom['answer'] {
  return ({ method, path, text }) => {
    const id = path.split('/').at(-1) ?? '';
    if (method === 'POST') {
      const { contractId, imageCid } = JSON.parse(text) as { contractId: string; imageCid: string };
      held.set(contractId, archiveOf(imageCid));
      return { status: 202, json: {} };
    }
    if (method === 'DELETE') return { status: held.delete(id) ? 204 : 404 };
    const archive = held.get(id);
    if (archive === undefined) return { status: 404, json: {} };
    return { json: { state: 'DOWNLOADED', archive, configuration: configurationOf(archive) } };
  };
}

export async function openStub(): Promise<StubRoom> {
  const calls: StubCall[] = [];
  const room = { answer: (_call: StubCall): Answer => ({ status: 404, json: { message: 'nothing here' } }) };
  const server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const call = {
        method: request.method ?? '',
        path: request.url ?? '',
        text: Buffer.concat(parts).toString(),
        headers: request.headers,
      };
      calls.push(call);
      const { status = 200, json } = room.answer(call);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(json === undefined ? '' : JSON.stringify(json));
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return Object.assign(room, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}
