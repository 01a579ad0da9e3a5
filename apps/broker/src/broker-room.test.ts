import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { contractLogin, contractPassword, createMqttBus } from '@antirio/bus';
import { httpPeer, silentLog, systemClock, systemRandom } from '@antirio/host';
import { fromHex } from '@antirio/kernel';
import { brokerOptions, createBroker, foreignSocket, type BrokerRoom } from './index.ts';

const ports = { clock: systemClock, random: systemRandom, log: silentLog };
let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const room = (more: object = {}): BrokerRoom =>
  createBroker(brokerOptions.parse({ port: 0, httpPort: 0, dataDir, ...more }), ports);

const secretFile = (): string => join(dataDir, 'broker', 'secret');

describe('the broker’s secret', () => {
  test('is made once, for its owner alone, and admits a contract over its own socket', async () => {
    const first = room();
    const text = readFileSync(secretFile(), 'utf8');
    expect(text).toMatch(/^[0-9a-f]{64}\n$/);
    expect(statSync(secretFile()).mode & 0o777).toBe(0o600);
    await first.start();
    expect(statSync(foreignSocket(dataDir)).mode & 0o777).toBe(0o600);
    const username = contractLogin('c1');
    const password = contractPassword(fromHex(text.trim()), username);
    const bus = createMqttBus({ socketPath: foreignSocket(dataDir), username, password }, silentLog);
    const heard = Promise.withResolvers<string>();
    await first.bus.subscribe('contract/c1/#', (topic) => heard.resolve(topic));
    await bus.publish('contract/c1/hello', '1', { qos: 1 });
    expect(await heard.promise).toBe('contract/c1/hello');
    await bus.close();
    await first.stop();
    room();
    expect(readFileSync(secretFile(), 'utf8')).toBe(text);
  });

  test('stops the start when its file is damaged', () => {
    room();
    writeFileSync(secretFile(), 'xyz');
    expect(() => room()).toThrow('must hold 64 hexadecimal digits');
  });
});

describe('the broker as a service', () => {
  test('tells over HTTP whether it is ready and what it counted', async () => {
    const broker = room();
    await broker.start();
    await broker.bus.publish('a', '1');
    const http = httpPeer({ url: `http://127.0.0.1:${broker.httpPort}` });
    expect((await http.call({ path: '/api/v3/ready' })).json()).toMatchObject({ ready: true });
    expect((await http.call({ path: '/api/v3/counters' })).json()).toMatchObject({
      published: 1,
      connected: 0,
    });
    const metrics = Buffer.from((await http.call({ path: '/api/v3/metrics' })).body).toString();
    expect(metrics).toContain('antirio_broker_refused_logins 0');
    await broker.stop();
    await broker.stop();
    expect(broker.health()).toMatchObject({ broker: { ok: false } });
    http.close();
  });

  test('says which port is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as { port: number };
    const broker = room({ port });
    await expect(broker.start()).rejects.toThrow(`127.0.0.1:${port} is taken`);
    await broker.stop();
    await new Promise((resolve) => taken.close(resolve));
  });

  test('says that a data folder is too deep for a socket', async () => {
    const broker = room({ dataDir: join(dataDir, 'x'.repeat(100)) });
    await expect(broker.start()).rejects.toThrow('use a shorter data folder');
  });

  test('runs alone, ends on SIGTERM and refuses unknown options', async () => {
    const main = join(import.meta.dirname, 'main.ts');
    const run = (env: Record<string, string>) =>
      spawn('node', [main], { env: { ...process.env, NODE_OPTIONS: '', ...env } });
    const env = { ANTIRIO_BROKER_PORT: '0', ANTIRIO_BROKER_HTTP_PORT: '0', ANTIRIO_BROKER_DATA_DIR: dataDir };
    const wrong = run({ ...env, ANTIRIO_BROKER_COLOUR: 'red' });
    const said: Buffer[] = [];
    wrong.stderr.on('data', (chunk: Buffer) => said.push(chunk));
    expect(await new Promise((resolve) => wrong.once('close', resolve))).toBe(1);
    expect(Buffer.concat(said).toString()).toContain('colour');

    const child = run(env);
    const ended = new Promise((resolve) => child.once('close', resolve));
    const bus = createMqttBus({ socketPath: foreignSocket(dataDir) }, silentLog, {
      publishTimeoutMs: 300,
    });
    while (!/Not authorized/.test(bus.health().detail ?? ''))
      await bus.publish('a', '1').catch(() => undefined);
    await bus.close();
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});
