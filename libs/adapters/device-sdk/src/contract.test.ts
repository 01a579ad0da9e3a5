import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadContract, openSuite, type Exchange, type Unprovoked } from '@antirio/edgex-contract';
import type { DeviceServiceRoom, DiscoveredDevice, NewProfile } from './index.ts';
import {
  openSurroundings,
  profile,
  room,
  SERVICE,
  testDriver,
  until,
  type Surroundings,
} from './surroundings.fixture.ts';

const COMMAND = '/device/name/{name}/{command}';
const nothingFails: Unprovoked[] = [
  ['POST', '/discovery'],
  ['DELETE', '/discovery'],
  ['DELETE', '/discovery/requestId/{requestId}'],
  ['POST', '/profilescan'],
  ['DELETE', '/profilescan/device/name/{name}'],
].map(([method, path]) => ({
  method: method as Unprovoked['method'],
  path: path ?? '',
  status: 500,
  reason: 'it begins or ends something in the background, and asks nothing that could fail',
}));

let around: Surroundings;
let able: DeviceServiceRoom;
let unable: DeviceServiceRoom;
let current: DeviceServiceRoom;
let found = Promise.withResolvers<readonly DiscoveredDevice[]>();
let scanned = Promise.withResolvers<NewProfile>();
const suite = openSuite({
  contract: loadContract('device-sdk'),
  url: () => `http://127.0.0.1:${current.port}`,
  unprovoked: nothingFails,
});

beforeAll(async () => {
  around = await openSurroundings(loadContract('core-metadata'));
  const devices = [
    room('r1'),
    room('broken'),
    room('locked', { adminState: 'LOCKED' }),
    room('down', { operatingState: 'DOWN' }),
  ];
  const provision = { profiles: [profile], devices };
  const plain = testDriver();
  const driver = testDriver({
    async read(device, requests, signal) {
      if (device.name === 'broken') throw new TypeError('wire cut');
      return plain.read(device, requests, signal);
    },
    async write(device) {
      if (device.name === 'broken') throw new TypeError('wire cut');
    },
    discover: () => found.promise,
    profileScan: async () => (await scanned.promise) as never,
  });
  able = await around.start(driver, { device: { discovery: { enabled: true } } }, { provision });
  unable = await around.start(testDriver(), { serviceName: 'device-plain' });
  await Promise.all([able.registered(), unable.registered()]);
  current = able;
});
afterAll(async () => around.close());

const lockService = async (adminState: 'LOCKED' | 'UNLOCKED'): Promise<void> => {
  const known = around.metadata.entities.deviceservice.get(SERVICE);
  await around.metadata.put('deviceservice', { ...known, name: SERVICE, adminState });
  await until(
    async () =>
      (await around.call(able, { path: '/device/name/r1/Climate' })).status ===
      (adminState === 'LOCKED' ? 423 : 200),
  );
};

describe('commands', () => {
  const get = (name: string, command: string, status: number): Exchange => ({
    method: 'GET',
    path: COMMAND,
    params: { name, command },
    expect: status,
  });
  test.each([
    get('r1', 'Temperature', 200),
    get('none', 'Temperature', 404),
    get('r1', 'none', 404),
    get('r1', 'Reset', 405),
    get('locked', 'Temperature', 423),
    get('down', 'Temperature', 423),
    get('broken', 'Temperature', 500),
  ])('GET $params.name $params.command is $expect', (exchange) => suite.exchange(exchange));

  test.each([
    { ...get('r1', 'Setpoint', 200), method: 'PUT' as const },
    { ...get('none', 'Setpoint', 404), method: 'PUT' as const },
    { ...get('r1', 'Temperature', 405), method: 'PUT' as const },
    { ...get('locked', 'Setpoint', 423), method: 'PUT' as const },
    { ...get('broken', 'Setpoint', 500), method: 'PUT' as const },
  ])('PUT $params.name $params.command is $expect', (exchange) =>
    suite.exchange({ ...exchange, json: { Setpoint: '21' } }),
  );

  test('of a locked service', async () => {
    await lockService('LOCKED');
    await suite.exchange(get('r1', 'Temperature', 423));
    await suite.exchange({ ...get('r1', 'Setpoint', 423), method: 'PUT', json: { Setpoint: '1' } });
    await lockService('UNLOCKED');
  });
});

