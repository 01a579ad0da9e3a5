import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fork, type ChildProcess } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createBroker, createMqttBus } from '@antirio/bus';
import {
  callJson,
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  waitFor,
  type HttpPeer,
} from '@antirio/host';
import { uuidV4 } from '@antirio/kernel';

interface Received {
  readonly id: string;
  readonly authorization: string;
  readonly device: string;
  readonly n: number;
}

/** The customer's cloud: takes each id once, and behaves as badly as it is told to. */
class Cloud {
  readonly received: Received[] = [];
  /** Answers in place of 201, in turn: a status, or 'lost' after it has been taken, or 'cut' before. */
  readonly mood: (number | 'lost' | 'cut')[] = [];
  /** Logins that it takes; of others nothing. */
  allowed: ((user: string) => boolean) | undefined;
  url = '';
  /** Where an answer sends us that is neither. */
  redirect = '';
  #server: Server | undefined;
  #port = 0;

  async open(): Promise<void> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => this.#answer(request, response, Buffer.concat(chunks).toString()));
    });
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
    this.url = `http://127.0.0.1:${this.#port}/in?of=a`;
  }

  #answer({ headers, socket }: IncomingMessage, response: ServerResponse, body: string): void {
    const mood = this.mood.shift() ?? 201;
    const { authorization = '', 'idempotency-key': id } = headers;
    const login = Buffer.from(authorization.replace('Basic ', ''), 'base64').toString();
    if (this.allowed?.(login.split(':')[0] ?? '') === false) response.writeHead(403).end();
    else if (mood === 'cut') socket.destroy();
    else if (mood !== 'lost' && mood !== 201) response.writeHead(mood, { location: this.redirect }).end();
    else {
      this.#take(body, id, authorization);
      if (mood === 'lost') socket.destroy();
      else response.writeHead(201).end();
    }
  }

  #take(body: string, id: unknown, authorization: string): void {
    const { event } = JSON.parse(body) as {
      event: { id: string; deviceName: string; readings: { value: string }[] };
    };
    expect(event.id).toBe(id);
    const n = Number(event.readings[0]?.value);
    this.received.push({ id: event.id, authorization, device: event.deviceName, n });
  }

  close(): void {
    this.#server?.closeAllConnections();
    this.#server?.close();
  }

  /** Of each device, in the order of their first arrival. */
  byDevice(): Record<string, number[]> {
    const seen = new Set<string>();
    const found: Record<string, number[]> = {};
    for (const { id, device, n } of this.received) {
      if (!seen.has(id)) (found[device] ??= []).push(n);
      seen.add(id);
    }
    return found;
  }
}

let dataDir = '';
let child: ChildProcess | undefined;
let core: HttpPeer;
let cloud: Cloud;
const HOST = new URL('../crash-host.fixture.ts', import.meta.url).pathname;

async function start(): Promise<void> {
  const started = fork(HOST, [dataDir], { stdio: 'ignore', env: { ...process.env, NODE_OPTIONS: '' } });
  child = started;
  const { http } = await new Promise<{ http: number }>((resolve, reject) => {
    started.once('message', resolve as (message: unknown) => void);
    started.once('exit', () => reject(new TypeError('core-data did not start')));
  });
  core = httpPeer({ url: `http://127.0.0.1:${http}` });
}

async function kill(): Promise<void> {
  const ended = new Promise((resolve) => child?.once('exit', resolve));
  child?.kill('SIGKILL');
  await ended;
  core.close();
}

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-forwarding-'));
  cloud = new Cloud();
  await cloud.open();
  await start();
});
afterEach(async () => {
  await kill();
  cloud.close();
  rmSync(dataDir, { recursive: true });
});

async function post(device: string, n: number): Promise<void> {
  const names = { deviceName: device, profileName: 'p', origin: 1_700_000_000_000_000 + n };
  const reading = { ...names, resourceName: 'r', valueType: 'Int32', value: String(n) };
  const event = {
    ...names,
    apiVersion: 'v3',
    id: uuidV4(systemRandom),
    sourceName: 's',
    readings: [reading],
  };
  const path = `/api/v3/event/svc/p/${device}/s`;
  await callJson(core, { method: 'POST', path, json: { apiVersion: 'v3', event } });
}

async function postAll(from: number, through: number): Promise<void> {
  for (let n = from; n <= through; n++) await post(`c.d${n % 3}`, n);
}

const rule = (more: object = {}): object => ({ kind: 'http', url: cloud.url, devicePrefix: 'c.', ...more });
const put = (json: object): Promise<unknown> =>
  callJson(core, { method: 'PUT', path: '/api/v3/forwarding/one', json });
const status = async (): Promise<Record<string, unknown>> =>
  (await callJson(core, { path: '/api/v3/forwarding/one' })) as Record<string, unknown>;
