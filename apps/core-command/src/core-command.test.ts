import { hostname } from 'node:os';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { systemRandom } from '@antirio/host';
import { utf8, uuidV4 } from '@antirio/kernel';
import {
  errorEnvelope,
  makeEnvelope,
  parseEnvelope,
  parseJsonBytes,
  responseTopic,
  toCbor,
} from '@antirio/edgex-contracts';
import {
  base,
  openSurroundings,
  ORIGIN,
  withTls,
  type Json,
  type Surroundings,
} from './surroundings.fixture.ts';

let around: Surroundings;

beforeAll(async () => {
  around = await openSurroundings();
});
afterAll(() => around.close());
beforeEach(() => around.reset());
afterEach(() => around.end());

describe('listing commands', () => {
  const command = (name: string, flags: Json, parameters: string[]): Json => ({
    name,
    ...flags,
    path: `/api/v3/device/name/d/${name}`,
    url: `http://127.0.0.1:${around.room.port}`,
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
    expect((await around.peer.call({ path: '/device/name/d' })).json()).toEqual({
      ...base,
      deviceCoreCommand: ofD(),
    });
    expect((await around.peer.call({ path: '/device/name/none' })).status).toBe(404);
  });

  test('at an address that speaks TLS, where those beyond this host have to', async () => {
    await around.end();
    await around.reset({ bind: '0.0.0.0' }, withTls);
    const answer = (await around.peer.call({ path: '/device/name/d' })).json() as Json;
    const url = `https://${hostname()}:${around.room.port}`;
    expect(answer).toMatchObject({ deviceCoreCommand: { coreCommands: [{ url }, { url }, { url }] } });
  });

  test('of all devices, by pages', async () => {
    expect((await around.peer.call({ path: '/device/all' })).json()).toEqual({
      ...base,
      totalCount: 2,
      deviceCoreCommands: [ofD(), { deviceName: 'a/b', profileName: '', coreCommands: [] }],
    });
    expect((await around.peer.call({ path: '/device/all?offset=1' })).json()).toMatchObject({
      deviceCoreCommands: [{ deviceName: 'a/b' }],
    });
    expect((await around.peer.call({ path: '/device/all?offset=3' })).status).toBe(416);
    expect((await around.peer.call({ path: '/device/all?limit=x' })).status).toBe(400);
  });
});

