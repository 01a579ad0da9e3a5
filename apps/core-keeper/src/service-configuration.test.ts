import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { loadContract } from '@antirio/edgex-contract';
import { configurationOf, edgexServiceOptions } from '@antirio/edgex-service';
import { httpPeer, silentLog, systemClock, systemRandom, type HttpPeer } from '@antirio/host';
import { coreKeeperOptions, createCoreKeeper, type CoreKeeper } from './index.ts';

// What a service asks of core-keeper at its start, against core-keeper itself; each request is held against EdgeX's document.

const options = z.strictObject({
  port: z.int().min(0).default(59_999),
  bind: z.string().default('127.0.0.1'),
  dataDir: z.string(),
  broker: z.string().default('mqtt://127.0.0.1:1883'),
  messageBus: z.unknown().optional(),
  coreMetadata: z.string().default('http://127.0.0.1:59881'),
  coreKeeper: z.string().default('none'),
  maxBodyBytes: z.int().min(1024).default(5000),
  labels: z.array(z.string()).default([]),
  mode: z.enum(['fast', 'slow']).default('fast'),
  driver: z.record(z.string(), z.string()).default({}),
  ...edgexServiceOptions,
});
const environment = {
  kilobytes: { 'Service/MaxRequestSize': 'maxBodyBytes' },
  lists: { 'Device/Labels': 'labels' },
  texts: { 'Device/Mode': 'mode' },
  sections: { Driver: 'driver' },
  notInCommon: ['Device/Mode'],
  hasMetadata: true,
  isDeviceService: true,
};
const KEY = 'edgex/v4/device-x';
const COMMON = 'edgex/v4/core-common-config-bootstrapper';

let folder: string;
let room: CoreKeeper;
let keeper: HttpPeer;
let front: Server;
let keeperUrl: string;
let faults: string[];
let said: Record<string, unknown>[];

async function startKeeper(port: number): Promise<void> {
  const given = coreKeeperOptions.parse({
    dataDir: join(folder, 'keeper'),
    port,
    commonConfig: { host: 'core.plant' },
  });
  room = createCoreKeeper(given, { clock: systemClock, random: systemRandom, log: silentLog });
  await room.start();
}

/** Passes on to core-keeper what its document has, and notes what it has not. */
function openFront(): Server {
  const contract = loadContract('core-keeper');
  return createServer((request, response) => {
    const pass = async (): Promise<void> => {
      const { method = '', url = '', headers } = request;
      const body = await text(request);
      const json = body === '' ? undefined : (JSON.parse(body) as unknown);
      faults.push(...contract.requestFaults({ method, url, headers, body: json }));
      const answer = await keeper.call({ method: method as 'GET', path: url, ...(body !== '' && { json }) });
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
    };
    pass().catch(() => response.writeHead(502).end());
  });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-service-configuration-'));
  faults = [];
  said = [];
  await startKeeper(0);
  keeper = httpPeer({ url: `http://127.0.0.1:${room.port}` });
  front = openFront();
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  keeperUrl = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
});
afterEach(async () => {
  front.closeAllConnections();
  await new Promise((resolve) => front.close(resolve));
  keeper.close();
  await room.stop();
  rmSync(folder, { recursive: true });
  expect(faults).toEqual([]);
});

interface Given {
  readonly env?: Record<string, string>;
  readonly file?: object;
}

async function start(given: Given = {}): Promise<Record<string, unknown>> {
  return { ...(await configure(given)).tree };
}

async function configure({ env = {}, file = {} }: Given): ReturnType<typeof configurationOf> {
  const path = join(folder, 'service.json');
  writeFileSync(path, JSON.stringify(file));
  const note = (fields: Record<string, unknown>): void => void said.push(fields);
  const log = Object.assign(silentLog.child({}), { warn: note, error: note });
  const defaults = {
    dataDir: join(folder, 'data'),
    port: 5000,
    driver: { 'Serial-Port': '/dev/a', Baud: '1' },
  };
  const configured = { serviceKey: 'device-x', options, environment, defaults };
  const provider = { EDGEX_CONFIG_PROVIDER: `keeper.${keeperUrl}`, ...env };
  return configurationOf(configured, provider, path, log);
}

async function ownKeys(): Promise<Record<string, string>> {
  const answer = await keeper.call({ path: `/api/v3/kvs/key/${encodeURIComponent(KEY)}?plaintext=true` });
  const { response = [] } = answer.json() as { response?: { key: string; value: string }[] };
  return Object.fromEntries(response.map(({ key, value }) => [key.slice(KEY.length + 1), value]));
}

async function change(key: string, value: string): Promise<void> {
  const path = `/api/v3/kvs/key/${encodeURIComponent(key)}`;
  expect((await keeper.call({ method: 'PUT', path, json: { value } })).status).toBe(200);
}

