import { hostname } from 'node:os';
import { describe, expect, test } from '@jest/globals';
import type { RimAccess } from '@antirio/host';
import { loadContract } from '@antirio/edgex-contract';
import { parseCbor } from '@antirio/edgex-contracts';
import { commandValue } from './index.ts';
import { profile, room, SERVICE, testDriver, until, withSurroundings } from './surroundings.fixture.ts';

const around = withSurroundings(loadContract('core-metadata'));

const provision = { profiles: [profile], devices: [room('r1'), room('r2')] };
const paths = (): string[] =>
  around.metadata.seen.map(({ method, url }) => `${method} ${url.replace('/api/v3', '')}`);

describe('the start', () => {
  test('registers service, profiles and devices in the order of EdgeX’s SDK', async () => {
    const driver = testDriver();
    const service = await around.start(driver, {}, { provision });
    await service.registered();
    expect(paths().slice(0, 8)).toEqual([
      'GET /ping',
      `GET /device/service/name/${SERVICE}?offset=0&limit=-1`,
      `GET /provisionwatcher/service/name/${SERVICE}?offset=0&limit=-1`,
      `GET /deviceservice/name/${SERVICE}`,
      'POST /deviceservice',
      'GET /deviceprofile/name/Room',
      'POST /deviceprofile',
      'POST /device',
    ]);
    expect(around.metadata.entities.deviceservice.get(SERVICE)).toMatchObject({
      baseAddress: `http://127.0.0.1:${service.port}`,
      adminState: 'UNLOCKED',
    });
    expect(driver.calls).toEqual(['start', 'added r1', 'added r2']);
    expect(service.sdk.devices().map(({ name }) => name)).toEqual(['r1', 'r2']);
  });

  test('says that core-command has to speak TLS, where those beyond this host have to', async () => {
    const access: RimAccess = {
      ...{ tls: () => ({}), clientCertificates: false, requireTokens: false },
      ...{ tokens: { scopesOf: () => undefined }, isOwnHost: () => true },
      ...{ credentialsFor: () => undefined, placeOf: (url) => ({ url, credentials: undefined }) },
    };
    const service = await around.start(testDriver(), { bind: '0.0.0.0' }, { access });
    await service.registered();
    expect(around.metadata.entities.deviceservice.get(SERVICE)).toMatchObject({
      baseAddress: `https://${hostname()}:${service.port}`,
    });
  });

  test('changes nothing of what is in core-metadata already, however often', async () => {
    await (await around.start(testDriver(), {}, { provision })).stop();
    const service = await around.start(testDriver(), {}, { provision });
    await service.registered();
    const { device, deviceservice } = around.metadata.entities;
    await around.metadata.put('device', { ...device.get('r1'), name: 'r1', labels: ['mine'] });
    await around.metadata.put('deviceservice', {
      ...deviceservice.get(SERVICE),
      name: SERVICE,
      adminState: 'LOCKED',
    });
    await service.stop();
    around.metadata.seen.length = 0;
    const again = await around.start(testDriver(), {}, { provision });
    await again.registered();
    expect(paths().filter((path) => !path.startsWith('GET'))).toEqual(['PATCH /deviceservice']);
    expect(around.metadata.entities.device.get('r1')).toMatchObject({ labels: ['mine'] });
    expect(around.metadata.entities.deviceservice.get(SERVICE)).toMatchObject({ adminState: 'LOCKED' });
  });

  test('waits for a core-metadata that is away, and says so', async () => {
    around.metadata.isDown = true;
    const service = await around.start(testDriver(), {}, { provision });
    const ready = await around.call(service, { path: '/ready' });
    expect(ready.status).toBe(503);
    expect((await around.call(service, { path: '/device/name/r1/Temperature' })).status).toBe(503);
    around.metadata.isDown = false;
    await service.registered();
    expect((await around.call(service, { path: '/ready' })).status).toBe(200);
    expect((await around.call(service, { path: '/device/name/r1/Temperature' })).status).toBe(200);
  });

  test('goes on where the driver did not start at first', async () => {
    let tries = 0;
    const driver = testDriver({
      start() {
        tries += 1;
        if (tries === 1) throw new TypeError('no bus cable');
      },
    });
    const service = await around.start(driver, {}, { provision });
    await service.registered();
    expect(tries).toBe(2);
  });

  test('is the same from pages of core-metadata', async () => {
    const many = Array.from({ length: 130 }, (_, index) => room(`m${index}`));
    const service = await around.start(testDriver(), {}, { provision: { ...provision, devices: many } });
    await service.registered();
    await service.stop();
    const driver = testDriver();
    const again = await around.start(driver);
    await again.registered();
    expect(again.sdk.devices()).toHaveLength(130);
    expect(driver.calls.filter((call) => call.startsWith('added'))).toHaveLength(130);
  });
});

