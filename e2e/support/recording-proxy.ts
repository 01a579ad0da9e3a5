import { createServer, request as forward, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { MadeRequest } from '@antirio/edgex-contract';

/** Passes HTTP on to a service, and keeps what was asked. */
export interface RecordingProxy {
  readonly port: number;
  readonly requests: readonly MadeRequest[];
  close(): Promise<void>;
}

function parsed(bytes: Buffer): unknown {
  return bytes.length === 0 ? undefined : (JSON.parse(bytes.toString()) as unknown);
}

export async function openRecordingProxy(targetPort: number): Promise<RecordingProxy> {
  const requests: MadeRequest[] = [];
  const server: Server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => void chunks.push(chunk));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks);
      const { method = '', url = '', headers } = incoming;
      requests.push({ method, url, headers, body: parsed(body) });
      const passed = forward(
        { host: '127.0.0.1', port: targetPort, method, path: url, headers },
        (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.on('error', () => outgoing.destroy());
          answer.pipe(outgoing);
        },
      );
      // as a service that is away
      passed.on('error', () => incoming.socket.destroy());
      passed.end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
