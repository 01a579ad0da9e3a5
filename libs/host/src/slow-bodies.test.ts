import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createHttpRim, silentLog, systemClock, type HttpRim } from './index.ts';

let rim: HttpRim;
let port: number;
const sockets: Socket[] = [];

beforeEach(async () => {
  rim = createHttpRim({
    serviceKey: 'slow',
    version: '1',
    config: () => ({}),
    health: () => ({}),
    log: silentLog,
    clock: systemClock,
    requestWithinMs: 200,
    isUpload: ({ url }) => url === '/upload',
  });
  for (const path of ['/upload', '/other'])
    rim.route(
      'put',
      path,
      { summary: 'takes bytes', bodyType: 'application/octet-stream' },
      async (input) => {
        let size = 0;
        for await (const bytes of input.request) size += (bytes as Uint8Array).length;
        return { size };
      },
    );
  rim.app.get('/open', (_request, response) => void response.write('begun'));
  port = await rim.listen(0, '127.0.0.1');
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await rim.close();
});

async function send(text: string): Promise<{ socket: Socket; text: () => string }> {
  const socket = connect({ port, host: '127.0.0.1' });
  sockets.push(socket);
  await once(socket, 'connect');
  let got = '';
  socket.on('data', (bytes: Buffer) => (got += bytes.toString()));
  socket.write(text);
  return { socket, text: () => got };
}

const put = (path: string): string => `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc`;

test('the body of an upload may take longer than other requests, which are answered 408', async () => {
  const [upload, other] = await Promise.all([send(put('/upload')), send(put('/other'))]);
  await once(other.socket, 'end');
  expect(other.text()).toMatch(/^HTTP\/1\.1 408 .*too slowly/s);
  expect(upload.text()).toBe('');
  upload.socket.write('def');
  await once(upload.socket, 'data');
  expect(upload.text()).toMatch(/^HTTP\/1\.1 200 .*"size":6/s);
});

test('an answer may take as long as it wants', async () => {
  const open = await send('GET /open HTTP/1.1\r\nHost: x\r\n\r\n');
  const late = await send(put('/other'));
  await once(late.socket, 'end');
  expect(open.text()).toContain('begun');
  expect(open.socket.readyState).toBe('open');
});
