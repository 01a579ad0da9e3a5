import { expect, test } from '@jest/globals';
import { loadContract } from '@antirio/edgex-contract';
import { makeEnvelope } from '@antirio/edgex-contracts';
import { createHttpRim, httpPeer, silentLog, systemClock } from '@antirio/host';
import { AntirioError, commandValue, type Driver } from './index.ts';
import { profile, provision, testDriver, until, withSurroundings } from './surroundings.fixture.ts';

const around = withSurroundings(loadContract('core-metadata'));

test('a driver adds, changes and removes profiles', async () => {
  const service = await around.start(testDriver(), {}, { provision });
  await service.registered();
  const { sdk } = service;
  const [temperature] = profile.deviceResources ?? [];
  const small = { name: 'Small', deviceResources: temperature === undefined ? [] : [temperature] };
  expect(await sdk.addProfile(small)).toBe(around.metadata.entities.deviceprofile.get('Small')?.['id']);
  await expect(sdk.addProfile(small)).rejects.toMatchObject({ code: 'conflict' });
  await sdk.updateProfile({ ...profile, description: 'of a room' });
  expect(sdk.profile('Room')?.description).toBe('of a room');
  await expect(sdk.updateProfile({ ...small, name: 'None' })).rejects.toMatchObject({ code: 'notFound' });
  await sdk.removeProfile('Small');
  expect(around.metadata.entities.deviceprofile.has('Small')).toBe(false);
  await expect(sdk.removeProfile('Small')).rejects.toMatchObject({ code: 'notFound' });
});

test('a driver sees what its devices have', async () => {
  const service = await around.start(testDriver(), {}, { provision });
  await service.registered();
  const { sdk } = service;
  expect(sdk.profiles().map(({ name }) => name)).toEqual(['Room']);
  expect(sdk.deviceResource('r1', 'Setpoint')?.properties.valueType).toBe('Int16');
  expect(sdk.deviceCommand('r1', 'Climate')?.resourceOperations).toHaveLength(2);
  for (const [device, name] of [
    ['r1', 'None'],
    ['none', 'Climate'],
  ] as const)
    expect([sdk.deviceResource(device, name), sdk.deviceCommand(device, name)]).toEqual([
      undefined,
      undefined,
    ]);
});

test('a driver changes its provision watchers', async () => {
  const service = await around.start(testDriver(), {}, { provision });
  await service.registered();
  const { sdk } = service;
  await sdk.addProvisionWatcher({
    name: 'ofFloor',
    adminState: 'UNLOCKED',
    identifiers: { floor: '1' },
    discoveredDevice: { profileName: 'Room', adminState: 'UNLOCKED' },
  });
  await until(() => sdk.provisionWatcher('ofFloor') !== undefined);
  await sdk.updateProvisionWatcher({ name: 'ofFloor', identifiers: { floor: '2' } });
  expect(sdk.provisionWatcher('ofFloor')).toMatchObject({
    adminState: 'UNLOCKED',
    identifiers: { floor: '2' },
  });
  await expect(sdk.updateProvisionWatcher({ name: 'none' })).rejects.toMatchObject({ code: 'notFound' });
});

test('a driver tells of what is its own', async () => {
  const service = await around.start(testDriver(), {}, { provision });
  await service.registered();
  await service.sdk.publishSystemEvent('firmware', 'update', { version: '2' });
  await until(() => around.told.length === 1);
  const [heard] = around.told;
  expect(heard?.topic).toBe('edgex/system-events/device-room/firmware/update/device-room');
  expect(heard?.envelope.payload).toMatchObject({
    type: 'firmware',
    action: 'update',
    source: 'device-room',
    details: { version: '2' },
  });
});

test('a driver has sections of its own in the configuration', async () => {
  const custom = { Poller: { Interval: 5, Writable: { Retries: 3 } } };
  const service = await around.start(testDriver(), { custom, driver: { Port: '1' } }, { provision });
  const { sdk } = service;
  expect(sdk.customConfig('Poller')).toEqual(custom.Poller);
  expect(() => sdk.customConfig('None')).toThrow('None');
  expect(() => sdk.followConfig('None/Writable', () => undefined)).toThrow('None');
});

test('a driver is told what becomes of its configuration in core-keeper', async () => {
  let port = '2';
  const rim = createHttpRim({
    ...{ serviceKey: 'core-keeper', version: '0', log: silentLog, clock: systemClock },
    config: () => ({}),
    health: () => ({}),
  });
  rim.route('get', '/api/v3/kvs/key/:key', { summary: '' }, ({ params }) => {
    const { key } = params as { key: string };
    if (!key.endsWith('/Driver')) throw new AntirioError('notFound', 'no such key');
    return { response: [{ key: `${key}/Port`, value: port }] };
  });
  rim.route('post', '/api/v3/registry', { summary: '', status: 201 }, () => undefined);
  const keeper = httpPeer({ url: `http://127.0.0.1:${await rim.listen(0, '127.0.0.1')}` });
  const metadata = httpPeer({ url: around.metadata.url });
  const heard: unknown[] = [];
  const start: Driver['start'] = (sdk) => sdk.followConfig('Driver', (values) => void heard.push(values));
  const peers = { 'core-metadata': metadata, 'core-keeper': keeper };
  const service = await around.start(
    testDriver({ start }),
    { driver: { Port: '1', Baud: '9600' } },
    { provision, peers },
  );
  await until(() => heard.length === 1);
  port = '3';
  const key = 'edgex/v4/device-room/Driver/Port';
  await around.bus.publish(
    `edgex/configs/${key}`,
    makeEnvelope({ key, value: port }, { correlationID: 'c' }),
  );
  await until(() => heard.length === 2);
  expect(heard).toEqual([
    { Port: '2', Baud: '9600' },
    { Port: '3', Baud: '9600' },
  ]);
  await service.stop();
  for (const peer of [keeper, metadata]) peer.close();
  await rim.close();
});

test('without EnableAsyncReadings a driver sends nothing', async () => {
  const service = await around.start(testDriver(), { device: { enableAsyncReadings: false } }, { provision });
  await service.registered();
  const values = [commandValue('Setpoint', 'Int16', 1)];
  await expect(service.sdk.send({ deviceName: 'r1', values })).rejects.toMatchObject({ code: 'forbidden' });
});

test('a driver has secrets of the configuration', async () => {
  const secret = { SecretName: 'plc', SecretData: { password: 'p' } };
  const service = await around.start(testDriver(), { writable: { InsecureSecrets: { one: secret } } });
  expect(service.sdk.secret('plc')).toEqual({ password: 'p' });
  const changes: unknown[] = [];
  service.sdk.onSecretChange('plc', (data) => void changes.push(data));
  const stored = { secretName: 'plc', secretData: [{ key: 'password', value: 'q' }] };
  const json = { apiVersion: 'v3', requestId: 'e6e8a2f4-eb14-4649-9e2b-175247911369', ...stored };
  expect((await around.call(service, { method: 'POST', path: '/secret', json })).status).toBe(201);
  expect(changes).toEqual([{ password: 'q' }]);
});

test('a service on a socket says how it is reached', async () => {
  await expect(around.start(testDriver(), { socket: '/nowhere.sock' })).rejects.toMatchObject({
    code: 'badConfig',
    message: expect.stringContaining('baseAddress'),
  });
});
