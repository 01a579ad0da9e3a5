import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createBroker, createLocalBus, type Broker } from '@antirio/bus';
import {
  createHttpRim,
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  type Bus,
  type HttpPeer,
  type HttpRim,
} from '@antirio/host';
import { AntirioError, utf8, uuidV4 } from '@antirio/kernel';
import {
  errorEnvelope,
  makeEnvelope,
  parseEnvelope,
  parseJsonBytes,
  responseTopic,
  toCbor,
} from '@antirio/edgex-contracts';
import { coreCommandOptions, createCoreCommand, type CoreCommand } from './index.ts';

type Json = Record<string, unknown>;

const ORIGIN = '1602168089665565301';
const base = { apiVersion: 'v3', statusCode: 200 };

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly correlation: unknown;
  readonly body: string;
}

let seen: Seen[];
let answer: { status: number; type: string; body: string | Uint8Array } | 'never';
let deviceService: Server;
let metadata: HttpRim;
let metadataPeer: HttpPeer;
let devices: Record<string, Json>;
let services: Record<string, Json>;
let broker: Broker;
let bus: Bus;
let room: CoreCommand;
let peer: HttpPeer;

const properties = { valueType: 'Float32', readWrite: 'RW' };
const profiles: Record<string, Json> = {
  p: {
    name: 'p',
    deviceResources: [
      { name: 'temperature', properties },
      { name: 'humidity', properties: { ...properties, readWrite: 'R' } },
      { name: 'secret', isHidden: true, properties },
    ],
    deviceCommands: [
      {
        name: 'both',
        readWrite: 'R',
        resourceOperations: [{ deviceResource: 'temperature' }, { deviceResource: 'humidity' }],
      },
      { name: 'humidity', readWrite: 'R', resourceOperations: [{ deviceResource: 'humidity' }] },
      { name: 'hidden', isHidden: true, readWrite: 'R', resourceOperations: [{ deviceResource: 'secret' }] },
    ],
  },
};

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function need<T>(found: T | undefined): T {
  if (found === undefined) throw new AntirioError('notFound', 'no such thing');
  return found;
}

beforeAll(async () => {
  broker = createBroker({ secret: systemRandom.bytes(32), listeners: [] }, silentLog);
  await broker.start();
  deviceService = createServer((request, response) => {
    void readText(request).then((body) => {
      const { method, url, headers } = request;
      seen.push({ method, url, correlation: headers['x-correlation-id'], body });
      if (answer === 'never') return;
      response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body);
    });
  });
  await new Promise<void>((resolve) => deviceService.listen(0, '127.0.0.1', resolve));
  const options = {
    serviceKey: 'core-metadata',
    version: '0',
    config: () => ({}),
    health: () => ({}),
    log: silentLog,
  };
  metadata = createHttpRim({ ...options, clock: systemClock });
  const named = (params: unknown): string => (params as { name: string }).name;
  const one = (path: string, field: string, from: () => Record<string, Json>): void =>
    metadata.route('get', `/api/v3/${path}/name/:name`, { summary: '' }, ({ params }) => ({
      ...base,
      [field]: need(from()[named(params)]),
    }));
  one('device', 'device', () => devices);
  one('deviceservice', 'service', () => services);
  one('deviceprofile', 'profile', () => profiles);
  metadata.route('get', '/api/v3/device/all', { summary: '' }, ({ request }) => {
    const offset = Number((request.query as Json)['offset']);
    const all = Object.values(devices);
    if (offset > all.length) throw new AntirioError('rangeNotSatisfiable', 'out of range');
    return { ...base, totalCount: all.length, devices: all.slice(offset) };
  });
  metadataPeer = httpPeer({ url: `http://127.0.0.1:${await metadata.listen(0, '127.0.0.1')}` });
});
afterAll(async () => {
  metadataPeer.close();
  await metadata.close();
  deviceService.closeAllConnections();
  await new Promise((resolve) => deviceService.close(resolve));
  await broker.stop();
});
beforeEach(async () => {
  seen = [];
  answer = {
    status: 200,
    type: 'application/json',
    body: `{"apiVersion":"v3","statusCode":200,"event":{"origin":${ORIGIN}}}`,
  };
  const device = { serviceName: 'svc', profileName: 'p', adminState: 'UNLOCKED', operatingState: 'UP' };
  devices = { d: { ...device, name: 'd' }, 'a/b': { ...device, name: 'a/b', profileName: undefined } };
  const baseAddress = `http://127.0.0.1:${(deviceService.address() as AddressInfo).port}/some/prefix`;
  services = { svc: { name: 'svc', adminState: 'UNLOCKED', baseAddress } };
  bus = createLocalBus(broker, silentLog);
  const ports = {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    bus,
    peers: { 'core-metadata': metadataPeer },
  };
  room = createCoreCommand(
    coreCommandOptions.parse({ port: 0, requestTimeoutMs: 300, maxBusCommands: 4 }),
    ports,
  );
  await room.start();
  peer = httpPeer({ url: `http://127.0.0.1:${room.port}/api/v3` });
});
afterEach(async () => {
  peer.close();
  await room.stop();
  await bus.close();
});

