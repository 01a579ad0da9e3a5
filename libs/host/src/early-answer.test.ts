import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { answerEarly } from './early-answer.ts';
import { createHttpRim, silentLog, systemClock, waitFor, type HttpRim } from './index.ts';

const LIMIT = 1000;
const CHUNK = Buffer.alloc(64 << 10, 'x');

let rim: HttpRim;
let port: number;
let closers: (() => unknown)[] = [];

beforeEach(async () => {
  rim = createHttpRim({
    ...{ serviceKey: 'early', version: '1', config: () => ({}), health: () => ({}) },
    ...{ log: silentLog, clock: systemClock, maxBodyBytes: LIMIT },
    parseBody: (bytes: Uint8Array) => bytes.length,
  });
  rim.route('post', '/take', { summary: 'takes anything' }, ({ body }) => ({ size: body as unknown }));
  port = await rim.listen(0, '127.0.0.1');
  closers = [() => rim.close()];
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
});

interface Client {
  readonly socket: Socket;
  readonly got: () => string;
  readonly failures: string[];
}

async function dial(to: number): Promise<Client> {
  const socket = connect({ port: to, host: '127.0.0.1' });
  closers.push(() => socket.destroy());
  const failures: string[] = [];
  socket.on('error', (error: NodeJS.ErrnoException) => failures.push(error.code ?? ''));
  await once(socket, 'connect');
  let got = '';
  socket.on('data', (bytes: Buffer) => (got += bytes.toString()));
  return { socket, got: () => got, failures };
}

async function pour(socket: Socket, times: number, frame: (chunk: Buffer) => Buffer | string): Promise<void> {
  for (let i = 0; i < times && socket.writable; i++)
    if (!socket.write(frame(CHUNK)))
      await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined);
}

const head = (fields: string): string => `POST /take HTTP/1.1\r\nHost: x\r\n${fields}\r\n\r\n`;
const inChunks = (chunk: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]);

test.each([
  ['that says how long it is', `Content-Length: ${200 * CHUNK.length}`, (chunk: Buffer) => chunk, ''],
  ['in chunks', 'Transfer-Encoding: chunked', inChunks, '0\r\n\r\n'],
])(
  'who sends all of a body that is too long, %s, and reads then, has its 413',
  async (_what, fields, frame, end) => {
    const { socket, got, failures } = await dial(port);
    socket.pause();
    socket.write(head(`${fields}\r\nConnection: close`));
    await pour(socket, 200, frame);
    socket.write(end);
    socket.resume();
    await once(socket, 'close');
    expect(got()).toMatch(/^HTTP\/1\.1 413 .*"statusCode":413/s);
    expect([got().match(/HTTP\/1/g)?.length, failures]).toEqual([1, []]);
  },
);

test('the answer is there while the body still comes, and the connection serves on after it', async () => {
  const { socket, got } = await dial(port);
  socket.write(head('Transfer-Encoding: chunked'));
  socket.write(inChunks(CHUNK));
  await waitFor(systemClock, 3000, () => got().includes('"statusCode":413') || undefined);
  expect(got()).toMatch(/^HTTP\/1\.1 413 /);
  await pour(socket, 20, inChunks);
  socket.write(`0\r\n\r\n${head('Content-Length: 3')}abc`);
  await waitFor(systemClock, 3000, () => got().includes('"size":3') || undefined);
  expect(got()).toContain('"size":3');
  socket.destroy();
});

test('who sends on beyond the bounds, or nothing any more, is cut off', async () => {
  const server: Server = createServer((request, response) => {
    answerEarly(request, response, 413, { no: true }, { bytes: 1 << 20, ms: 1500 });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  const { port: to } = server.address() as AddressInfo;
  const [flooding, silent] = await Promise.all([dial(to), dial(to)]);
  for (const { socket } of [flooding, silent]) socket.write(head('Content-Length: 99999999999'));
  const closed = ({ socket }: Client): Promise<void> =>
    new Promise((resolve) => void socket.once('close', () => resolve()));
  const gone = Promise.all([closed(flooding), closed(silent)]);
  let sent = 0;
  await pour(flooding.socket, 100_000, (chunk) => {
    sent += chunk.length;
    return chunk;
  });
  await gone;
  expect(sent).toBeLessThan(100_000 * CHUNK.length);
  for (const { got } of [flooding, silent]) expect(got()).toMatch(/^HTTP\/1\.1 413 /);
});
