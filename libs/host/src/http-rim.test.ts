import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { AntirioError } from '@antirio/kernel';
import { z } from 'zod';
import { createHttpRim, silentLog, systemClock, type HttpRim } from './index.ts';

let rim: HttpRim;
let port: number;
/** How a request was taken. */
let ways: string[];
const sockets: Socket[] = [];

const parseBody = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch (cause) {
    throw new AntirioError('invalidInput', 'no JSON', {}, cause);
  }
};

const answer = (body: unknown): Promise<object> => {
  const { fail } = body as { fail?: string };
  if (fail === 'hang') return new Promise(() => undefined);
  if (fail !== undefined) throw new AntirioError(fail === 'conflict' ? 'conflict' : 'internal', 'planted');
  return Promise.resolve({ got: body });
};

beforeEach(async () => {
  ways = [];
  rim = createHttpRim({
    serviceKey: 'hot',
    version: '1',
    config: () => ({}),
    health: () => ({}),
    log: silentLog,
    clock: systemClock,
    maxBodyBytes: 1000,
    requestWithinMs: 600,
    parseBody,
  });
  rim.hotRoute({
    below: '/hot/',
    levels: 2,
    status: 201,
    timeoutMs: 1500,
    handle: async ({ levels, bytes, header }) => {
      ways.push(`hot ${levels.join(',')} ${header('content-type') ?? '-'}`);
      return answer(parseBody(bytes));
    },
  });
  rim.route('post', '/hot/:a/:b', { summary: 'hot', status: 201, params: z.any() }, ({ params, body }) => {
    const { a, b } = params as { a: string; b: string };
    ways.push(`express ${a},${b}`);
    return answer(body);
  });
  port = await rim.listen(0, '127.0.0.1');
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await rim.close();
});

async function open(): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

interface Raw {
  readonly status: number;
  readonly head: string;
  readonly body: unknown;
}

/** What comes until the other side closes. */
async function untilClosed(socket: Socket): Promise<Raw> {
  let text = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => (text += chunk));
  socket.on('end', () => socket.end());
  await once(socket, 'close');
  const [head = '', body = ''] = text.split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), head, body: body === '' ? undefined : JSON.parse(body) };
}

async function raw(...parts: readonly (string | Uint8Array)[]): Promise<Raw> {
  const socket = await open();
  const answered = untilClosed(socket);
  for (const part of parts) socket.write(part);
  return answered;
}

const head = (path: string, ...headers: readonly string[]): string =>
  [`POST ${path} HTTP/1.1`, 'Host: x', 'Connection: close', ...headers, '', ''].join('\r\n');
const plain = (path: string, body: string, ...headers: readonly string[]): string =>
  head(path, `Content-Length: ${Buffer.byteLength(body)}`, ...headers) + body;