describe('listing commands', () => {
  const command = (name: string, flags: Json, parameters: string[]): Json => ({
    name,
    ...flags,
    path: `/api/v3/device/name/d/${name}`,
    url: `http://127.0.0.1:${room.port}`,
    parameters: parameters.map((resourceName) => ({ resourceName, valueType: 'Float32' })),
  });
  const ofD = (): Json => ({
    deviceName: 'd',
    profileName: 'p',
    coreCommands: [
      command('both', { get: true }, ['temperature', 'humidity']),
      command('humidity', { get: true }, ['humidity']),
      command('temperature', { get: true, set: true }, ['temperature']),
    ],
  });

  test('of a device: its commands and resources, without hidden ones', async () => {
    expect((await peer.call({ path: '/device/name/d' })).json()).toEqual({
      ...base,
      deviceCoreCommand: ofD(),
    });
    expect((await peer.call({ path: '/device/name/none' })).status).toBe(404);
  });

  test('of all devices, by pages', async () => {
    expect((await peer.call({ path: '/device/all' })).json()).toEqual({
      ...base,
      totalCount: 2,
      deviceCoreCommands: [ofD(), { deviceName: 'a/b', profileName: '', coreCommands: [] }],
    });
    expect((await peer.call({ path: '/device/all?offset=1' })).json()).toMatchObject({
      deviceCoreCommands: [{ deviceName: 'a/b' }],
    });
    expect((await peer.call({ path: '/device/all?offset=3' })).status).toBe(416);
    expect((await peer.call({ path: '/device/all?limit=x' })).status).toBe(400);
  });
});

describe('commands by HTTP', () => {
  test('a GET goes on with its query, and the answer comes back byte for byte', async () => {
    const got = await peer.call({
      path: '/device/name/d/both?ds-pushevent=true&ds-returnevent=true&unit=K',
      headers: { 'x-correlation-id': 'abc' },
    });
    expect(seen).toEqual([
      {
        method: 'GET',
        url: '/some/prefix/api/v3/device/name/d/both?ds-pushevent=true&ds-returnevent=true&unit=K',
        correlation: 'abc',
        body: '',
      },
    ]);
    expect(got.status).toBe(200);
    expect(parseJsonBytes(got.body)).toMatchObject({ event: { origin: BigInt(ORIGIN) } });
  });

  test('names are escaped on their way', async () => {
    await peer.call({ path: `/device/name/${encodeURIComponent('a/b')}/${encodeURIComponent('.*')}` });
    expect(seen[0]?.url).toBe('/some/prefix/api/v3/device/name/a%2Fb/.*');
  });

  test('a PUT goes on with its body as it is', async () => {
    const body = `{"temperature":"28.5","big":${ORIGIN}}`;
    answer = { status: 200, type: 'application/json', body: JSON.stringify(base) };
    expect(
      (await peer.call({ method: 'PUT', path: '/device/name/d/temperature', body: utf8(body) })).json(),
    ).toEqual(base);
    expect(seen[0]).toMatchObject({ method: 'PUT', body });
  });

  test('binary answers stay what they are', async () => {
    const bytes = toCbor({ event: { origin: BigInt(ORIGIN) } });
    answer = { status: 200, type: 'application/cbor', body: bytes };
    const got = await peer.call({ path: '/device/name/d/both' });
    expect(got.headers['content-type']).toBe('application/cbor');
    expect(Buffer.from(got.body).equals(bytes)).toBe(true);
  });

  test('what the device service refuses comes back as it said it', async () => {
    const refusal = { apiVersion: 'v3', message: 'no such resource', statusCode: 404 };
    answer = { status: 404, type: 'application/json', body: JSON.stringify(refusal) };
    const got = await peer.call({ path: '/device/name/d/none' });
    expect([got.status, got.json()]).toEqual([404, refusal]);
  });

  test.each([
    ['of an unknown device', '/device/name/none/both', 404],
    ['with a switch that is none', '/device/name/d/both?ds-pushevent=yes', 400],
  ])('a command %s is refused', async (_what, path, status) => {
    const got = await peer.call({ path });
    expect(got.status).toBe(status);
    expect(got.json()).toMatchObject({ apiVersion: 'v3', statusCode: status });
    expect(seen).toEqual([]);
  });

  test.each([['null'], ['[]'], ['5'], ['{'], ['']])(
    'settings that are no object are refused: %s',
    async (text) => {
      expect(
        (await peer.call({ method: 'PUT', path: '/device/name/d/temperature', body: utf8(text) })).status,
      ).toBe(400);
      expect(seen).toEqual([]);
    },
  );

  test('a locked or broken device, or one of a locked service, answers 423', async () => {
    for (const change of [{ adminState: 'LOCKED' }, { operatingState: 'DOWN' }]) {
      devices['x'] = { ...devices['d'], name: 'x', ...change };
      expect((await peer.call({ path: '/device/name/x/both' })).status).toBe(423);
    }
    services['svc'] = { ...services['svc'], adminState: 'LOCKED' };
    expect((await peer.call({ path: '/device/name/d/both' })).status).toBe(423);
  });

  test('a device service that does not answer, in time or at all, is 503', async () => {
    answer = 'never';
    expect((await peer.call({ path: '/device/name/d/both' })).status).toBe(503);
    services['svc'] = { ...services['svc'], baseAddress: 'http://127.0.0.1:1' };
    expect((await peer.call({ path: '/device/name/d/both' })).status).toBe(503);
  });
});

