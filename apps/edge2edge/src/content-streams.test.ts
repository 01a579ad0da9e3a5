import { createHash, randomBytes } from 'node:crypto';
import { createServer, request as startRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { systemClock, waitFor, type HttpPeer, type HttpStream } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { createContentStreams, createPace } from './content-streams.ts';
import { introduce, startEdge, type TestEdge } from './edges.fixture.ts';

const CAR = 'application/vnd.ipld.car';
let a: TestEdge;
let b: TestEdge;
let stranger: TestEdge;
beforeAll(async () => {
  [a, b, stranger] = await Promise.all([startEdge(), startEdge({ contentBytesPerSecond: 1e9 }), startEdge()]);
  await Promise.all([introduce(a, b), introduce(b, a), introduce(stranger, b)]);
});
afterAll(async () => {
  await Promise.all([a, b, stranger].map((edge) => edge.close()));
});
const opened: HttpStream[] = [];
afterEach(async () => {
  for (const stream of opened.splice(0)) stream.close();
  b.rooms.filecoinInterface.raw = undefined;
  await introduce(a, b);
});

async function open(from: TestEdge, headers: Record<string, string> = {}): Promise<HttpStream> {
  const path = `/edge2edge/peer/${b.identity.edgeId}/filecoin-interface/ipfs/bafy?format=car`;
  const stream = await from.local.open?.(path, { headers: { accept: CAR, ...headers }, idleMs: 5000 });
  if (stream === undefined) throw new TypeError('no streams');
  opened.push(stream);
  return stream;
}

async function hashOf(body: AsyncIterable<Uint8Array>): Promise<{ sha: string; size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const piece of body) {
    hash.update(piece);
    size += piece.length;
  }
  return { sha: hash.digest('hex'), size };
}

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A room that sends without end, and how often it was asked. */
function endless(): { asked: number } {
  const seen = { asked: 0 };
  b.rooms.filecoinInterface.raw = (_request, response) => {
    seen.asked++;
    response.setHeader('content-type', CAR);
    const more = (): void => {
      if (!response.destroyed) response.write(Buffer.alloc(65_536), () => setImmediate(more));
    };
    more();
  };
  return seen;
}

test('content of any size comes through byte by byte, with its coding, and the room is told who asks', async () => {
  const content = zstdCompressSync(randomBytes(12_000_000));
  const seen: Record<string, unknown>[] = [];
  b.rooms.filecoinInterface.raw = (request, response) => {
    seen.push({ url: request.url, ...request.headers });
    response.writeHead(200, { 'content-type': `${CAR}; version=1`, 'content-encoding': 'zstd' });
    response.end(content);
  };
  const stream = await open(a, { 'accept-encoding': 'zstd' });
  expect(stream.status).toBe(200);
  expect(stream.headers).toMatchObject({ 'content-type': `${CAR}; version=1`, 'content-encoding': 'zstd' });
  expect(await hashOf(stream.body)).toEqual({ sha: sha(content), size: content.length });
  expect(seen).toEqual([
    expect.objectContaining({
      url: '/ipfs/bafy?format=car',
      accept: CAR,
      'accept-encoding': 'zstd',
      'x-antirio-peer': a.identity.edgeId,
    }),
  ]);
});

test('what is no content is answered and signed as ever; a stranger gets none', async () => {
  b.rooms.filecoinInterface.answer = () => ({ status: 404, body: { message: 'no block' } });
  const missing = await open(a);
  expect(missing.status).toBe(404);
  let body = '';
  for await (const piece of missing.body) body += Buffer.from(piece).toString();
  expect(JSON.parse(body)).toEqual({ message: 'no block' });
  expect((await open(stranger)).status).toBe(403);
});

test('content that breaks off in the room breaks off at the other edge', async () => {
  b.rooms.filecoinInterface.raw = (_request, response) => {
    response.setHeader('content-type', CAR);
    response.write(randomBytes(300_000), () => response.destroy());
  };
  const { status, body } = await open(a);
  expect(status).toBe(200);
  await expect(hashOf(body)).rejects.toMatchObject({ code: 'unavailable' });
});

test('whoever gives up ends it in the room', async () => {
  let closed = 0;
  b.rooms.filecoinInterface.raw = (_request, response) => {
    response.on('close', () => closed++);
    const more = (): void => {
      if (!response.destroyed) response.write(Buffer.alloc(65_536), more);
    };
    more();
  };
  const { body } = await open(a);
  for await (const piece of body) if (piece.length > 0) break;
  expect(await waitFor(systemClock, 10_000, () => closed === 1 || undefined, 20)).toBe(true);
});