const all = (count: number): (() => true | undefined) => {
  return () => new Set(cloud.received.map(({ id }) => id)).size >= count || undefined;
};
const numbers = (from: number, through: number, rest: number): number[] =>
  Array.from({ length: through - from + 1 }, (_, i) => from + i).filter((n) => n % 3 === rest);

describe('forwarding by HTTP', () => {
  test('gives every event at least once and in order per device, whatever the receiver does', async () => {
    await postAll(1, 5);
    await put({ rule: rule() });
    cloud.mood.push(201, 500, 'lost', 'cut', 503, 429, 'lost');
    await post('other', 1);
    await postAll(6, 60);
    expect(await waitFor(systemClock, 60_000, all(55))).toBe(true);
    // the receiver dies, and comes back
    cloud.close();
    await postAll(61, 90);
    await waitFor(systemClock, 60_000, async () => (await status())['state'] === 'waiting' || undefined);
    expect(await status()).toMatchObject({ state: 'waiting' });
    await cloud.open();
    expect(await waitFor(systemClock, 60_000, all(85))).toBe(true);
    const byDevice = cloud.byDevice();
    expect(Object.keys(byDevice).toSorted()).toEqual(['c.d0', 'c.d1', 'c.d2']);
    for (const rest of [0, 1, 2]) expect(byDevice[`c.d${rest}`]).toEqual(numbers(6, 90, rest));
    // what was lost on its way back came again
    expect(cloud.received.length).toBeGreaterThan(85);
    await waitFor(systemClock, 60_000, async () => (await status())['behind'] === 0 || undefined);
    expect(await status()).toMatchObject({
      state: 'forwarding',
      sent: 85,
      refused: 0,
      dropped: 0,
      behind: 0,
    });
  });

  test('goes on after kill -9 from where it was, and needs its login again', async () => {
    await put({ rule: rule({ needsLogin: true, stripPrefix: true }) });
    expect(await status()).toMatchObject({ state: 'needsLogin' });
    const login = { username: 'contract/x/3', password: 'secret' };
    await put({ rule: rule({ needsLogin: true, stripPrefix: true }), login });
    await postAll(1, 150);
    await waitFor(systemClock, 60_000, all(40));
    await kill();
    const before = cloud.received.length;
    await start();
    await postAll(151, 160);
    expect(await status()).toMatchObject({ state: 'needsLogin' });
    await put({ rule: rule({ needsLogin: true, stripPrefix: true }), login });
    expect(await waitFor(systemClock, 60_000, all(160))).toBe(true);
    for (const rest of [0, 1, 2]) expect(cloud.byDevice()[`d${rest}`]).toEqual(numbers(1, 160, rest));
    // not from the beginning
    expect(cloud.received.length - before).toBeLessThan(160 - before + 110);
    const authorization = `Basic ${Buffer.from('contract/x/3:secret').toString('base64')}`;
    expect(new Set(cloud.received.map((one) => one.authorization))).toEqual(new Set([authorization]));
    expect(JSON.stringify(await status())).not.toContain('secret');
  });

  test('stops where the login is revoked, while storing goes on, and goes on with one that is taken', async () => {
    await put({ rule: rule(), login: { username: 'contract/x/3', password: 'p' } });
    await postAll(1, 5);
    expect(await waitFor(systemClock, 60_000, all(5))).toBe(true);
    cloud.allowed = (user) => Number(user.split('/')[2]) === 4;
    await postAll(6, 10);
    const revoked = async (): Promise<true | undefined> =>
      (await status())['state'] === 'revoked' || undefined;
    expect(await waitFor(systemClock, 60_000, revoked)).toBe(true);
    await postAll(11, 12);
    expect(cloud.received).toHaveLength(5);
    expect(await callJson(core, { path: '/api/v3/event/count' })).toMatchObject({ count: 12 });
    const ready = (await callJson(core, { path: '/api/v3/ready' })) as { checks: Record<string, unknown> };
    expect(ready.checks['forwarding']).toMatchObject({
      ok: true,
      detail: expect.stringContaining('revoked'),
    });
    await put({ rule: rule(), login: { username: 'contract/x/4', password: 'p' } });
    expect(await waitFor(systemClock, 60_000, all(12))).toBe(true);
    expect(await status()).toMatchObject({ state: 'forwarding', username: 'contract/x/4' });
  });

  test('gives up what is refused for good, and the oldest where too many wait, and counts both', async () => {
    cloud.allowed = () => false;
    await put({ rule: rule({ maxWaiting: 10, from: 'stored' }) });
    await post('c.d0', 1);
    await waitFor(systemClock, 60_000, async () => (await status())['state'] === 'revoked' || undefined);
    await postAll(2, 30);
    cloud.allowed = undefined;
    cloud.mood.push(422, 422, 422, 422, 422);
    await put({ rule: rule({ maxWaiting: 10, from: 'stored' }), login: { username: 'u', password: 'p' } });
    const settled = async (): Promise<true | undefined> =>
      ((await status())['behind'] === 0 && (await status())['state'] === 'forwarding') || undefined;
    expect(await waitFor(systemClock, 60_000, settled)).toBe(true);
    const { sent, refused, dropped } = await status();
    expect(dropped).toBe(20);
    expect(Number(sent) + Number(refused)).toBe(10);
    expect(cloud.received).toHaveLength(Number(sent));
  });

  test('that is ended sends what has arrived and nothing after it; what is no rule is refused', async () => {
    cloud.mood.push(...Array.from({ length: 3 }, () => 503));
    await put({ rule: rule() });
    await postAll(1, 6);
    await callJson(core, { method: 'POST', path: '/api/v3/forwarding/one/end' });
    await postAll(7, 9);
    const ended = async (): Promise<true | undefined> => (await status())['state'] === 'ended' || undefined;
    expect(await waitFor(systemClock, 60_000, ended)).toBe(true);
    expect(cloud.byDevice()['c.d0']).toEqual([3, 6]);
    expect(cloud.received).toHaveLength(6);
    await callJson(core, { method: 'DELETE', path: '/api/v3/forwarding/one' });
    await expect(status()).rejects.toMatchObject({ code: 'notFound' });
    for (const bad of [
      { url: 'ftp://x' },
      { url: 'http://u:p@x' },
      { kind: 'mqtt', url: 'mqtt://x', topic: '#' },
    ])
      await expect(put({ rule: rule(bad) })).rejects.toMatchObject({ code: 'invalidInput' });
  });
});