describe('commands by HTTP', () => {
  test('read a resource, a device command, and all resources of a pattern', async () => {
    const service = await around.start(testDriver(), {}, { provision });
    await service.registered();
    const get = async (path: string): Promise<unknown> => (await around.call(service, { path })).json();
    expect(await get('/device/name/r1/Temperature')).toMatchObject({
      statusCode: 200,
      event: {
        deviceName: 'r1',
        profileName: 'Room',
        sourceName: 'Temperature',
        readings: [{ resourceName: 'Temperature', valueType: 'Float64', units: 'Celsius' }],
      },
    });
    expect(await get('/device/name/r1/Climate')).toMatchObject({
      event: { sourceName: 'Climate', readings: [{ resourceName: 'Temperature' }, { value: '20' }] },
    });
    expect(await get('/device/name/r1/Setp.*')).toMatchObject({
      event: { readings: [{ resourceName: 'Setpoint', value: '20' }] },
    });
    expect(await get('/device/name/r1/Setp.*?ds-regexcmd=false')).toMatchObject({ statusCode: 404 });
    expect(await get('/device/name/r1/Reset')).toMatchObject({ statusCode: 405 });
    expect(await get('/device/name/none/Reset')).toMatchObject({ statusCode: 404 });
  });

  test('answer with CBOR where a reading is binary', async () => {
    const service = await around.start(testDriver(), {}, { provision });
    await service.registered();
    const answer = await around.call(service, { path: '/device/name/r1/Picture' });
    expect(answer.headers['content-type']).toBe('application/cbor');
    expect(parseCbor(answer.body)).toMatchObject({
      event: { readings: [{ binaryValue: Uint8Array.of(1, 2, 3), mediaType: 'image/png' }] },
    });
  });

  test('push their event and keep it back as they are told', async () => {
    const driver = testDriver();
    const service = await around.start(driver, {}, { provision });
    await service.registered();
    const path = '/device/name/r1/Temperature?ds-pushevent=true&ds-returnevent=false&unit=K';
    const answer = await around.call(service, { path, headers: { 'x-correlation-id': 'mine' } });
    expect([answer.status, answer.body.length]).toEqual([200, 0]);
    await until(() => around.events.length === 1);
    expect(around.events[0]).toMatchObject({
      topic: `edgex/events/device/${SERVICE}/Room/r1/Temperature`,
      envelope: { correlationID: 'mine', payload: { event: { sourceName: 'Temperature' } } },
    });
  });

  test('give the driver the rest of the query', async () => {
    const attributes: unknown[] = [];
    const driver = testDriver({
      read: async (_device, requests) => {
        attributes.push(requests[0]?.attributes);
        return [commandValue('Temperature', 'Float64', 1)];
      },
    });
    const service = await around.start(driver, {}, { provision });
    await service.registered();
    await around.call(service, { path: '/device/name/r1/Temperature?b=2&a=1&ds-pushevent=false' });
    expect(attributes).toEqual([{ urlRawQuery: 'a=1&b=2' }]);
  });

  test('write, and publish what was written', async () => {
    const driver = testDriver();
    const service = await around.start(driver, {}, { provision });
    await service.registered();
    const put = (command: string, json: unknown) =>
      around.call(service, { method: 'PUT', path: `/device/name/r1/${command}`, json });
    expect((await put('Setpoint', { Setpoint: '23' })).status).toBe(200);
    expect(driver.written).toMatchObject([{ resourceName: 'Setpoint', valueType: 'Int16', value: 23 }]);
    await until(() => around.events.length === 1);
    expect((await put('Reset', { Reset: true })).status).toBe(200);
    expect((await put('Temperature', { Temperature: 1 })).status).toBe(405);
    expect((await put('Setpoint', { Setpoint: 'warm' })).status).toBe(400);
    expect((await put('Setpoint', [1])).status).toBe(400);
    expect(around.events).toHaveLength(1);
  });
});

describe('commands by the bus', () => {
  test('are answered as those by HTTP', async () => {
    const driver = testDriver();
    const service = await around.start(driver, {}, { provision });
    await service.registered();
    const read = await around.command('r1', 'Temperature', 'get');
    expect(read).toMatchObject({
      errorCode: 0,
      payload: { statusCode: 200, requestId: read.requestID, event: { sourceName: 'Temperature' } },
    });
    expect(await around.command('r1', 'Setpoint', 'set', { Setpoint: '24' })).toMatchObject({ errorCode: 0 });
    expect(driver.written).toMatchObject([{ value: 24 }]);
    expect(await around.command('none', 'Setpoint', 'get')).toMatchObject({
      errorCode: 1,
      payload: 'device none not found',
    });
    expect(await around.command('r1', 'Setpoint', 'set', [1])).toMatchObject({ errorCode: 1 });
    const none = await around.command('r1', 'Temperature', 'get', null, { 'ds-returnevent': 'false' });
    expect(none).toMatchObject({ errorCode: 0, payload: null });
    const picture = await around.command('r1', 'Picture', 'get');
    expect(picture).toMatchObject({
      contentType: 'application/cbor',
      payload: { event: { readings: [{ binaryValue: Uint8Array.of(1, 2, 3) }] } },
    });
  });
});
