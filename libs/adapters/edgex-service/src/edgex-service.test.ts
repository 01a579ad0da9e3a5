import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { z } from 'zod';
import { createBroker, createLocalBus, type Broker } from '@antirio/bus';
import { AntirioError } from '@antirio/kernel';
import {
  createHttpRim,
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  type Bus,
  type HttpPeer,
  type HttpRim,
  type Log,
  type RimAccess,
} from '@antirio/host';
import { baseResponse, makeEnvelope, parseEnvelope } from '@antirio/edgex-contracts';
import { createEdgexService, edgexServiceOptions, type EdgexService } from './index.ts';
import { writableBoolean } from './options.ts';

type Json = Record<string, unknown>;

const optionsSchema = z.strictObject({
  ...edgexServiceOptions,
  bind: z.string().default('127.0.0.1'),
  dataDir: z.string(),
});

let dataDir: string;
let broker: Broker;
let bus: Bus;
/** What stands in for core-keeper: its keys, and what registered. */
let keeperRim: HttpRim;
let keeper: HttpPeer;
let keys: Record<string, string>;
let registered: Json[];
let keeperAnswers: boolean;

function keeperWithKeys(): HttpRim {
  const rim = createHttpRim({
    serviceKey: 'core-keeper',
    version: '0',
    config: () => ({}),
    health: () => ({}),
    log: silentLog,
    clock: systemClock,
  });
  const there = (): void => {
    if (!keeperAnswers) throw new AntirioError('unavailable', 'not yet');
  };
  rim.route('get', '/api/v3/kvs/key/:key', { summary: '' }, ({ params }) => {
    there();
    const { key } = params as { key: string };
    const found = Object.entries(keys).filter(([at]) => at.startsWith(`${key}/`));
    if (found.length === 0) throw new AntirioError('notFound', 'no such key');
    return { ...baseResponse(200), response: found.map(([at, value]) => ({ key: at, value })) };
  });
  for (const method of ['post', 'put'] as const)
    rim.route(method, '/api/v3/registry', { summary: '', status: 201 }, ({ body }) => {
      there();
      const { registration } = body as { registration: Json };
      if (method === 'post' && registered.length > 0) throw new AntirioError('conflict', 'there');
      registered.push(registration);
    });
  return rim;
}

async function change(key: string, value: string | undefined): Promise<void> {
  if (value === undefined) keys = Object.fromEntries(Object.entries(keys).filter(([at]) => at !== key));
  else keys[key] = value;
  await bus.publish(`edgex/configs/${key}`, makeEnvelope({ key, value }, { correlationID: 'c' }));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

beforeAll(async () => {
  broker = createBroker({ secret: systemRandom.bytes(32), listeners: [] }, silentLog);
  await broker.start();
  keeperRim = keeperWithKeys();
  keeper = httpPeer({ url: `http://127.0.0.1:${await keeperRim.listen(0, '127.0.0.1')}` });
});
afterAll(async () => {
  keeper.close();
  await keeperRim.close();
  await broker.stop();
});
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-edgex-service-'));
  bus = createLocalBus(broker, silentLog);
  keys = {};
  registered = [];
  keeperAnswers = true;
});
afterEach(async () => {
  await bus.close();
  rmSync(dataDir, { recursive: true });
});

interface Running {
  readonly edgex: EdgexService;
  readonly peer: HttpPeer;
  readonly log: Log;
  /** What was logged. */
  readonly said: Json[];
  /** What is in force of the service's own. */
  readonly applied: Json[];
  stop(): Promise<void>;
}

const OWN = 'edgex/v4/core-data/Writable';
const COMMON = 'edgex/v4/core-common-config-bootstrapper/all-services/Writable';

/** Nothing is asked here of what it holds. */
const withTls: RimAccess = {
  ...{ tls: () => ({}), clientCertificates: false, requireTokens: false },
  ...{ tokens: { scopesOf: () => undefined }, isOwnHost: () => true },
  ...{ credentialsFor: () => undefined, placeOf: (url: string) => ({ url, credentials: undefined }) },
};

