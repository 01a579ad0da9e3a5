import { randomBytes } from 'node:crypto';
import { createServer, request as startRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock, waitFor, type HttpStream } from '@antirio/host';
import { introduce, startEdge, type TestEdge } from './edges.fixture.ts';
import { HEADERS } from './request-signature.ts';

const CONTRACT = '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f';
let a: TestEdge;
let b: TestEdge;
beforeAll(async () => {
  [a, b] = await Promise.all([startEdge(), startEdge({ contentBytesPerSecond: 1e9 })]);
  const terms = { customer: a.identity.edgeId, provider: b.identity.edgeId };
  b.rooms.arbitrator.answer = () => ({ status: 200, body: { terms } });
});
afterAll(async () => {
  await Promise.all([a, b].map((edge) => edge.close()));
});
const endings: (() => void)[] = [];
afterEach(() => {
  for (const end of endings.splice(0).reverse()) end();
  b.rooms.gatewayBridge.raw = undefined;
});

async function open(): Promise<HttpStream> {
  const path = `/edge2edge/peer/${b.identity.edgeId}/gateway-bridge/api/v3/ring/${CONTRACT}/stream?after=0`;
  const stream = await a.local.open?.(path, { idleMs: 5000 });
  if (stream === undefined) throw new TypeError('no streams');
  endings.push(() => stream.close());
  return stream;
}

async function read({ body }: HttpStream): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

function serve(content: Buffer): void {
  b.rooms.gatewayBridge.raw = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/x-test' });
    response.end(content);
  };
}

/** Stands between the edges; `change` gets each piece of an answer's body. */
async function between(change: (piece: Buffer, at: number) => Buffer | 'end'): Promise<void> {
  const server = createServer((incoming, outgoing) => {
    const { method, url: path, headers } = incoming;
    const target = new URL(b.url);
    const onward = startRequest({ host: target.hostname, port: target.port, method, path, headers });
    onward.on('error', () => outgoing.destroy());
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 0, answer.headers);
      let at = 0;
      const isStream = answer.headers[HEADERS.stream] !== undefined;
      answer.on('data', (piece: Buffer) => {
        const changed = isStream ? change(piece, at) : piece;
        at += piece.length;
        if (changed === 'end') outgoing.end();
        else if (!outgoing.writableEnded) outgoing.write(changed);
      });
      answer.on('end', () => outgoing.end());
      answer.on('error', () => outgoing.destroy());
    });
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endings.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await a.local.call({ method: 'PUT', path: `/api/v3/peer/${b.identity.edgeId}`, json: { url } });
}

describe('a stream in signed pieces', () => {
  test('comes through byte by byte', async () => {
    await introduce(a, b);
    const content = randomBytes(3_000_000);
    serve(content);
    const stream = await open();
    expect(stream.headers['content-type']).toBe('application/x-test');
    expect(stream.headers['content-encoding']).toBeUndefined();
    expect((await read(stream)).equals(content)).toBe(true);
  });

  test('is refused where a byte of it was changed on the way, before anything is made of that', async () => {
    const content = Buffer.alloc(1_000_000, 7);
    serve(content);
    await between((piece, at) => {
      if (at > 500_000) piece.fill(8, 0, 1);
      return piece;
    });
    const seen: Buffer[] = [];
    const reading = (async () => {
      for await (const piece of (await open()).body) seen.push(Buffer.from(piece));
    })();
    await expect(reading).rejects.toMatchObject({ code: 'unavailable' });
    const got = Buffer.concat(seen);
    expect(got.length).toBeGreaterThan(0);
    expect(got.every((byte) => byte === 7)).toBe(true);
  });

  test('that was cut short on the way is not taken for whole', async () => {
    serve(Buffer.alloc(1_000_000, 7));
    await between((piece, at) => (at > 500_000 ? 'end' : piece));
    await expect(open().then(read)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('ends in the room when whoever reads it gives up', async () => {
    await introduce(a, b);
    let closed = 0;
    b.rooms.gatewayBridge.raw = (_request, response) => {
      response.on('close', () => closed++);
      const more = (): void => {
        if (!response.destroyed) response.write(Buffer.alloc(65_536), more);
      };
      more();
    };
    for await (const piece of (await open()).body) if (piece.length > 0) break;
    expect(await waitFor(systemClock, 10_000, () => closed === 1 || undefined)).toBe(true);
  });
});