describe('commands by the bus', () => {
  /** Asks as an EdgeX client does; resolves with the answer. */
  async function ask(topic: string, payload: unknown = '', queryParams = {}): Promise<unknown> {
    const requestID = uuidV4(systemRandom);
    const answered = Promise.withResolvers<unknown>();
    const subscription = await bus.subscribe(responseTopic('core-command', requestID), (_, bytes) =>
      answered.resolve(parseEnvelope(bytes)),
    );
    await bus.publish(topic, makeEnvelope(payload, { correlationID: 'c', requestID, queryParams }));
    const got = (await answered.promise) as Json;
    expect(got['requestID']).toBe(requestID);
    await subscription.close();
    return got;
  }
  /** A device service on the bus. */
  const serve = (
    make: (topic: string, requestID: string, request: ReturnType<typeof parseEnvelope>) => string,
  ): Promise<unknown> =>
    bus.subscribe('edgex/device/command/request/svc/#', async (topic, bytes) => {
      const request = parseEnvelope(bytes);
      await bus.publish(responseTopic('svc', request.requestID), make(topic, request.requestID, request));
    });

  test('go to the device service and back, with the same request id and all digits', async () => {
    await serve((topic, requestID, { payload, queryParams }) =>
      makeEnvelope(
        { topic, payload, queryParams, origin: BigInt(ORIGIN) },
        { correlationID: 'c', requestID },
      ),
    );
    expect(
      await ask(
        'edgex/core/command/request/d/temperature/set',
        { temperature: '5' },
        { 'ds-pushevent': 'true' },
      ),
    ).toMatchObject({
      errorCode: 0,
      correlationID: 'c',
      payload: {
        topic: 'edgex/device/command/request/svc/d/temperature/set',
        payload: { temperature: '5' },
        queryParams: { 'ds-pushevent': 'true' },
        origin: BigInt(ORIGIN),
      },
    });
  });

  test('CBOR answers stay CBOR', async () => {
    const event = { origin: BigInt(ORIGIN), binaryValue: Uint8Array.of(1, 2) };
    await serve((_topic, requestID) =>
      makeEnvelope(toCbor(event), { correlationID: 'c', requestID, contentType: 'application/cbor' }),
    );
    expect(await ask('edgex/core/command/request/d/both/get')).toMatchObject({
      contentType: 'application/cbor',
      payload: event,
    });
  });

  test('errors come back as such', async () => {
    await serve((_topic, requestID) => errorEnvelope('broken', { correlationID: 'c', requestID }));
    expect(await ask('edgex/core/command/request/d/both/get')).toMatchObject({
      errorCode: 1,
      payload: 'broken',
    });
    for (const topic of ['none/both/get', 'd/both', 'd/both/delete', 'd/both/get/more'])
      expect(await ask(`edgex/core/command/request/${topic}`)).toMatchObject({
        errorCode: 1,
        payload: expect.any(String),
      });
  });

  test('nobody waits for a silent service for ever, and one that is silent does not hold up others', async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => ask('edgex/core/command/request/d/both/get')),
    );
    const texts = answers.map((got) => String((got as Json)['payload']));
    expect(texts.filter((text) => text.includes('did not answer'))).toHaveLength(4);
    expect(texts.filter((text) => text.includes('too many'))).toHaveLength(2);
  });

  test('questions are answered as by HTTP', async () => {
    expect(await ask('edgex/core/commandquery/request/d')).toMatchObject({
      payload: { deviceCoreCommand: { deviceName: 'd' } },
    });
    expect(await ask('edgex/core/commandquery/request/all', '', { limit: '1' })).toMatchObject({
      payload: { totalCount: 2 },
    });
    expect(await ask('edgex/core/commandquery/request/none')).toMatchObject({ errorCode: 1 });
  });
});

test('health tells the truth about core-metadata and the bus', async () => {
  expect((await peer.call({ path: '/ready' })).status).toBe(200);
  await bus.close();
  expect((await peer.call({ path: '/ready' })).status).toBe(503);
  bus = createLocalBus(broker, silentLog);
});
