import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { expect, test } from '@jest/globals';
import { createAuthority } from './certificates.ts';

async function greeted(servername: string, ca: string, own: { cert: string; key: string }): Promise<string> {
  const server = createServer(own, (socket) => socket.on('error', () => undefined).end('hello'));
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const socket = connect({ port, host: '127.0.0.1', servername, ca });
    const [data] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return data.toString();
  } finally {
    server.close();
  }
}

test('who trusts an authority trusts what it issued, for the names that it is for and no others', async () => {
  const authority = createAuthority('a lab');
  const issued = authority.issue(['core-data', 'localhost']);
  expect(await greeted('core-data', authority.cert, issued)).toBe('hello');
  await expect(greeted('core-metadata', authority.cert, issued)).rejects.toThrow(/does not match/);
  const other = createAuthority('a lab');
  await expect(greeted('core-data', other.cert, issued)).rejects.toThrow(/certificate/);
});
