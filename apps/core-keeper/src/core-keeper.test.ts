import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createBroker, createLocalBus, type Broker } from '@antirio/bus';
import {
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  type Bus,
  type HttpAnswer,
  type HttpPeer,
  type RimAccess,
} from '@antirio/host';
import { parseEnvelope } from '@antirio/edgex-contracts';
import { coreKeeperOptions, createCoreKeeper, type CoreKeeper } from './index.ts';

type Json = Record<string, unknown>;

let dataDir: string;
let broker: Broker;
let bus: Bus;
let room: CoreKeeper;
let peer: HttpPeer;

async function start(options: Json = {}, access?: RimAccess): Promise<void> {
  const common = { dataDir, port: 0, minCheckIntervalMs: 10, commonConfig: { enabled: false } };
  const given = coreKeeperOptions.parse({ ...common, ...options });
  const system = { clock: systemClock, random: systemRandom, log: silentLog };
  room = createCoreKeeper(given, { ...system, bus, access });
  await room.start();
  peer = httpPeer({ url: `http://127.0.0.1:${room.port}/api/v3` });
}

async function stop(): Promise<void> {
  peer.close();
  await room.stop();
}

const put = (key: string, value: unknown): Promise<HttpAnswer> =>
  peer.call({ method: 'PUT', path: `/kvs/key/${key}`, json: { value } });
const remove = (key: string): Promise<HttpAnswer> => peer.call({ method: 'DELETE', path: `/kvs/key/${key}` });
const response = async (path: string): Promise<unknown> =>
  ((await peer.call({ path })).json() as Json)['response'];

beforeAll(async () => {
  broker = createBroker({ secret: systemRandom.bytes(32), listeners: [] }, silentLog);
  await broker.start();
});
afterAll(() => broker.stop());
beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-core-keeper-'));
  bus = createLocalBus(broker, silentLog);
  await start();
});
afterEach(async () => {
  await stop();
  await bus.close();
  rmSync(dataDir, { recursive: true });
});

describe('keys', () => {
  test('come back as base64, as plain text, or without values; encoded or with their slashes; after a restart too', async () => {
    expect((await put('edgex%2Fv4%2Fcore%2Ddata%2FWritable%2FLogLevel', 'INFO')).json()).toEqual({
      apiVersion: 'v3',
      statusCode: 200,
      response: ['edgex/v4/core-data/Writable/LogLevel'],
    });
    await put('edgex/v4/core-data/MaxEventSize', 25000);
    await put('edgex/v4/core-data2', 'other');
    await stop();
    await start();
    const stored = (key: string, value: string): Json => ({
      key,
      value,
      created: expect.any(Number),
      modified: expect.any(Number),
    });
    expect(await response('/kvs/key/edgex/v4/core-data')).toEqual([
      stored('edgex/v4/core-data/MaxEventSize', 'MjUwMDA='),
      stored('edgex/v4/core-data/Writable/LogLevel', 'SU5GTw=='),
    ]);
    expect(await response('/kvs/key/edgex%2Fv4%2Fcore%2Ddata%2FMaxEventSize?plaintext=true')).toEqual([
      stored('edgex/v4/core-data/MaxEventSize', '25000'),
    ]);
    expect(await response('/kvs/key/edgex/v4?keyOnly=true')).toEqual([
      'edgex/v4/core-data/MaxEventSize',
      'edgex/v4/core-data/Writable/LogLevel',
      'edgex/v4/core-data2',
    ]);
    expect((await peer.call({ path: '/kvs/key/edgex/v4/core' })).status).toBe(404);
  });

  test('a tree is stored key by key', async () => {
    const tree = { MaxEventSize: 1, Writable: { PersistData: true, none: null, List: ['a', { b: 2 }] } };
    const answer = await put('k?flatten=true', tree);
    expect((answer.json() as Json)['response']).toEqual([
      'k/MaxEventSize',
      'k/Writable/PersistData',
      'k/Writable/List/0',
      'k/Writable/List/1/b',
    ]);
    expect(await response('/kvs/key/k/Writable/PersistData?plaintext=true')).toMatchObject([
      { value: 'true' },
    ]);
    expect((await put('whole', tree)).status).toBe(200);
    const [whole] = (await response('/kvs/key/whole?plaintext=true')) as [{ value: string }];
    expect(JSON.parse(whole.value)).toEqual(tree);
  });

  test('are deleted one by one or by what they begin with', async () => {
    for (const key of ['a/b', 'a/c', 'ab']) await put(key, '1');
    expect((await remove('a')).status).toBe(409);
    expect((await remove('none')).status).toBe(404);
    expect((await remove('a/b')).json()).toMatchObject({ response: ['a/b'] });
    expect((await remove('a?prefixMatch=true')).json()).toMatchObject({ response: ['a/c', 'ab'] });
  });

  test('are refused when they cannot be', async () => {
    for (const key of ['a%20%C3%A4', 'a%23', 'x'.repeat(1100), '%2F'])
      expect((await put(key, '1')).status).toBe(400);
    expect((await put('k?flatten=true', { ä: 1 })).status).toBe(400);
    expect((await put('k?flatten=maybe', {})).status).toBe(400);
    expect((await put('k', null)).status).toBe(400);
    expect((await peer.call({ method: 'PUT', path: '/kvs/key/k', json: [] })).status).toBe(400);
    expect((await peer.call({ method: 'PUT', path: '/kvs/key/k' })).status).toBe(400);
    let deep: unknown = 1;
    for (let level = 0; level < 100; level++) deep = { deep };
    expect((await put('k?flatten=true', deep)).status).toBe(400);
    await stop();
    await start({ maxKeys: 1 });
    expect((await put('k', '1')).status).toBe(200);
    expect((await put('l', '1')).status).toBe(507);
  });

  test('changes are told on the bus', async () => {
    const told: unknown[] = [];
    await bus.subscribe(
      'edgex/configs/#',
      (topic, bytes) => void told.push([topic, parseEnvelope(bytes).payload]),
    );
    await put('edgex%2Fv4%2Fapp%2FWritable%2FLogLevel', 'DEBUG');
    await remove('edgex%2Fv4%2Fapp%2FWritable%2FLogLevel');
    while (told.length < 2) await delay(5);
    const key = 'edgex/v4/app/Writable/LogLevel';
    expect(told).toEqual([
      [`edgex/configs/${key}`, { key, value: 'DEBUG' }],
      [`edgex/configs/${key}`, { key }],
    ]);
  });
});