describe('a service that starts', () => {
  test('takes what all have in common, and at its first start gives core-keeper its own', async () => {
    const secret = { SecretName: 's', SecretData: { password: 'hidden' } };
    const config = await start({
      file: { labels: ['a b', 'c'], writable: { LogLevel: 'DEBUG', InsecureSecrets: { one: secret } } },
      env: { DRIVER_SERIAL_PORT: '/dev/b', SERVICE_MAXREQUESTSIZE: '8', DEVICE_X_BIND: '127.0.0.2' },
    });
    expect(config).toMatchObject({
      port: 5000,
      bind: '127.0.0.2',
      labels: ['a b', 'c'],
      maxBodyBytes: 8192,
      broker: 'mqtt://core.plant:1883',
      coreMetadata: 'http://core.plant:59881',
      service: { requestTimeoutMs: 5000 },
      driver: { 'Serial-Port': '/dev/b', Baud: '1' },
    });
    expect(await ownKeys()).toEqual({
      'Device/Labels': 'a b, c',
      'Driver/Baud': '1',
      'Driver/Serial-Port': '/dev/b',
      'Service/MaxRequestSize': '8',
      'Service/Port': '5000',
      'Service/ServerBindAddr': '127.0.0.2',
      'Writable/LogLevel': 'DEBUG',
    });
  });

  test('takes its own from there at later starts; the environment wins', async () => {
    await start();
    await change(`${KEY}/Service/Port`, '6000');
    await change(`${KEY}/Device/Labels`, '[x y]');
    await change(`${KEY}/Driver/Baud`, '9600');
    await change(`${KEY}/MessageBus/Host`, 'broker.plant');
    await change(`${KEY}/MessageBus/Port`, '1999');
    const file = { port: 5001, mode: 'slow' };
    expect(await start({ file })).toMatchObject({
      port: 6000,
      mode: 'slow',
      labels: ['x', 'y'],
      driver: { 'Serial-Port': '/dev/a', Baud: '9600' },
      broker: 'mqtt://broker.plant:1999',
    });
    const env = { SERVICE_PORT: '7000', DRIVER_BAUD: '2', MESSAGEBUS_PORT: '1884' };
    expect(await start({ file, env })).toMatchObject({
      port: 7000,
      driver: { Baud: '2' },
      broker: 'mqtt://broker.plant:1884',
    });
    expect((await ownKeys())['Service/Port']).toBe('6000');
    expect(await start({ file, env: { EDGEX_OVERWRITE_CONFIG: 'true' } })).toMatchObject({ port: 5001 });
    expect((await ownKeys())['Service/Port']).toBe('5001');
  });

  test('knows what the environment says from what core-keeper has', async () => {
    await start();
    await change(`${KEY}/Driver/Baud`, '9600');
    const env = { DRIVER_BAUD: '115200', WRITABLE_LOGLEVEL: 'DEBUG' };
    expect((await configure({ env })).environment).toMatchObject({
      driver: { Baud: '115200' },
      writable: { LogLevel: 'DEBUG' },
    });
    expect((await configure({})).environment['driver']).toBeUndefined();
  });

  test('does not follow what is wrong there, nor what is not in common', async () => {
    await change(`${COMMON}/device-services/Device/Mode`, 'slow');
    await change(`${COMMON}/all-services/Service/RequestTimeout`, 'soon');
    await start();
    await change(`${KEY}/Service/Port`, '70000000000000000');
    await change(`${KEY}/Service/MaxRequestSize`, '-5');
    const config = await start();
    expect(config).toMatchObject({ port: 5000 });
    expect([config['mode'], config['maxBodyBytes'], config['service']]).not.toContain('slow');
    expect(said.filter(({ wrong }) => wrong !== undefined).at(-1)).toMatchObject({
      wrong: [
        expect.stringContaining('Service/RequestTimeout=soon'),
        expect.stringContaining('Service/Port='),
        expect.stringContaining('maxBodyBytes'),
      ],
    });
    await expect(start({ env: { SERVICE_PORT: '-1' } })).rejects.toMatchObject({ code: 'badConfig' });
  });

  test('begins with what core-keeper said last while that is away, and with its own where it never said anything', async () => {
    const { port } = room;
    const env = { EDGEX_STARTUP_DURATION: '1' };
    await room.stop();
    expect(await start({ env })).toMatchObject({ port: 5000, coreKeeper: keeperUrl });
    expect(said.at(-1)).toMatchObject({ instead: 'what is given here' });
    await startKeeper(port);
    await start({ env });
    await change(`${KEY}/Service/Port`, '6000');
    await start({ env });
    await room.stop();
    expect(await start({ env })).toMatchObject({ port: 6000, broker: 'mqtt://core.plant:1883' });
    expect(said.at(-1)).toMatchObject({ instead: 'what it said last' });
    await startKeeper(port);
  });
});