async function run(
  options: Json = {},
  counters = {},
  fromEnvironment?: (section: string) => Json,
  access?: RimAccess,
): Promise<Running> {
  const said: Json[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void said.push(JSON.parse(line) as Json) });
  const applied: Json[] = [];
  const given = optionsSchema.parse({ dataDir, ...options });
  const edgex = createEdgexService({
    serviceKey: 'core-data',
    options: given,
    ports: {
      ...{ clock: systemClock, random: systemRandom, log, bus, fromEnvironment, access },
      peers: { 'core-keeper': keeper },
    },
    writable: {
      schema: z.object({ PersistData: writableBoolean.optional() }),
      configured: { PersistData: true },
      apply: (values) => void applied.push(values),
    },
    counters,
  });
  const rim = createHttpRim({
    serviceKey: 'core-data',
    version: '0',
    config: () => edgex.config(),
    health: () => ({}),
    log: silentLog,
    clock: systemClock,
    before: edgex.before,
  });
  edgex.addRoutes(rim);
  rim.route('get', '/api/v3/never', { summary: '' }, () => delay(400, {}));
  await edgex.follow();
  const port = await rim.listen(0, '127.0.0.1');
  const peer = httpPeer({ url: `http://127.0.0.1:${port}/api/v3` });
  const stop = async (): Promise<void> => {
    peer.close();
    await edgex.stop();
    await rim.close();
  };
  return { edgex, peer, log, said, applied, stop };
}

const secret = (fields: Json = {}): Json => ({
  apiVersion: 'v3',
  requestId: 'e6e8a2f4-eb14-4649-9e2b-175247911369',
  secretName: 'mqtt',
  secretData: [
    { key: 'username', value: 'user' },
    { key: 'password', value: 'hidden-value' },
  ],
  ...fields,
});