describe('commands by HTTP', () => {
  test('a GET goes on with its query, and the answer comes back byte for byte', async () => {
    const got = await around.peer.call({
      path: '/device/name/d/both?ds-pushevent=true&ds-returnevent=true&unit=K',
      headers: { 'x-correlation-id': 'abc' },
    });
    expect(around.seen).toEqual([
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
    await around.peer.call({ path: `/device/name/${encodeURIComponent('a/b')}/${encodeURIComponent('.*')}` });
    expect(around.seen[0]?.url).toBe('/some/prefix/api/v3/device/name/a%2Fb/.*');
  });

  test('a PUT goes on with its body as it is', async () => {
    const body = `{"temperature":"28.5","big":${ORIGIN}}`;
    around.answer = { status: 200, type: 'application/json', body: JSON.stringify(base) };
    expect(
      (
        await around.peer.call({ method: 'PUT', path: '/device/name/d/temperature', body: utf8(body) })
      ).json(),
    ).toEqual(base);
    expect(around.seen[0]).toMatchObject({ method: 'PUT', body });
  });

  test('binary answers stay what they are', async () => {
    const bytes = toCbor({ event: { origin: BigInt(ORIGIN) } });
    around.answer = { status: 200, type: 'application/cbor', body: bytes };
    const got = await around.peer.call({ path: '/device/name/d/both' });
    expect(got.headers['content-type']).toBe('application/cbor');
    expect(Buffer.from(got.body).equals(bytes)).toBe(true);
  });

  test('with ds-returnevent=false the answer has no body', async () => {
    around.answer = { status: 200, type: 'application/json', body: '' };
    const got = await around.peer.call({ path: '/device/name/d/both?ds-returnevent=false' });
    expect([got.status, got.body.length]).toEqual([200, 0]);
    expect(around.seen[0]?.url).toContain('ds-returnevent=false');
  });

  test('what the device service refuses comes back as it said it', async () => {
    const refusal = { apiVersion: 'v3', message: 'no such resource', statusCode: 404 };
    around.answer = { status: 404, type: 'application/json', body: JSON.stringify(refusal) };
    const got = await around.peer.call({ path: '/device/name/d/none' });
    expect([got.status, got.json()]).toEqual([404, refusal]);
  });

  test.each([
    ['of an unknown device', '/device/name/none/both', 404],
    ['with a switch that is none', '/device/name/d/both?ds-pushevent=yes', 400],
  ])('a command %s is refused', async (_what, path, status) => {
    const got = await around.peer.call({ path });
    expect(got.status).toBe(status);
    expect(got.json()).toMatchObject({ apiVersion: 'v3', statusCode: status });
    expect(around.seen).toEqual([]);
  });

  test.each([['null'], ['[]'], ['5'], ['{'], ['']])(
    'settings that are no object are refused: %s',
    async (text) => {
      expect(
        (await around.peer.call({ method: 'PUT', path: '/device/name/d/temperature', body: utf8(text) }))
          .status,
      ).toBe(400);
      expect(around.seen).toEqual([]);
    },
  );

  test('a locked or broken device, or one of a locked service, answers 423', async () => {
    for (const change of [{ adminState: 'LOCKED' }, { operatingState: 'DOWN' }]) {
      around.devices['x'] = { ...around.devices['d'], name: 'x', ...change };
      expect((await around.peer.call({ path: '/device/name/x/both' })).status).toBe(423);
    }
    around.services['svc'] = { ...around.services['svc'], adminState: 'LOCKED' };
    await around.tell('deviceservice', 'svc');
    expect((await around.peer.call({ path: '/device/name/d/both' })).status).toBe(423);
  });

  test('a device service that does not answer, in time or at all, is 503', async () => {
    around.answer = 'never';
    expect((await around.peer.call({ path: '/device/name/d/both' })).status).toBe(503);
    around.services['svc'] = { ...around.services['svc'], baseAddress: 'http://127.0.0.1:1' };
    await around.tell('deviceservice', 'svc');
    expect((await around.peer.call({ path: '/device/name/d/both' })).status).toBe(503);
  });
});

describe('what core-metadata said', () => {
  const command = async (): Promise<number> =>
    (await around.peer.call({ path: '/device/name/d/both' })).status;

  test('is remembered: a command costs it nothing', async () => {
    await Promise.all(Array.from({ length: 10 }, command));
    await command();
    expect(around.questions).toEqual(['/api/v3/device/name/d', '/api/v3/deviceservice/name/svc']);
  });

  test('is forgotten when a system event tells of a change', async () => {
    expect(await command()).toBe(200);
    around.devices['d'] = { ...around.devices['d'], adminState: 'LOCKED' };
    await around.tell('device', 'd');
    expect(await command()).toBe(423);
    around.devices = {};
    await around.tell('device', 'd');
    expect(await command()).toBe(404);
    expect(around.questions.filter((path) => path.includes('deviceservice'))).toHaveLength(1);
  });

  test('is forgotten after a while, also where no event came', async () => {
    await around.end();
    await around.reset({ rememberMs: 0 });
    expect(await command()).toBe(200);
    around.devices['d'] = { ...around.devices['d'], adminState: 'LOCKED' };
    expect(await command()).toBe(423);
  });

  test('is not remembered where it was that there is no such device', async () => {
    const { d = {} } = around.devices;
    around.devices = {};
    expect(await command()).toBe(404);
    around.devices = { d };
    expect(await command()).toBe(200);
  });
});

describe('commands by the bus', () => {
  /** Asks as an EdgeX client does; resolves with the answer. */
  async function ask(topic: string, payload: unknown = '', queryParams = {}): Promise<unknown> {
    const requestID = uuidV4(systemRandom);
    const answered = Promise.withResolvers<unknown>();
    const subscription = await around.bus.subscribe(responseTopic('core-command', requestID), (_, bytes) =>
      answered.resolve(parseEnvelope(bytes)),
    );
    await around.bus.publish(topic, makeEnvelope(payload, { correlationID: 'c', requestID, queryParams }));
    const got = (await answered.promise) as Json;
    expect(got['requestID']).toBe(requestID);
    await subscription.close();
    return got;
  }
  /** A device service on the bus. */
  const serve = (
    make: (topic: string, requestID: string, request: ReturnType<typeof parseEnvelope>) => string,
  ): Promise<unknown> =>
    around.bus.subscribe('edgex/device/command/request/svc/#', async (topic, bytes) => {
      const request = parseEnvelope(bytes);
      await around.bus.publish(
        responseTopic('svc', request.requestID),
        make(topic, request.requestID, request),
      );
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

  test('are taken whatever the case of get and set; a switch that is none is refused', async () => {
    await serve((topic, requestID) => makeEnvelope({ topic }, { correlationID: 'c', requestID }));
    expect(await ask('edgex/core/command/request/d/both/GET')).toMatchObject({
      errorCode: 0,
      payload: { topic: 'edgex/device/command/request/svc/d/both/get' },
    });
    expect(await ask('edgex/core/command/request/d/both/get', '', { 'ds-returnevent': 'no' })).toMatchObject({
      errorCode: 1,
      payload: expect.stringContaining('ds-returnevent'),
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
  expect((await around.peer.call({ path: '/ready' })).status).toBe(200);
  await around.bus.close();
  expect((await around.peer.call({ path: '/ready' })).status).toBe(503);
  around.newBus();
});

test('a device service is called at the place that this host knows it by', async () => {
  await around.end();
  const announced = { ...around.services['svc'], baseAddress: 'https://svc:59999/some/prefix' };
  const there = around.services['svc']?.['baseAddress'] as string;
  const asked: string[] = [];
  const placeOf = (url: string) => {
    asked.push(url);
    return { url: there, credentials: undefined };
  };
  await around.reset({}, { ...withTls, placeOf });
  around.services = { svc: announced };
  expect((await around.peer.call({ path: '/device/name/d/both' })).status).toBe(200);
  expect(asked).toEqual(['https://svc:59999/some/prefix']);
  expect(around.seen).toHaveLength(1);
});