test('the head is the other edge’s own word: one that was changed on the way is refused', async () => {
  b.rooms.filecoinInterface.raw = (_request, response) => {
    response.writeHead(200, { 'content-type': CAR }).end('content');
  };
  const change = (
    headers: NodeJS.Dict<string | string[]>,
  ): Record<string, string | string[] | undefined> => ({
    ...headers,
    'content-type': 'text/html',
  });
  const between: Server = createServer((request, response) => {
    const { method, url, headers } = request;
    const on = startRequest(`${b.url}${url ?? ''}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, change(answer.headers));
      answer.pipe(response);
    });
    on.on('error', () => response.destroy());
    on.end();
  });
  await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
    await a.local.call({ method: 'PUT', path: `/api/v3/peer/${b.identity.edgeId}`, json: { url } });
    expect((await open(a)).status).toBe(503);
  } finally {
    between.close();
    between.closeAllConnections();
  }
});

test('streams without end are few, and leave room for requests and beats', async () => {
  const seen = endless();
  const streams = await Promise.all(Array.from({ length: 4 }, () => open(a)));
  const received = streams.map(() => 0);
  const readers = streams.map(async ({ body }, i) => {
    for await (const piece of body) received[i] = (received[i] ?? 0) + piece.length;
  });
  // They end when they are closed below.
  const ended = Promise.allSettled(readers);
  expect((await open(a)).status).toBe(429);
  expect(seen.asked).toBe(4);
  const beats: unknown[] = [];
  const subscription = await b.bus.subscribe('antirio/datagram/in/beat', (_topic, payload) => {
    beats.push(JSON.parse(Buffer.from(payload).toString()));
  });
  for (let n = 0; n < 20; n++) {
    const before = received.reduce((sum, bytes) => sum + bytes, 0);
    const ping = await a.local.call({ path: `/edge2edge/peer/${b.identity.edgeId}/edge2edge/api/v3/ping` });
    expect(ping.status).toBe(200);
    const beat = { to: b.identity.edgeId, kind: 'beat', body: { n } };
    await a.bus.publish('antirio/datagram/out', Buffer.from(JSON.stringify(beat)));
    await waitFor(systemClock, 10_000, () => beats.length === n + 1 || undefined, 5);
    const isMore = (): true | undefined =>
      received.reduce((sum, bytes) => sum + bytes, 0) > before || undefined;
    await waitFor(systemClock, 10_000, isMore, 5);
  }
  expect(beats).toHaveLength(20);
  await subscription.close();
  for (const stream of streams) stream.close();
  await ended;
  b.rooms.filecoinInterface.raw = (_request, response) => void response.end('more');
  const again = await waitFor(
    systemClock,
    10_000,
    async () => {
      const stream = await open(a);
      return stream.status === 200 || undefined;
    },
    50,
  );
  expect(again).toBe(true);
});

test('content of all streams together keeps to its pace', async () => {
  const pace = createPace(systemClock, 1_000_000);
  const began = systemClock.monotonic();
  await Promise.all([pace(50_000), pace(50_000)]);
  // 100 kB at 1 MB/s, of which 20 ms may go at once.
  expect(systemClock.monotonic() - began).toBeGreaterThanOrEqual(75);
});

test('edges that hold all they can get, for as long as they like, do not shut out one that has nothing', async () => {
  const held = Promise.withResolvers<HttpStream>();
  const inside: (string | undefined)[] = [];
  const room: Pick<HttpPeer, 'open'> = {
    open: (_path, { headers }) => {
      inside.push(headers?.['x-antirio-peer']);
      return held.promise;
    },
  };
  const streams = createContentStreams({ identity: b.identity, clock: systemClock, bytesPerSecond: 1e9 });
  const serve = (from: string): Promise<unknown> => {
    const proven = { from, nonce: 'n', path: '/ipfs/bafy?format=car' };
    const asked = [room, proven, { headers: {} }, {}, 'c'] as unknown as Parameters<typeof streams.serve>;
    return streams.serve(...asked).catch(() => from);
  };
  const greedy = ['x', 'y', 'z'].flatMap((name) => Array.from({ length: 6 }, () => serve(name)));
  const honest = serve('honest');
  expect(inside).toContain('honest');
  expect(inside.length).toBeLessThan(12);
  held.reject(new AntirioError('unavailable', 'over'));
  await Promise.all([...greedy, honest]);
});

test('where all places are taken, those who take too little make room for those who have none', async () => {
  let now = 0;
  const clock = { monotonic: () => now };
  const streams = createContentStreams({ identity: b.identity, clock, bytesPerSecond: 1e12 });
  const room: Pick<HttpPeer, 'open'> = {
    open: () =>
      Promise.resolve({
        status: 200,
        headers: { 'content-type': CAR },
        body: zeros(),
        close: () => undefined,
      }),
  };
  const cut = new Set<string>();
  const open = new Set<Writable>();
  let stuck = 0;
  /** An edge that takes what it is given, or, slowly, no more than the first of it. */
  const serve = (from: string, isSlow = true): Promise<string> => {
    let given = 0;
    const response = new Writable({
      highWaterMark: 1,
      write: (_piece, _encoding, done) => {
        if (given++ === 0 || !isSlow) setImmediate(done);
        else stuck++;
      },
    });
    open.add(response);
    response.on('close', () => cut.add(from));
    const proven = { from, nonce: 'n', path: '/ipfs/bafy?format=car' };
    const head = Object.assign(response, { writeHead: () => response });
    const setting = { challenge: 'c', streaming: 'self' };
    const asked = [room, proven, { headers: {} }, head, setting] as unknown as Parameters<
      typeof streams.serve
    >;
    return streams.serve(...asked).then(
      () => 'through',
      (error: unknown) => (error instanceof AntirioError ? error.code : String(error)),
    );
  };
  const served = ['x', 'y', 'z'].flatMap((name) => [1, 2, 3, 4].map(() => serve(name)));
  for (let i = 0; i < 16; i++) served.push(serve(`other-${i}`, false));
  // Of three edges: four, four, and one of the places that are kept for the first of each.
  await waitFor(systemClock, 5000, () => stuck === 9 || undefined, 10);
  expect(await serve('late')).toBe('busy');
  now += 20_000;
  served.push(serve('honest'));
  await waitFor(systemClock, 5000, () => cut.size === 1 || undefined, 10);
  expect(['x', 'y', 'z']).toContain([...cut][0]);
  for (const response of open) response.destroy();
  expect(new Set(await Promise.all(served))).toEqual(new Set(['busy', 'unavailable']));
});

async function* zeros(): AsyncGenerator<Uint8Array> {
  for (;;) yield new Uint8Array(65_536);
}
