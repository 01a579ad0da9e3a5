import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LinkOptionsInput } from './faults.ts';
import type { FaultProxy, LinkStatus } from './proxy.ts';
import { createFaultProxy } from './proxy.ts';

let proxy: FaultProxy;
let target: Server;
let serverSide: Socket[] = [];
const clients: Socket[] = [];

beforeEach(async () => {
  proxy = createFaultProxy();
  serverSide = [];
  target = createServer({ allowHalfOpen: true }, (socket) => {
    serverSide.push(socket);
    socket.on('error', () => undefined);
  });
  target.listen(0, '127.0.0.1');
  await once(target, 'listening');
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const socket of serverSide) socket.destroy();
  await proxy.close();
  target.close();
});

const targetPort = (): number => (target.address() as AddressInfo).port;

const addLink = (options: Partial<LinkOptionsInput> = {}): Promise<LinkStatus> =>
  proxy.addLink({ name: 'a-b', kind: 'tcp', target: { host: '127.0.0.1', port: targetPort() }, ...options });

/** A client's connection, with all it received so far. */
interface Client {
  readonly socket: Socket;
  readonly received: () => string;
  readonly closed: Promise<unknown>;
  readonly error: () => string | undefined;
}

function open(port: number): Client {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  clients.push(socket);
  let text = '';
  let code: string | undefined;
  socket.on('data', (bytes: Buffer) => (text += bytes.toString()));
  socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  return { socket, received: () => text, closed, error: () => code };
}

async function poll(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

function serverReceived(index = 0): () => string {
  let text = '';
  serverSide[index]?.on('data', (bytes: Buffer) => (text += bytes.toString()));
  return () => text;
}

async function pair(port: number): Promise<{ client: Client; server: Socket; atServer: () => string }> {
  const client = open(port);
  const index = serverSide.length;
  await poll(() => serverSide.length > index);
  return { client, server: serverSide[index]!, atServer: serverReceived(index) };
}

test('bytes go both ways unchanged, and so do the ends of either side', async () => {
  const { port } = await addLink();
  const { client, server, atServer } = await pair(port);
  client.socket.end('question');
  await once(server, 'end');
  expect(atServer()).toBe('question');
  server.end('answer');
  await client.closed;
  expect(client.received()).toBe('answer');
  const [status] = proxy.status();
  expect(status?.counters).toMatchObject({ toTarget: { bytes: 8 }, toClient: { bytes: 6 } });
  await poll(() => proxy.status()[0]?.peers.connections === 0);
});

test('a reset on one side is a reset on the other', async () => {
  const { port } = await addLink();
  const { client, server } = await pair(port);
  server.resetAndDestroy();
  await client.closed;
  expect(client.error()).toBe('ECONNRESET');
});

test('where the target does not answer, the client is reset', async () => {
  const { port } = await addLink();
  target.close();
  const client = open(port);
  await client.closed;
  await poll(() => proxy.status()[0]?.peers.targetFailed === 1);
});

describe('a blackhole', () => {
  test('holds what is sent, answers no new connection, and lets all go on when healed', async () => {
    const { port } = await addLink();
    const { client, server, atServer } = await pair(port);
    proxy.cut({ link: 'a-b' });
    client.socket.write('held');
    server.write('held too');
    const late = open(port);
    late.socket.write('hello');
    await sleep(100);
    expect([atServer(), client.received(), serverSide.length]).toEqual(['', '', 1]);
    expect(client.socket.destroyed).toBe(false);

    proxy.heal({ link: 'a-b' });
    await poll(() => atServer() === 'held' && client.received() === 'held too' && serverSide.length === 2);
    const atSecond = serverReceived(1);
    await poll(() => atSecond() === 'hello');
  });

  test('hides that the other side has died', async () => {
    const { port } = await addLink();
    const { client, server } = await pair(port);
    proxy.cut({ all: true });
    server.resetAndDestroy();
    await sleep(100);
    expect(client.socket.destroyed).toBe(false);
    proxy.heal({ all: true });
    await client.closed;
  });

  test('resets what it held when it is healed, if so wanted', async () => {
    const { port } = await addLink();
    const { client } = await pair(port);
    proxy.cut({ all: true }, { onHeal: 'reset' });
    const late = open(port);
    await poll(() => proxy.status()[0]?.peers.connections === 2);
    proxy.heal({ all: true });
    await Promise.all([client.closed, late.closed]);
    expect(serverSide).toHaveLength(1);
    const after = await pair(port);
    after.client.socket.write('new');
    await poll(() => after.atServer() === 'new');
  });

  test('in one direction lets the other pass', async () => {
    const { port } = await addLink();
    const { client, server, atServer } = await pair(port);
    proxy.cut({ all: true }, { direction: 'toTarget' });
    client.socket.write('held');
    server.write('passes');
    await poll(() => client.received() === 'passes');
    expect(atServer()).toBe('');
    proxy.heal({ all: true });
    await poll(() => atServer() === 'held');
  });

  test('makes a sender wait instead of filling memory', async () => {
    const { port } = await addLink();
    const { client, atServer } = await pair(port);
    proxy.cut({ all: true });
    const piece = Buffer.alloc(1024 * 1024, 'x');
    for (let n = 0; n < 32; n += 1) client.socket.write(piece);
    await sleep(200);
    expect(client.socket.writableLength).toBeGreaterThan(8 * 1024 * 1024);
    proxy.heal({ all: true });
    await poll(() => atServer().length === 32 * 1024 * 1024);
  });
});

test('a resetting cut ends connections and refuses new ones until it is healed', async () => {
  const { port } = await addLink();
  const { client } = await pair(port);
  proxy.cut({ all: true }, { mode: 'reset' });
  await client.closed;
  const late = open(port);
  await late.closed;
  expect(proxy.status()[0]?.peers).toMatchObject({ reset: 1, turnedAway: 1, connections: 0 });
  proxy.heal({ all: true });
  await pair(port);
});

test('a delayed stream comes late and keeps its order', async () => {
  const { port } = await addLink({ faults: { delayMs: 30, jitterMs: 60 } });
  const { client, server, atServer } = await pair(port);
  const startedAt = performance.now();
  const delay = once(server, 'data').then(() => performance.now() - startedAt);
  let expected = '';
  for (let n = 0; n < 50; n += 1) {
    client.socket.write(`${n},`);
    expected += `${n},`;
    await sleep(1);
  }
  client.socket.end();
  await once(server, 'end');
  expect(atServer()).toBe(expected);
  expect(await delay).toBeGreaterThanOrEqual(29);
});

test('more connections than allowed are turned away', async () => {
  const { port } = await addLink({ maxConnections: 1 });
  await pair(port);
  const second = open(port);
  await second.closed;
  expect(proxy.status()[0]?.peers).toMatchObject({ accepted: 1, turnedAway: 1 });
});

test('a link can lead elsewhere', async () => {
  const { port } = await addLink();
  const other = createServer((socket) => socket.on('error', () => undefined).end('other'));
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  await proxy.retarget('a-b', '127.0.0.1', (other.address() as AddressInfo).port);
  const client = open(port);
  await poll(() => client.received() === 'other');
  client.socket.destroy();
  other.close();
});