test('what is not allowed to be reached is not, by its name either, and says so', async () => {
  let asked = 0;
  const inside = createTcpServer((socket) => {
    asked += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => inside.listen(0, '127.0.0.1', resolve));
  const { port } = inside.address() as AddressInfo;
  try {
    const barred = ['http://127.1.0.0', 'http://localhost', 'http://[::ffff:7f00:1]', 'mqtt://localhost'];
    for (const host of barred) {
      await put({ rule: rule({ kind: host.startsWith('mqtt') ? 'mqtt' : 'http', url: `${host}:${port}/` }) });
      await post('c.d0', 1);
      const told = async (): Promise<true | undefined> =>
        (await status())['state'] === 'notAllowed' || undefined;
      expect({ host, told: await waitFor(systemClock, 60_000, told) }).toEqual({ host, told: true });
      expect(await status()).toMatchObject({ lastError: expect.stringContaining('forwardingHosts') });
    }
    const ready = (await callJson(core, { path: '/api/v3/ready' })) as { checks: Record<string, unknown> };
    expect(ready.checks['forwarding']).toMatchObject({ detail: expect.stringContaining('one notAllowed') });
    // a receiver that is allowed sends us to one that is not
    cloud.redirect = `http://localhost:${port}/`;
    cloud.mood.push(307);
    await put({ rule: rule() });
    expect(await waitFor(systemClock, 60_000, () => cloud.received.length > 0 || undefined)).toBe(true);
    expect(asked).toBe(0);
  } finally {
    inside.close();
  }
});

test('forwarding by MQTT reaches a broker that dies and comes back', async () => {
  const listener = { port: 0, bind: '127.0.0.1', anonymous: 'loopback' } as const;
  const secret = systemRandom.bytes(32);
  let broker = createBroker({ secret, listeners: [listener] }, silentLog);
  await broker.start();
  const port = broker.ports[0] ?? 0;
  const heard = new Map<string, string[]>();
  const listen = async (): Promise<() => Promise<void>> => {
    const bus = createMqttBus({ url: `mqtt://127.0.0.1:${port}` }, silentLog);
    await bus.subscribe('cloud/a/+', (topic, payload) => {
      const { event } = JSON.parse(Buffer.from(payload).toString()) as {
        event: { readings: { value: string }[] };
      };
      const values = heard.get(topic) ?? [];
      const value = event.readings[0]?.value ?? '';
      if (!values.includes(value)) heard.set(topic, [...values, value]);
    });
    return () => bus.close();
  };
  let close = await listen();
  try {
    await put({
      rule: rule({ kind: 'mqtt', url: `mqtt://127.0.0.1:${port}`, topic: 'cloud/a', stripPrefix: true }),
    });
    await postAll(1, 20);
    const got = (): number => [...heard.values()].flat().length;
    expect(await waitFor(systemClock, 60_000, () => got() === 20 || undefined)).toBe(true);
    await close();
    await broker.stop();
    await postAll(21, 30);
    broker = createBroker({ secret, listeners: [{ ...listener, port }] }, silentLog);
    await broker.start();
    close = await listen();
    expect(await waitFor(systemClock, 60_000, () => got() === 30 || undefined)).toBe(true);
    for (const rest of [0, 1, 2])
      expect(heard.get(`cloud/a/d${rest}`)).toEqual(numbers(1, 30, rest).map(String));
  } finally {
    await close();
    await broker.stop();
  }
});