describe('a hot route', () => {
  test.each([
    ['plain', plain('/hot/a/b', '{"x":1}'), 'hot a,b -'],
    ['with a type', plain('/hot/a/b', '{"x":1}', 'Content-Type: a/b'), 'hot a,b a/b'],
    ['with escapes', plain('/hot/a%2Fb/%C3%A9', '{"x":1}'), 'hot a/b,é -'],
    ['with a query', plain('/hot/a/b?c=d', '{"x":1}'), 'express a,b'],
    ['with a slash at the end', plain('/hot/a/b/', '{"x":1}'), 'express a,b'],
    ['in capitals', plain('/HOT/a/b', '{"x":1}'), 'express a,b'],
    ['of a page', plain('/hot/a/b', '{"x":1}', 'Origin: http://x'), 'express a,b'],
    [
      'in chunks',
      head('/hot/a/b', 'Transfer-Encoding: chunked') + '7\r\n{"x":1}\r\n0\r\n\r\n',
      'express a,b',
    ],
  ])('answers a request %s', async (_how, request, way) => {
    const got = await raw(request);
    expect([got.status, got.body]).toEqual([201, { got: { x: 1 } }]);
    expect(ways).toEqual([way]);
  });

  test('answers compressed bodies, and bodies in many pieces', async () => {
    const zipped = gzipSync('{"x":1}');
    const got = await raw(
      head('/hot/a/b', 'Content-Encoding: gzip', `Content-Length: ${zipped.length}`),
      zipped,
    );
    expect(got.body).toEqual({ got: { x: 1 } });
    const socket = await open();
    const answered = untilClosed(socket);
    for (const piece of [head('/hot/a/b', 'Content-Length: 7'), '{"x', '":', '1}']) {
      socket.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect((await answered).body).toEqual({ got: { x: 1 } });
    expect(ways).toEqual(['express a,b', 'hot a,b -']);
  });

  test('gives the same error bodies and correlation ids as express', async () => {
    const requestId = '7';
    for (const [fail, status] of [
      ['conflict', 409],
      ['bug', 500],
    ] as const)
      for (const path of ['/hot/a/b', '/hot/a/b?x']) {
        const body = JSON.stringify({ requestId, fail });
        const got = await raw(plain(path, body, 'X-Correlation-ID: abc'));
        expect(got.status).toBe(status);
        expect(got.head.toLowerCase()).toContain('x-correlation-id: abc');
        expect(got.body).toEqual({ apiVersion: 'v3', message: 'planted', statusCode: status, requestId });
      }
    expect(ways).toHaveLength(4);
  });

  test('refuses with 400 what is no JSON or no path, with 413 what is too long, with 404 what there is not', async () => {
    for (const path of ['/hot/a/b', '/hot/a/b?x', '/hot/%zz/b'])
      expect(await raw(plain(path, '{'))).toMatchObject({ status: 400, body: { statusCode: 400 } });
    expect(await raw(plain('/hot/%zz/b', '{}'))).toMatchObject({ status: 400, body: { statusCode: 400 } });
    expect(await raw(plain('/hot/a/b', 'x'.repeat(1001)))).toMatchObject({
      status: 413,
      body: { statusCode: 413 },
    });
    const chunks = `${head('/hot/a/b', 'Transfer-Encoding: chunked')}7d0\r\n${'x'.repeat(2000)}\r\n0\r\n\r\n`;
    expect(await raw(chunks)).toMatchObject({ status: 413, body: { statusCode: 413 } });
    expect(await raw(plain('/hot/a', '{}'))).toMatchObject({ status: 404, body: { statusCode: 404 } });
  });

  test('refuses a body that says that it is too long before it comes', async () => {
    const socket = await open();
    socket.write(head('/hot/a/b', 'Content-Length: 99999999999'));
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toMatch(/^HTTP\/1\.1 413 .*"statusCode":413/s);
    const rest: Buffer[] = [];
    socket.on('data', (chunk) => rest.push(chunk));
    socket.on('end', () => socket.end());
    await once(socket, 'close');
    expect(rest).toEqual([]);
  });

  test('answers 503 where the answer takes too long', async () => {
    const got = await raw(plain('/hot/a/b', '{"fail":"hang"}'));
    expect(got).toMatchObject({ status: 503, body: { apiVersion: 'v3', statusCode: 503 } });
  });
});

describe('clients that misbehave', () => {
  const isAlive = async (): Promise<void> => {
    expect((await raw(plain('/hot/a/b', '{}'))).status).toBe(201);
  };

  test('who sends too slowly gets 408 with an error body', async () => {
    const error = { apiVersion: 'v3', message: 'the request came too slowly', statusCode: 408 };
    for (const begun of ['POST /hot/a', head('/hot/a/b', 'Content-Length: 7') + '{"x'])
      expect(await raw(begun)).toMatchObject({ status: 408, body: error });
    await isAlive();
  });

  test.each([
    ['no HTTP', 'garbage\r\n\r\n', 400],
    ['a wrong length', head('/hot/a/b', 'Content-Length: -1'), 400],
    ['two lengths', head('/hot/a/b', 'Content-Length: 1', 'Content-Length: 2'), 400],
    ['both length and chunks', head('/hot/a/b', 'Content-Length: 1', 'Transfer-Encoding: chunked'), 400],
    ['too many headers', head('/hot/a/b', `X: ${'x'.repeat(100_000)}`), 431],
  ])('who sends %s gets an error body', async (_what, request, status) => {
    expect(await raw(request)).toMatchObject({ status, body: { apiVersion: 'v3', statusCode: status } });
    await isAlive();
  });

  test('who closes its half after the request gets its answer, who leaves in a body harms no one', async () => {
    const half = await open();
    const answered = untilClosed(half);
    half.end(plain('/hot/a/b', '{"x":1}'));
    expect((await answered).status).toBe(201);
    const leaving = await open();
    leaving.write(head('/hot/a/b', 'Content-Length: 500') + '{"x');
    leaving.destroy();
    const ending = await open();
    const told = untilClosed(ending);
    ending.end(head('/hot/a/b', 'Content-Length: 500') + '{"x');
    expect((await told).status).toBe(400);
    await isAlive();
    expect(ways).toHaveLength(2);
  });
});

test('a path that is there answers 405 to other methods, and says which ones it has', async () => {
  const ask = async (method: string, path: string) => {
    const body = method === 'POST' || method === 'PUT' ? { body: '{}' } : {};
    const answer = await fetch(`http://127.0.0.1:${String(port)}${path}`, { method, ...body });
    return [method, answer.status, answer.headers.get('allow')];
  };
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'])
    expect(await ask(method, '/api/v3/ping')).toEqual([method, 405, 'GET']);
  expect(await ask('HEAD', '/api/v3/ping')).toEqual(['HEAD', 200, null]);
  expect(await ask('POST', '/api/v3/nothing')).toEqual(['POST', 404, null]);
});
