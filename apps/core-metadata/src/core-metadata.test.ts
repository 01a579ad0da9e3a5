import { describe, expect, test } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { parseEnvelope } from '@antirio/edgex-contracts';
import {
  apiVersion,
  deviceRequest,
  Fixture,
  names,
  profileRequest,
  serviceRequest,
  statuses,
  watcherRequest,
  type Json,
} from './fixture.ts';

const at = new Fixture();

async function firstStart(): Promise<void> {
  expect(await at.body('/device/service/name/svc?limit=-1&offset=0')).toEqual({
    apiVersion,
    statusCode: 200,
    totalCount: 0,
    devices: [],
  });
  expect((await at.get('/deviceservice/name/svc')).status).toBe(404);
  expect(await at.send('POST', '/deviceservice', [serviceRequest()])).toEqual([
    { apiVersion, statusCode: 201, id: expect.any(String) },
  ]);
  expect((await at.get('/deviceprofile/name/p')).status).toBe(404);
  expect(statuses(await at.send('POST', '/deviceprofile', [profileRequest()]))).toEqual([201]);
  expect(await at.send('PUT', '/deviceprofile', null)).toBeNull();
  expect(statuses(await at.send('POST', '/device', [deviceRequest()]))).toEqual([201]);
  expect(await at.send('PATCH', '/device', null)).toBeNull();
}

async function laterStart(): Promise<void> {
  expect(names(await at.body('/device/service/name/svc?limit=-1&offset=0'), 'devices')).toEqual(['d']);
  expect((await at.get('/deviceservice/name/svc')).status).toBe(200);
  expect(statuses(await at.send('PATCH', '/deviceservice', [serviceRequest()]))).toEqual([200]);
  expect((await at.get('/deviceprofile/name/p')).status).toBe(200);
  expect(await at.send('POST', '/deviceprofile', null)).toBeNull();
  expect(await at.send('POST', '/device', [])).toBeNull();
}

test('a device service starts as EdgeX device services do, and starts again', async () => {
  for (const act of [firstStart, laterStart]) {
    expect((await at.get('/ping')).status).toBe(200);
    await act();
    expect((await at.body('/provisionwatcher/service/name/svc?limit=-1&offset=0'))['totalCount']).toBe(0);
    await at.stop();
    await at.start();
  }
});

test('the correlation id comes back, on errors too', async () => {
  for (const path of ['/device/all', '/device/name/none']) {
    const answer = await at.peer.call({ path, headers: { 'x-correlation-id': 'abc' } });
    expect(answer.headers['x-correlation-id']).toBe('abc');
  }
});

describe('device services', () => {
  test('each item of a request has its own outcome', async () => {
    const requestId = 'e6e8a2f4-eb14-4649-9e2b-175247911369';
    const items = await at.send('POST', '/deviceservice', [
      serviceRequest('a'),
      { ...(serviceRequest('a') as Json), requestId },
    ]);
    expect(items).toEqual([
      { apiVersion, statusCode: 201, id: expect.any(String) },
      { apiVersion, statusCode: 409, requestId, message: expect.stringContaining('exists') },
    ]);
    const changes = [
      { apiVersion, service: { name: 'a', adminState: 'LOCKED' } },
      { apiVersion, service: { name: 'none' } },
      { apiVersion, service: { id: items?.[0]?.id, name: 'other' } },
    ];
    expect(statuses(await at.send('PATCH', '/deviceservice', changes))).toEqual([200, 404, 400]);
    expect((await at.body('/deviceservice/name/a'))['service']).toMatchObject({
      adminState: 'LOCKED',
      baseAddress: 'http://localhost:59999/prefix',
      created: expect.any(Number),
    });
    expect(names(await at.body('/deviceservice/all?labels=lora'), 'services')).toEqual(['a']);
    expect(names(await at.body('/deviceservice/all?labels=lora,none'), 'services')).toEqual([]);
  });

  test('one that something refers to is not deleted', async () => {
    await at.seed();
    await at.send('POST', '/provisionwatcher', [watcherRequest()]);
    expect(await at.remove('/deviceservice/name/svc')).toBe(409);
    expect(await at.remove('/deviceprofile/name/p')).toBe(409);
    expect(await at.remove('/device/name/d')).toBe(200);
    expect(await at.remove('/deviceservice/name/svc')).toBe(409);
    expect(await at.remove('/provisionwatcher/name/w')).toBe(200);
    expect(await at.remove('/deviceservice/name/svc')).toBe(200);
    expect(await at.remove('/deviceprofile/name/p')).toBe(200);
    expect(await at.remove('/deviceservice/name/svc')).toBe(404);
  });

  test.each([
    ['without a base address', { name: 's', adminState: 'UNLOCKED' }],
    ['with a base address that is no URI', { name: 's', adminState: 'UNLOCKED', baseAddress: 'x' }],
    ['with an unknown state', { name: 's', adminState: 'OPEN', baseAddress: 'http://x' }],
    ['with a blank name', { name: ' ', adminState: 'UNLOCKED', baseAddress: 'http://x' }],
  ])('a service %s is refused with the whole request', async (_what, service) => {
    const answer = await at.peer.call({
      method: 'POST',
      path: '/deviceservice',
      json: [{ apiVersion, service }],
    });
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({ apiVersion, statusCode: 400 });
  });
});

