import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { RimAccess } from '@antirio/host';
import { parseEnvelope } from '@antirio/edgex-contracts';
import { OWN, Surroundings, until, type Json } from './edgex-service.fixture.ts';

let around: Surroundings;
beforeEach(async () => {
  around = await Surroundings.open();
});
afterEach(() => around.close());

/** Nothing is asked here of what it holds. */
const withTls: RimAccess = {
  ...{ tls: () => ({}), clientCertificates: false, requireTokens: false },
  ...{ tokens: { scopesOf: () => undefined }, isOwnHost: () => true },
  ...{ credentialsFor: () => undefined, placeOf: (url: string) => ({ url, credentials: undefined }) },
};

describe('requests', () => {
  const preflight = { origin: 'https://ui', 'access-control-request-method': 'POST' };

  test('from pages of another origin are let in as configured', async () => {
    const cors = { enabled: true, allowedOrigin: 'https://ui', allowCredentials: true };
    const { peer, stop } = await around.run({ options: { service: { cors } } });
    const actual = await peer.call({ path: '/ping', headers: { origin: 'https://ui' } });
    expect(actual.headers).toMatchObject({
      vary: 'Origin',
      'access-control-allow-origin': 'https://ui',
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': expect.stringContaining('X-Correlation-ID'),
    });
    const asked = { path: '/ping', headers: preflight, method: 'OPTIONS' as 'GET' };
    const allowed = await peer.call(asked);
    expect([allowed.status, allowed.headers]).toMatchObject([
      200,
      {
        'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
        'access-control-allow-headers': expect.stringContaining('Authorization'),
        'access-control-max-age': '3600',
      },
    ]);
    expect((await peer.call({ path: '/ping' })).headers).not.toHaveProperty('access-control-allow-origin');
    await stop();
  });

  test('by default none are', async () => {
    const { peer, stop } = await around.run();
    const { headers } = await peer.call({ path: '/ping', headers: { origin: 'https://ui' } });
    expect(headers).not.toHaveProperty('access-control-allow-origin');
    await stop();
  });

  test('that take too long are answered 503', async () => {
    const { peer, stop } = await around.run({ options: { service: { requestTimeoutMs: 50 } } });
    const answer = await peer.call({ path: '/never' });
    expect([answer.status, answer.json()]).toEqual([
      503,
      { apiVersion: 'v3', statusCode: 503, message: 'HTTP request timeout' },
    ]);
    expect((await peer.call({ path: '/ping' })).status).toBe(200);
    await stop();
  });
});

describe('core-keeper', () => {
  test('is told that the service is there, and at its end that it is not any more', async () => {
    const { edgex, stop } = await around.run({ options: { service: { host: 'edge.local' } } });
    edgex.register(1234);
    await until(() => around.keeper.registered.length === 1);
    expect(around.keeper.registered[0]).toEqual({
      serviceId: 'core-data',
      status: 'UP',
      host: 'edge.local',
      port: 1234,
      healthCheck: { interval: '10000ms', path: '/api/v3/ping', type: 'http' },
    });
    await stop();
    expect(around.keeper.registered.at(-1)).toMatchObject({ serviceId: 'core-data', status: 'HALT' });
  });

  test.each([
    ['0.0.0.0', { host: hostname(), healthCheck: { type: 'https' } }],
    ['10.0.0.7', { host: '10.0.0.7', healthCheck: { type: 'https' } }],
    ['127.0.0.1', { host: '127.0.0.1', healthCheck: { type: 'http' } }],
  ])('is told how a service with TLS at %s is asked whether it is there', async (bind, told) => {
    const { edgex, stop } = await around.run({ options: { bind }, access: withTls });
    edgex.register(1234);
    await until(() => around.keeper.registered.length === 1);
    expect(around.keeper.registered[0]).toMatchObject(told);
    await stop();
  });

  test('is not told of a service that is not to be registered, which follows it all the same', async () => {
    around.keeper.keys = { [`${OWN}/PersistData`]: 'false' };
    const { applied, edgex, stop } = await around.run({ options: { service: { register: false } } });
    edgex.register(1234);
    await until(() => applied.at(-1)?.['PersistData'] === false);
    await stop();
    expect(around.keeper.registered).toEqual([]);
  });

  test('is left alone where that is configured', async () => {
    around.keeper.keys = { [`${OWN}/PersistData`]: 'false' };
    const { applied, edgex, stop } = await around.run({ options: { followKeeper: false } });
    edgex.register(1234);
    await delay(50);
    expect([applied, around.keeper.registered]).toEqual([[{ PersistData: true }], []]);
    await stop();
  });
});

test('metrics that are switched on are published, with their tags, and no others', async () => {
  let count = 3;
  const told: [string, Json][] = [];
  await around.bus.subscribe('edgex/telemetry/#', (topic, bytes) => {
    told.push([topic, parseEnvelope(bytes).payload as Json]);
  });
  const Telemetry = { Interval: '20ms', Metrics: { EventsPersisted: true }, Tags: { site: 'quay' } };
  const counters = { EventsPersisted: () => count, ReadingsPersisted: () => 9 };
  const { edgex, stop } = await around.run({ options: { writable: { Telemetry } }, counters });
  await until(() => told.length > 0);
  count = 5;
  const metric = (value: number): Json => ({
    apiVersion: 'v3',
    name: 'EventsPersisted',
    fields: [{ name: 'counter-count', value }],
    tags: [
      { name: 'site', value: 'quay' },
      { name: 'service', value: 'core-data' },
    ],
    timestamp: expect.anything(),
  });
  expect(told[0]).toEqual(['edgex/telemetry/core-data/EventsPersisted', metric(3)]);
  await until(() => told.some(([, { fields }]) => JSON.stringify(fields).includes('5')));
  expect(new Set(told.map(([topic]) => topic)).size).toBe(1);
  await around.change(`${OWN}/Telemetry/Metrics/EventsPersisted`, 'false');
  await until(() => JSON.stringify(edgex.config()).includes('"EventsPersisted":false'));
  const before = told.length;
  await delay(60);
  expect(told.length).toBe(before);
  await stop();
});