describe('the registry', () => {
  let service: Server;
  let status = 200;
  let asked: (string | undefined)[] = [];
  /** Tokens that it was shown. */
  const shown = new Set<string | undefined>();

  beforeAll(async () => {
    service = createServer((request, answer) => {
      asked.push(request.url);
      shown.add(request.headers.authorization);
      answer.writeHead(status).end('{}');
    });
    await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    service.closeAllConnections();
    await new Promise((resolve) => service.close(resolve));
  });
  beforeEach(() => {
    status = 200;
    asked = [];
    shown.clear();
  });

  const requestOf = (serviceId: string, fields: Json = {}): Json => ({
    apiVersion: 'v3',
    registration: {
      serviceId,
      host: '127.0.0.1',
      port: (service.address() as AddressInfo).port,
      healthCheck: { interval: '40ms', path: '/api/v3/ping', type: 'http' },
      ...fields,
    },
  });
  const register = (method: 'POST' | 'PUT', body: Json): Promise<HttpAnswer> =>
    peer.call({ method, path: '/registry', json: body });
  const statusOf = async (serviceId: string): Promise<unknown> =>
    (
      ((await peer.call({ path: `/registry/serviceId/${serviceId}` })).json() as Json)['registration'] as
        Json | undefined
    )?.['status'];
  const becomes = async (serviceId: string, wanted: string): Promise<void> => {
    while ((await statusOf(serviceId)) !== wanted) await delay(5);
  };

  test('asks a service that speaks TLS at the place that this host knows it by', async () => {
    await stop();
    const { port } = service.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}`;
    const placeOf = (asking: string) => ({
      url: asking === 'https://core-data:59880' ? url : asking,
      credentials: { token: () => 'antirio_of_an_operator', tls: undefined },
    });
    await start(
      {},
      {
        ...{ clientCertificates: false, requireTokens: false, isOwnHost: () => true },
        ...{ tokens: { scopesOf: () => undefined }, credentialsFor: () => undefined, placeOf },
      },
    );
    const healthCheck = { interval: '40ms', path: '/api/v3/ping', type: 'https' };
    const told = { host: 'core-data', port: 59_880, healthCheck };
    expect((await register('POST', requestOf('core-data', told))).status).toBe(201);
    await becomes('core-data', 'UP');
    expect(shown).toEqual(new Set([undefined]));
  });

  test("is told of a service by EdgeX's Go modules in their spelling", async () => {
    const told = { serviceId: 'go', status: '', host: 'localhost', port: 9 };
    const HealthCheck = { interval: '1h', path: '/api/v3/ping', type: 'http' };
    const json = { apiVersion: 'v3', registration: { created: 0, ...told, HealthCheck } };
    expect((await peer.call({ method: 'POST', path: '/registry', json })).status).toBe(201);
    expect((await peer.call({ method: 'PUT', path: '/registry', json })).status).toBe(204);
    expect((await peer.call({ path: '/registry/serviceId/go' })).json()).toMatchObject({
      registration: { serviceId: 'go', port: 9, healthCheck: HealthCheck },
    });
  });

  test('a service registers, changes and goes', async () => {
    expect((await peer.call({ path: '/registry/serviceId/svc' })).status).toBe(404);
    expect((await register('PUT', requestOf('svc'))).status).toBe(404);
    expect(
      (await register('POST', requestOf('svc', { healthCheck: { interval: '1h', type: 'http' } }))).status,
    ).toBe(201);
    expect((await register('POST', requestOf('svc'))).status).toBe(409);
    expect((await peer.call({ path: '/registry/serviceId/svc' })).json()).toMatchObject({
      statusCode: 200,
      registration: {
        serviceId: 'svc',
        status: 'UNKNOWN',
        healthCheck: { interval: '1h', path: '/api/v3/ping', type: 'http' },
      },
    });
    expect((await register('PUT', requestOf('svc', { status: 'HALT' }))).status).toBe(204);
    expect((await peer.call({ path: '/registry/all' })).json()).toMatchObject({
      totalCount: 0,
      registrations: [],
    });
    expect((await peer.call({ path: '/registry/all?deregistered=true' })).json()).toMatchObject({
      totalCount: 1,
    });
    const path = '/registry/serviceId/svc';
    expect((await peer.call({ method: 'DELETE', path })).status).toBe(204);
    expect((await peer.call({ method: 'DELETE', path })).status).toBe(404);
  });

  test('its health is what it answers, and is known after a restart', async () => {
    await register('POST', requestOf('svc'));
    await becomes('svc', 'UP');
    expect(asked[0]).toBe('/api/v3/ping');
    expect((await peer.call({ path: '/registry/serviceId/svc' })).json()).toMatchObject({
      registration: { lastConnected: expect.any(Number) },
    });
    status = 503;
    await becomes('svc', 'DOWN');
    await stop();
    await start();
    expect(await statusOf('svc')).toBe('DOWN');
    status = 200;
    await becomes('svc', 'UP');
  });

  test('one that went is asked no more', async () => {
    await register('POST', requestOf('svc'));
    await becomes('svc', 'UP');
    await peer.call({ method: 'DELETE', path: '/registry/serviceId/svc' });
    await delay(60);
    const before = asked.length;
    await delay(120);
    expect(asked.length).toBe(before);
  });

  test.each([
    ['without a port', { port: undefined }],
    ['with a port that is none', { port: 70000 }],
    ['without a health check', { healthCheck: undefined }],
    ['with a scheme that is not asked', { healthCheck: { type: 'file' } }],
    ['with an interval that is none', { healthCheck: { type: 'http', interval: 'often' } }],
    ['with a blank id', { serviceId: ' ' }],
  ])('a registration %s is refused', async (_what, fields) => {
    expect((await register('POST', requestOf('svc', fields))).status).toBe(400);
  });

  test('only so many may register', async () => {
    await stop();
    await start({ maxRegistrations: 1 });
    expect((await register('POST', requestOf('a'))).status).toBe(201);
    expect((await register('POST', requestOf('b'))).status).toBe(507);
  });
});

test('health tells the truth about the store and the bus', async () => {
  expect((await peer.call({ path: '/ready' })).status).toBe(200);
  await bus.close();
  expect((await peer.call({ path: '/ready' })).status).toBe(503);
  bus = createLocalBus(broker, silentLog);
});

describe('the common configuration', () => {
  const KEY = 'edgex/v4/core-common-config-bootstrapper';
  const valueOf = async (key: string): Promise<unknown> => {
    const [found] = (await response(`/kvs/key/${KEY}/${key}?plaintext=true`)) as [{ value: string }];
    return found.value;
  };

  test('is there at the first start, with where the bus and core-metadata are', async () => {
    await stop();
    await start({
      commonConfig: { host: 'edge.local', messageBusPort: 1884, coreMetadataPort: 1 },
      followKeeper: false,
    });
    expect(await valueOf('IsCommonConfigReady')).toBe('true');
    expect(await valueOf('all-services/MessageBus/Host')).toBe('edge.local');
    expect(await valueOf('all-services/MessageBus/Port')).toBe('1884');
    expect(await valueOf('device-services/Clients/core-metadata/Port')).toBe('1');
  });

  test('stays as it was changed', async () => {
    await stop();
    await start({ commonConfig: {} });
    await put(`${KEY}/all-services/MessageBus/Host`, 'other');
    await stop();
    await start({ commonConfig: {} });
    expect(await valueOf('all-services/MessageBus/Host')).toBe('other');
  });
});
