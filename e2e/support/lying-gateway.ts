import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A gateway that gives every block of another one, with one bit of it flipped. */
export interface LyingGateway {
  readonly url: string;
  /** Blocks that it gave. */
  lies(): number;
  close(): Promise<void>;
}

export async function openLyingGateway(honestUrl: string): Promise<LyingGateway> {
  let lies = 0;
  const server = createServer((request, response) => {
    void fetch(`${honestUrl}${request.url ?? ''}`).then(async (honest) => {
      const body = Buffer.from(await honest.arrayBuffer());
      const middle = body.length >> 1;
      if (honest.ok && body.length > 0) {
        body.writeUInt8(body.readUInt8(middle) ^ 1, middle);
        lies += 1;
      }
      response.writeHead(honest.status, { 'content-type': honest.headers.get('content-type') ?? '' });
      response.end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lies: () => lies,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