test('everyone is told of every change', async () => {
  const told: { topic: string; details: unknown }[] = [];
  await at.bus.subscribe('edgex/system-events/#', (topic, bytes) => {
    const { payload, contentType } = parseEnvelope(bytes);
    const { details, type, action, owner, ...rest } = payload as Json;
    told.push({ topic: topic.replace('edgex/system-events/core-metadata/', ''), details });
    expect(topic).toContain(`core-metadata/${String(type)}/${String(action)}/${String(owner)}`);
    expect(rest).toEqual({ apiVersion, source: 'core-metadata', timestamp: expect.anything() });
    expect(contentType).toBe('application/json');
  });
  await at.seed();
  await at.send('POST', '/provisionwatcher', [watcherRequest()]);
  await at.send('PATCH', '/provisionwatcher', [
    { apiVersion, provisionwatcher: { name: 'w', adminState: 'LOCKED' } },
  ]);
  await at.send('PATCH', '/device?bypassValidation=true', [
    { apiVersion, device: { name: 'd', labels: ['l'] } },
  ]);
  await at.send('PUT', '/deviceprofile', [profileRequest()]);
  await at.send('POST', '/deviceservice', [serviceRequest('other')]);
  await at.send('PATCH', '/deviceservice', [{ apiVersion, service: { name: 'other', labels: [] } }]);
  const move = { apiVersion, device: { name: 'd', serviceName: 'other' } };
  await at.send('PATCH', '/device?bypassValidation=true', [move]);
  for (const path of [
    'device/name/d',
    'provisionwatcher/name/w',
    'deviceprofile/name/p',
    'deviceservice/name/svc',
  ])
    expect(await at.remove(`/${path}`)).toBe(200);
  while (told.length < 16) await delay(5);
  expect(told.map(({ topic }) => topic)).toEqual([
    'deviceservice/add/svc',
    'deviceprofile/add/core-metadata/p',
    'device/add/svc/p',
    'provisionwatcher/add/svc/p',
    'provisionwatcher/update/svc/p',
    'device/update/svc/p',
    'deviceprofile/update/core-metadata/p',
    'deviceprofile/update/svc/p',
    'deviceservice/add/other',
    'deviceservice/update/other',
    'device/update/other/p',
    'device/update/svc/p',
    'device/delete/other/p',
    'provisionwatcher/delete/svc/p',
    'deviceprofile/delete/core-metadata/p',
    'deviceservice/delete/svc',
  ]);
  expect(told[5]?.details).toMatchObject({ name: 'd', labels: ['l'] });
});

test.each([['POST'], ['PATCH']] as const)('bodies that are no requests are refused: %s', async (method) => {
  for (const path of ['/device', '/deviceservice', '/provisionwatcher'])
    for (const json of [{}, 5, 'x', [{}], [null], [{ apiVersion, device: 5 }]])
      expect((await at.peer.call({ method, path, json })).status).toBe(400);
  expect((await at.peer.call({ method, path: '/device' })).status).toBe(400);
});

test('a limit of -1 is the configured maximum, and more than that is refused', async () => {
  await at.stop();
  await at.start({ maxResultCount: 2 });
  await at.send(
    'POST',
    '/deviceservice',
    ['a', 'b', 'c'].map((name) => serviceRequest(name)),
  );
  const list = (query: string): Promise<Json> => at.body(`/deviceservice/all?${query}`);
  expect(await list('limit=-1')).toMatchObject({ totalCount: 3, services: [{ name: 'a' }, { name: 'b' }] });
  expect(names(await list('limit=-1&offset=2'), 'services')).toEqual(['c']);
  expect(names(await list('offset=3'), 'services')).toEqual([]);
  expect(names(await list('limit=0&offset=9'), 'services')).toEqual([]);
  expect(names(await list(''), 'services')).toEqual(['a', 'b']);
  expect(await list('limit=3')).toMatchObject({
    statusCode: 400,
    message: expect.stringContaining('out of'),
  });
  expect(await list('offset=4')).toMatchObject({
    statusCode: 416,
    message: 'query objects bounds out of range. length:3 offset:4',
  });
});

test('health tells the truth about the store and the bus', async () => {
  expect((await at.get('/ready')).status).toBe(200);
  await at.bus.close();
  expect((await at.get('/ready')).status).toBe(503);
});