describe('discovery', () => {
  const begin: Exchange = { method: 'POST', path: '/discovery', expect: 202 };
  const end: Exchange = { method: 'DELETE', path: '/discovery', expect: 200 };
  const endOne = (requestId: string, status: number): Exchange => ({
    method: 'DELETE',
    path: '/discovery/requestId/{requestId}',
    params: { requestId },
    expect: status,
  });
  const progress = (percent: number): boolean =>
    around.told.some(({ envelope }) => {
      const { action, details } = envelope.payload as { action: string; details: { progress: number } };
      return action === 'discovery' && details.progress === percent;
    });

  test('adds what a watcher takes, and can be ended', async () => {
    await around.metadata.put('provisionwatcher', {
      name: 'any-room',
      serviceName: SERVICE,
      identifiers: { floor: '[0-9]+' },
      blockingIdentifiers: { floor: ['13'] },
      adminState: 'UNLOCKED',
      discoveredDevice: { profileName: 'Room', adminState: 'UNLOCKED' },
    });
    await until(() => able.sdk.provisionWatchers().length === 1);
    const { json } = await suite.exchange(begin);
    const { requestId } = json as { requestId: string };
    await suite.exchange(endOne(randomUUID(), 404));
    found.resolve([
      { name: 'found', protocols: { room: { floor: 3 } } },
      { name: 'blocked', protocols: { room: { floor: 13 } } },
      { name: 'other', protocols: { room: { door: 3 } } },
    ]);
    await until(() => able.sdk.device('found') !== undefined && progress(100));
    expect(able.sdk.device('blocked') ?? able.sdk.device('other')).toBeUndefined();
    await suite.exchange(endOne(requestId, 200));
    found = Promise.withResolvers();
    await suite.exchange(begin);
    await suite.exchange(end);
    await until(() => progress(-1));
  });
  test('is not for a service that is locked', async () => {
    await lockService('LOCKED');
    await suite.exchange({ ...begin, expect: 423 });
    await lockService('UNLOCKED');
  });
  test('is not what every driver can do', async () => {
    current = unable;
    await suite.exchange({ ...begin, expect: 503 });
    await suite.exchange({ ...end, expect: 501 });
    await suite.exchange(endOne(randomUUID(), 501));
    current = able;
  });
});

describe('profile scan', () => {
  const begin = (deviceName: unknown, status: number, more: object = {}): Exchange => ({
    method: 'POST',
    path: '/profilescan',
    json: { apiVersion: 'v3', deviceName, ...more },
    expect: status,
  });
  const end = (name: string, status: number): Exchange => ({
    method: 'DELETE',
    path: '/profilescan/device/name/{name}',
    params: { name },
    expect: status,
  });
  const scans = (percent: number): number =>
    around.told.filter(({ envelope }) => {
      const { action, details } = envelope.payload as { action: string; details: { progress: number } };
      return action === 'profilescan' && details.progress === percent;
    }).length;

  test('gives a device the profile that its driver made', async () => {
    await suite.exchange(begin('r1', 202, { profileName: 'Scanned' }));
    await suite.exchange(begin('r1', 409));
    scanned.resolve({
      name: 'x',
      deviceResources: [{ name: 'Own', properties: { valueType: 'String', readWrite: 'R' } }],
    });
    await until(() => scans(100) === 1 && able.sdk.device('r1')?.profileName === 'Scanned');
    await suite.exchange(begin('broken', 409, { profileName: 'Scanned' }));
    await around.metadata.put('device', {
      ...around.metadata.entities.device.get('r1'),
      name: 'r1',
      profileName: 'Room',
    });
    await until(() => able.sdk.device('r1')?.profileName === 'Room');
  });
  test('can be ended', async () => {
    scanned = Promise.withResolvers();
    await suite.exchange(begin('r1', 202));
    await suite.exchange(end('r1', 200));
    await until(() => scans(-1) === 1);
    await suite.exchange(end('r1', 200));
    await suite.exchange(end('none', 404));
  });
  test('is refused', async () => {
    await suite.exchange(begin(5, 400));
    await suite.exchange(begin('none', 404));
    await lockService('LOCKED');
    await suite.exchange(begin('r1', 423));
    await suite.exchange(end('r1', 423));
    await lockService('UNLOCKED');
    current = unable;
    await suite.exchange(begin('r1', 501));
    await suite.exchange(end('r1', 501));
    current = able;
  });
});

test('what all services answer', async () => {
  for (const path of ['/config', '/ping', '/version'])
    await suite.exchange({ method: 'GET', path, expect: 200 });
  const secret = { apiVersion: 'v3', secretName: 'mqtt', secretData: [{ key: 'user', value: 'u' }] };
  const store: Exchange = { method: 'POST', path: '/secret', json: secret, expect: 201 };
  await suite.exchange(store);
  await suite.exchange({ ...store, json: { ...secret, secretData: [] }, expect: 400 });
  mkdirSync(join(around.dataDir, SERVICE, 'secrets.json.new'));
  await suite.exchange({ ...store, expect: 500 });
});

test('every documented answer was tried', () => {
  expect(suite.missing()).toEqual([]);
});