describe('secrets', () => {
  test('are kept where only the owner reads them, also over a restart, and shown nowhere', async () => {
    const first = await run();
    const answer = await first.peer.call({ method: 'POST', path: '/secret', json: secret() });
    expect([answer.status, answer.json()]).toEqual([
      201,
      { apiVersion: 'v3', statusCode: 201, requestId: secret()['requestId'] },
    ]);
    const shown = await first.peer.call({ path: '/config' });
    expect(Buffer.from(shown.body).toString()).not.toContain('hidden-value');
    await first.stop();
    expect(JSON.stringify(first.said)).not.toContain('hidden-value');
    const file = join(dataDir, 'core-data', 'secrets.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toContain('hidden-value');
    const second = await run();
    expect(second.edgex.secrets.get('mqtt')).toEqual({ username: 'user', password: 'hidden-value' });
    expect(second.edgex.secrets.get('other')).toBeUndefined();
    await second.stop();
  });

  test.each([
    ['no name', { secretName: ' ' }],
    ['no data', { secretData: [] }],
    ['an empty value', { secretData: [{ key: 'k', value: '' }] }],
    ['a value that is no text', { secretData: [{ key: 'k', value: 5 }] }],
    ['no version', { apiVersion: undefined }],
  ])('with %s are refused', async (_what, fields) => {
    const { peer, stop, edgex } = await run();
    expect((await peer.call({ method: 'POST', path: '/secret', json: secret(fields) })).status).toBe(400);
    expect(edgex.secrets.get('mqtt')).toBeUndefined();
    await stop();
  });

  test('come of the configuration too, live, where none was stored; that shows only whose they are', async () => {
    const insecure = (password: string): Json => ({
      InsecureSecrets: { bus: { SecretName: 'bus', SecretData: { username: 'u', password } } },
    });
    const { edgex, peer, stop } = await run({ writable: insecure('hidden-one') });
    const changes: unknown[] = [];
    edgex.secrets.onChange('bus', (now) => void changes.push(now?.['password']));
    expect(edgex.secrets.get('bus')).toEqual({ username: 'u', password: 'hidden-one' });
    await change(`${OWN}/InsecureSecrets/bus/SecretData/password`, 'hidden-two');
    await until(() => edgex.secrets.get('bus')?.['password'] === 'hidden-two');
    const shown = await peer.call({ path: '/config' });
    expect(Buffer.from(shown.body).toString()).not.toContain('hidden');
    expect(shown.json()).toMatchObject({
      config: {
        Writable: { InsecureSecrets: { bus: { SecretName: 'bus', SecretData: { username: '<redacted>' } } } },
      },
    });
    edgex.secrets.store('bus', { password: 'stored' });
    await change(`${OWN}/InsecureSecrets/bus/SecretData/password`, 'hidden-three');
    await change(`${OWN}/InsecureSecrets/other/SecretName`, 'other');
    await until(() => edgex.secrets.get('other') !== undefined);
    expect(edgex.secrets.get('bus')).toEqual({ password: 'stored' });
    expect(changes).toEqual(['hidden-two', 'stored']);
    await stop();
  });

  test('that are taken out of the configuration are told of, too', async () => {
    keys = {
      [`${OWN}/InsecureSecrets/bus/SecretName`]: 'bus',
      [`${OWN}/InsecureSecrets/bus/SecretData/password`]: 'revoked',
    };
    const { edgex, stop } = await run();
    await until(() => edgex.secrets.get('bus') !== undefined);
    const changes: unknown[] = [];
    edgex.secrets.onChange('bus', (now) => void changes.push(now));
    keys = {};
    await change(`${OWN}/InsecureSecrets/bus/SecretData/password`, undefined);
    await until(() => edgex.secrets.get('bus') === undefined);
    expect(changes).toStrictEqual([undefined]);
    await stop();
  });

  test('there are only so many', async () => {
    const { edgex, stop } = await run();
    for (let i = 0; i < 16; i++) {
      const store = (): void => edgex.secrets.store(`s${i}`, { key: 'x'.repeat(65_536) });
      if (i < 15) store();
      else expect(store).toThrow(expect.objectContaining({ code: 'storageFull' }));
    }
    expect(edgex.secrets.get('s15')).toBeUndefined();
    await stop();
  });
});

describe('requests', () => {
  const preflight = { origin: 'https://ui', 'access-control-request-method': 'POST' };

  test('from pages of another origin are let in as configured', async () => {
    const cors = { enabled: true, allowedOrigin: 'https://ui', allowCredentials: true };
    const { peer, stop } = await run({ service: { cors } });
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
    const { peer, stop } = await run();
    const { headers } = await peer.call({ path: '/ping', headers: { origin: 'https://ui' } });
    expect(headers).not.toHaveProperty('access-control-allow-origin');
    await stop();
  });

  test('that take too long are answered 503', async () => {
    const { peer, stop } = await run({ service: { requestTimeoutMs: 50 } });
    const answer = await peer.call({ path: '/never' });
    expect([answer.status, answer.json()]).toEqual([
      503,
      { apiVersion: 'v3', statusCode: 503, message: 'HTTP request timeout' },
    ]);
    expect((await peer.call({ path: '/ping' })).status).toBe(200);
    await stop();
  });
});

describe('the Writable section', () => {
  test('is what is configured, then what all services share, then what is the own of this one', async () => {
    keys = {
      [`${COMMON}/LogLevel`]: 'ERROR',
      [`${COMMON}/PersistData`]: 'false',
      [`${OWN}/LogLevel`]: 'debug',
    };
    const { applied, log, peer, stop } = await run({ writable: { Telemetry: { Interval: '1m' } } });
    await until(() => log.level === 'debug');
    expect(applied.at(-1)).toMatchObject({ PersistData: false });
    expect((await peer.call({ path: '/config' })).json()).toMatchObject({
      config: { Writable: { LogLevel: 'DEBUG', PersistData: false, Telemetry: { Interval: '1m' } } },
    });
    await stop();
    expect(log.level).toBe('info');
  });

  test('follows notices, and goes back to what was configured when a key goes', async () => {
    const { applied, log, stop } = await run();
    expect(applied.at(-1)).toEqual({ PersistData: true });
    await change(`${OWN}/PersistData`, 'false');
    await until(() => applied.at(-1)?.['PersistData'] === false);
    await change(`${COMMON}/LogLevel`, 'WARN');
    await until(() => log.level === 'warn');
    await change(`${OWN}/PersistData`, undefined);
    await until(() => applied.at(-1)?.['PersistData'] === true);
    const reads = applied.length;
    await change('edgex/v4/core-metadata/Writable/LogLevel', 'TRACE');
    await delay(50);
    expect([applied.length, log.level]).toEqual([reads, 'warn']);
    await stop();
  });

  test('with wrong values keeps to the right ones, and says once which are wrong', async () => {
    keys = { [`${OWN}/PersistData`]: 'perhaps', [`${OWN}/LogLevel`]: 'WARN', [`${OWN}/Telemetry`]: 'none' };
    const { applied, log, said, stop } = await run();
    await until(() => log.level === 'warn');
    expect(applied.at(-1)).toMatchObject({ PersistData: true });
    await change(`${OWN}/Other`, '1');
    await delay(50);
    expect(said.filter(({ wrong }) => wrong !== undefined)).toEqual([
      expect.objectContaining({
        wrong: expect.arrayContaining([
          expect.stringContaining('Writable/PersistData'),
          expect.stringContaining('Writable/Telemetry'),
        ]),
      }),
    ]);
    await stop();
  });

  test('does without core-keeper, and follows it once it is there', async () => {
    keeperAnswers = false;
    keys = { [`${OWN}/PersistData`]: 'false' };
    const { applied, stop } = await run();
    expect(applied).toEqual([{ PersistData: true }]);
    keeperAnswers = true;
    await change(`${OWN}/LogLevel`, 'INFO');
    await until(() => applied.at(-1)?.['PersistData'] === false);
    await stop();
  });

  test('that is configured wrongly stops the start', async () => {
    await expect(run({ writable: { LogLevel: 'loud' } })).rejects.toThrow(/writable: LogLevel/);
  });
});

test('a section of a service’s own is followed too, as long as it runs', async () => {
  const { edgex, said, stop } = await run();
  const values: unknown[] = [];
  edgex.followSection('Driver', { Port: '1', Baud: '2' }, (now) => {
    values.push(now);
    if (values.length === 2) throw new AntirioError('invalidInput', 'no such port');
  });
  const key = 'edgex/v4/core-data/Driver';
  await change(`${key}/Port`, '5');
  await until(() => values.length === 1);
  await change(`${key}/Port`, '6');
  await until(() => values.length === 2);
  await change('edgex/v4/core-data/Other/Port', '7');
  await change(`${key}/Port`, undefined);
  await until(() => values.length === 3);
  expect(values).toEqual([
    { Port: '5', Baud: '2' },
    { Port: '6', Baud: '2' },
    { Port: '1', Baud: '2' },
  ]);
  expect(said.at(-1)).toMatchObject({ section: 'Driver', error: expect.stringContaining('no such port') });
  await stop();
  await change(`${key}/Port`, '8');
  await delay(50);
  expect(values).toHaveLength(3);
});

test('what the environment says stays, whatever core-keeper has', async () => {
  keys = {
    [`${OWN}/LogLevel`]: 'INFO',
    [`${OWN}/PersistData`]: 'false',
    'edgex/v4/core-data/Driver/Baud': '9600',
    'edgex/v4/core-data/Driver/Port': '5',
  };
  const says: Json = { Writable: { LogLevel: 'DEBUG' }, Driver: { Baud: '115200' } };
  const { edgex, applied, log, stop } = await run(
    { writable: { LogLevel: 'DEBUG' } },
    {},
    (section) => (says[section] ?? {}) as Json,
  );
  await until(() => applied.at(-1)?.['PersistData'] === false);
  expect(log.level).toBe('debug');
  const values: unknown[] = [];
  edgex.followSection('Driver', { Port: '5', Baud: '115200' }, (now) => void values.push(now));
  // as it was begun with: nothing is told until something becomes another
  await change('edgex/v4/core-data/Driver/Baud', '4800');
  await change('edgex/v4/core-data/Driver/Port', '6');
  await until(() => values.length > 0);
  expect(values).toEqual([{ Port: '6', Baud: '115200' }]);
  await change(`${OWN}/LogLevel`, 'ERROR');
  await change(`${OWN}/PersistData`, 'true');
  await until(() => applied.at(-1)?.['PersistData'] === true);
  expect(log.level).toBe('debug');
  await stop();
});

describe('core-keeper', () => {
  test('is told that the service is there, and at its end that it is not any more', async () => {
    const { edgex, stop } = await run({ service: { host: 'edge.local' } });
    edgex.register(1234);
    await until(() => registered.length === 1);
    expect(registered[0]).toEqual({
      serviceId: 'core-data',
      status: 'UP',
      host: 'edge.local',
      port: 1234,
      healthCheck: { interval: '10000ms', path: '/api/v3/ping', type: 'http' },
    });
    await stop();
    expect(registered.at(-1)).toMatchObject({ serviceId: 'core-data', status: 'HALT' });
  });

  test.each([
    ['0.0.0.0', { host: hostname(), healthCheck: { type: 'https' } }],
    ['10.0.0.7', { host: '10.0.0.7', healthCheck: { type: 'https' } }],
    ['127.0.0.1', { host: '127.0.0.1', healthCheck: { type: 'http' } }],
  ])('is told how a service with TLS at %s is asked whether it is there', async (bind, told) => {
    const { edgex, stop } = await run({ bind }, {}, undefined, withTls);
    edgex.register(1234);
    await until(() => registered.length === 1);
    expect(registered[0]).toMatchObject(told);
    await stop();
  });

  test('is not told of a service that is not to be registered, which follows it all the same', async () => {
    keys = { [`${OWN}/PersistData`]: 'false' };
    const { applied, edgex, stop } = await run({ service: { register: false } });
    edgex.register(1234);
    await until(() => applied.at(-1)?.['PersistData'] === false);
    await stop();
    expect(registered).toEqual([]);
  });

  test('is left alone where that is configured', async () => {
    keys = { [`${OWN}/PersistData`]: 'false' };
    const { applied, edgex, stop } = await run({ followKeeper: false });
    edgex.register(1234);
    await delay(50);
    expect([applied, registered]).toEqual([[{ PersistData: true }], []]);
    await stop();
  });
});

test('metrics that are switched on are published, with their tags, and no others', async () => {
  let count = 3;
  const told: [string, Json][] = [];
  await bus.subscribe('edgex/telemetry/#', (topic, bytes) => {
    told.push([topic, parseEnvelope(bytes).payload as Json]);
  });
  const Telemetry = { Interval: '20ms', Metrics: { EventsPersisted: true }, Tags: { site: 'quay' } };
  const counters = { EventsPersisted: () => count, ReadingsPersisted: () => 9 };
  const { edgex, stop } = await run({ writable: { Telemetry } }, counters);
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
  await change(`${OWN}/Telemetry/Metrics/EventsPersisted`, 'false');
  await until(() => JSON.stringify(edgex.config()).includes('"EventsPersisted":false'));
  const before = told.length;
  await delay(60);
  expect(told.length).toBe(before);
  await stop();
});
