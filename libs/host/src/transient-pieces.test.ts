import { createHash, randomBytes } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { openHttpStream } from './http-stream.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function serve(listener: RequestListener): Promise<string> {
  const opened = createServer(listener);
  server = opened;
  await new Promise<void>((resolve) => opened.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(opened.address() as AddressInfo).port}/`;
}

const open = (url: string) => openHttpStream(url, { idleMs: 5000, transient: true });
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test.each([
  ['one length', 0],
  ['many small chunks, several in one read', 700],
  ['large chunks, several reads each', 300_000],
])('a body of %s comes whole and in order, read at whatever pace', async (_what, chunk) => {
  const content = randomBytes(3_000_000);
  const url = await serve((_request, response) => {
    if (chunk === 0) response.setHeader('content-length', content.length);
    for (let at = 0; at < content.length; at += chunk || content.length)
      response.write(content.subarray(at, at + (chunk || content.length)));
    response.end();
  });
  const { body } = await open(url);
  const hash = createHash('sha256');
  let pieces = 0;
  for await (const piece of body) {
    if (pieces++ % 40 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    hash.update(piece);
  }
  expect(hash.digest('hex')).toBe(sha(content));
});

test('the memory of a large piece is gone once the next one is asked for', async () => {
  const url = await serve((_request, response) => response.end(Buffer.alloc(1_000_000, 7)));
  const { body } = await open(url);
  const seen: Uint8Array[] = [];
  for await (const piece of body) seen.push(piece);
  expect(seen.filter(({ length }) => length > 0).length).toBeLessThan(seen.length / 2);
});

test('a body that breaks off is an error, an empty one ends, one that is left ends the connection', async () => {
  let closed = (): void => undefined;
  const left = new Promise<void>((resolve) => (closed = resolve));
  const url = await serve((request, response) => {
    if (request.url === '/empty') response.end();
    else if (request.url === '/endless') {
      response.on('close', closed);
      const more = (): void => {
        if (!response.destroyed) response.write(Buffer.alloc(65_536), more);
      };
      more();
    } else {
      response.writeHead(200, { 'content-length': 100_000 });
      response.write(Buffer.alloc(50_000), () => response.destroy());
    }
  });
  const broken = await open(url);
  let got = 0;
  await expect(
    (async () => {
      for await (const piece of broken.body) got += piece.length;
    })(),
  ).rejects.toMatchObject({ code: 'unavailable' });
  expect(got).toBeLessThanOrEqual(50_000);
  for await (const piece of (await open(`${url}empty`)).body) expect(piece).toBeUndefined();
  const endless = await open(`${url}endless`);
  for await (const piece of endless.body) if (piece.length > 0) break;
  await left;
});
