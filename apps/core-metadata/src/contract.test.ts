import { beforeEach, describe, expect, test } from '@jest/globals';
import { loadContract, openSuite, type Exchange } from '@antirio/edgex-contract';
import { ANY, form, MANY, partRequest, SINGLE } from './contract.fixture.ts';
import {
  apiVersion,
  deviceRequest,
  Fixture,
  profile,
  profileRequest,
  properties,
  serviceRequest,
  watcherRequest,
  type Items,
} from './fixture.ts';

const at = new Fixture();
const suite = openSuite({
  contract: loadContract('core-metadata'),
  url: () => `http://127.0.0.1:${at.room.port}`,
  unprovoked: loadContract('core-metadata')
    .operations.filter(({ statuses }) => statuses.includes(207))
    .map(({ method, path }) => ({ method, path, status: 500, reason: 'each item has its 500 in the 207' })),
});

const NO_UUID = 'x';
const bypass = { bypassValidation: true };
const name = (of: string) => ({ name: of });

type Call = Omit<Exchange, 'expect'>;
const expecting = async (expect: number, call: Call): Promise<unknown> =>
  (await suite.exchange({ ...call, expect })).json;

/** Each item's status. */
const itemStatuses = async (call: Call): Promise<unknown> =>
  ((await expecting(207, call)) as Items)?.map(({ statusCode }) => statusCode);

/** A page, one that cannot be, and one beyond the end; of a list that has something. */
async function pages(path: string, field: string, params: Record<string, string> = {}): Promise<void> {
  const call = { method: 'GET', path, params } as const;
  const whole = (await expecting(200, { ...call, query: { offset: 0, limit: -1 } })) as Record<
    string,
    unknown
  >;
  expect((whole[field] as unknown[]).length).toBe(whole['totalCount']);
  expect(whole['totalCount']).toBeGreaterThan(0);
  await expecting(400, { ...call, query: { limit: -2 } });
  await expecting(400, { ...call, query: { limit: 1025 } });
  await expecting(400, { ...call, query: { offset: -1 } });
  await expecting(416, { ...call, query: { offset: 1000 } });
}

/** A list of nothing is 200 with an empty array, whatever the page. */
async function none(path: string, field: string, params: Record<string, string>): Promise<void> {
  const answer = await expecting(200, { method: 'GET', path, params, query: { offset: 7 } });
  expect(answer).toMatchObject({ totalCount: 0, [field]: [] });
}

beforeEach(async () => {
  await at.seed();
  await at.send('POST', '/provisionwatcher', [watcherRequest()]);
});

describe('devices', () => {
  test('are added and changed', async () => {
    const path = '/device';
    const json = [deviceRequest('e'), deviceRequest('d'), deviceRequest('f', { serviceName: 'none' })];
    expect(await itemStatuses({ method: 'POST', path, query: bypass, json })).toEqual([201, 409, 400]);
    await expecting(400, { method: 'POST', path, json: [deviceRequest('')] });
    const change = (fields: object): unknown => ({ apiVersion, device: fields });
    const changes = [
      change({ name: 'd', adminState: 'LOCKED' }),
      change({ name: 'none' }),
      change({ name: 'd', profileName: 'none' }),
      change({ name: 'd', autoEvents: [{ interval: '1s', sourceName: 'none' }] }),
    ];
    expect(await itemStatuses({ method: 'PATCH', path, query: bypass, json: changes })).toEqual([
      200, 404, 400, 400,
    ]);
    await expecting(400, { method: 'PATCH', path, json: [change({ name: 'd', adminState: 'SHUT' })] });
  });

  test('are listed', async () => {
    const device = {
      name: 'd',
      description: 'all that it may have',
      labels: ['l'],
      location: { lat: 45.45, long: 47.8 },
      parent: 'gateway',
      autoEvents: [
        {
          interval: '300ms',
          onChange: true,
          onChangeThreshold: 0.01,
          sourceName: 'humidity',
          retention: { maxCap: 1000, minCap: 500, duration: '2h45m' },
        },
      ],
      tags: { floor: 3 },
      properties: { calibrated: true },
    };
    const json = [{ apiVersion, device }];
    expect(await itemStatuses({ method: 'PATCH', path: '/device', query: bypass, json })).toEqual([200]);
    expect(
      await expecting(200, { method: 'GET', path: '/device/all', query: { labels: 'l' } }),
    ).toMatchObject({
      devices: [device],
    });
    await pages('/device/all', 'devices');
    await pages('/device/profile/name/{name}', 'devices', name('p'));
    await pages('/device/service/name/{name}', 'devices', name('svc'));
    await none('/device/profile/name/{name}', 'devices', name('none'));
    await none('/device/service/name/{name}', 'devices', name('none'));
  });

  test('are found', async () => {
    const found = await expecting(200, { method: 'GET', path: '/device/name/{name}', params: name('d') });
    const { id } = (found as { device: { id: string } }).device;
    await expecting(200, { method: 'GET', path: '/device/id/{id}', params: { id } });
    await expecting(404, {
      method: 'GET',
      path: '/device/id/{id}',
      params: { id: '00000000-0000-4000-8000-000000000000' },
    });
    await expecting(400, { method: 'GET', path: '/device/id/{id}', params: { id: NO_UUID } });
    await expecting(200, { method: 'GET', path: '/device/check/name/{name}', params: name('d') });
    for (const path of ['/device/name/{name}', '/device/check/name/{name}']) {
      await expecting(404, { method: 'GET', path, params: name('none') });
      await expecting(400, { method: 'GET', path, params: name(' ') });
    }
  });

  test('are deleted', async () => {
    await at.send('POST', '/device?bypassValidation=true', [deviceRequest('child', { parent: 'd' })]);
    const call = { method: 'DELETE', path: '/device/name/{name}' } as const;
    await expecting(409, { ...call, params: name('d') });
    await expecting(200, { ...call, params: name('child') });
    await expecting(404, { ...call, params: name('child') });
  });
});

describe('device services', () => {
  test('are added and changed', async () => {
    const path = '/deviceservice';
    expect(
      await itemStatuses({ method: 'POST', path, json: [serviceRequest('t'), serviceRequest()] }),
    ).toEqual([201, 409]);
    await expecting(400, { method: 'POST', path, json: [serviceRequest('u', { adminState: 'OFF' })] });
    const change = (fields: object): unknown => ({ apiVersion, service: fields });
    const json = [change({ name: 't', labels: [] }), change({ name: 'none' })];
    expect(await itemStatuses({ method: 'PATCH', path, json })).toEqual([200, 404]);
    await expecting(400, { method: 'PATCH', path, json: [change({ id: NO_UUID })] });
  });

  test('are listed, found and deleted', async () => {
    await pages('/deviceservice/all', 'services');
    const path = '/deviceservice/name/{name}';
    await expecting(200, { method: 'GET', path, params: name('svc') });
    await expecting(404, { method: 'GET', path, params: name('none') });
    await expecting(400, { method: 'GET', path, params: name(' ') });
    await expecting(409, { method: 'DELETE', path, params: name('svc') });
    await expecting(404, { method: 'DELETE', path, params: name('none') });
    await at.send('POST', '/deviceservice', [serviceRequest('t')]);
    await expecting(200, { method: 'DELETE', path, params: name('t') });
  });
});

describe('provision watchers', () => {
  test('are added and changed', async () => {
    const path = '/provisionwatcher';
    const strange = { discoveredDevice: { profileName: 'none', adminState: 'LOCKED' } };
    const json = [watcherRequest('v'), watcherRequest(), watcherRequest('x', strange)];
    expect(await itemStatuses({ method: 'POST', path, json })).toEqual([201, 409, 404]);
    await expecting(400, { method: 'POST', path, json: [watcherRequest('y', { identifiers: {} })] });
    const change = (fields: object): unknown => ({ apiVersion, provisionwatcher: fields });
    const changes = [
      change({ name: 'w', labels: ['l'] }),
      change({ name: 'none' }),
      change({ name: 'w', serviceName: 'none' }),
    ];
    expect(await itemStatuses({ method: 'PATCH', path, json: changes })).toEqual([200, 404, 404]);
    await expecting(400, { method: 'PATCH', path, json: [change({})] });
  });

  test('are listed, found and deleted', async () => {
    await pages('/provisionwatcher/all', 'provisionWatchers');
    await pages('/provisionwatcher/service/name/{name}', 'provisionWatchers', name('svc'));
    await pages('/provisionwatcher/profile/name/{name}', 'provisionWatchers', name('p'));
    await none('/provisionwatcher/profile/name/{name}', 'provisionWatchers', name('none'));
    const path = '/provisionwatcher/name/{name}';
    await expecting(200, { method: 'GET', path, params: name('w') });
    await expecting(400, { method: 'GET', path, params: name(' ') });
    await expecting(200, { method: 'DELETE', path, params: name('w') });
    await expecting(404, { method: 'DELETE', path, params: name('w') });
    await expecting(404, { method: 'GET', path, params: name('w') });
  });
});

describe('device profiles', () => {
  test('are added and replaced', async () => {
    const path = '/deviceprofile';
    expect(
      await itemStatuses({ method: 'POST', path, json: [profileRequest('q'), profileRequest()] }),
    ).toEqual([201, 409]);
    await expecting(400, { method: 'POST', path, json: [profileRequest('')] });
    const json = [profileRequest('q', { model: 'two' }), profileRequest('none')];
    expect(await itemStatuses({ method: 'PUT', path, json })).toEqual([200, 404]);
    await expecting(400, { method: 'PUT', path, json: [profileRequest('q', { id: NO_UUID })] });
  });

  test('come as files', async () => {
    const path = '/deviceprofile/uploadfile';
    await expecting(201, { method: 'POST', path, ...form(profile('q')) });
    await expecting(409, { method: 'POST', path, ...form(profile('q')) });
    await expecting(400, { method: 'POST', path, ...form('no profile') });
    await expecting(200, { method: 'PUT', path, ...form(profile('q', { model: 'two' })) });
    await expecting(400, { method: 'PUT', path, ...form([]) });
    const { id } = (await at.body('/deviceprofile/name/p'))['profile'] as { id: string };
    await expecting(409, { method: 'PUT', path, ...form(profile('q', { id })) });
  });

  test('are listed', async () => {
    await pages('/deviceprofile/all', 'profiles');
    await pages('/deviceprofile/basicinfo/all', 'profiles');
    await pages('/deviceprofile/manufacturer/{manufacturer}', 'profiles', { manufacturer: 'maker' });
    await pages('/deviceprofile/model/{model}', 'profiles', { model: 'one' });
    const both = '/deviceprofile/manufacturer/{manufacturer}/model/{model}';
    await pages(both, 'profiles', { manufacturer: 'maker', model: 'one' });
    await none(both, 'profiles', { manufacturer: 'maker', model: 'none' });
  });

  test('are found, also a resource alone', async () => {
    const path = '/deviceprofile/name/{name}';
    await expecting(200, { method: 'GET', path, params: name('p') });
    await expecting(404, { method: 'GET', path, params: name('none') });
    await expecting(400, { method: 'GET', path, params: name(' ') });
    const resource = {
      method: 'GET',
      path: '/deviceresource/profile/{profileName}/resource/{resourceName}',
    } as const;
    const params = { profileName: 'p', resourceName: 'humidity' };
    await expecting(200, { ...resource, params });
    await expecting(404, { ...resource, params: { ...params, resourceName: 'none' } });
    await expecting(404, { ...resource, params: { ...params, profileName: 'none' } });
    await expecting(400, { ...resource, params: { ...params, profileName: ' ' } });
  });

  test('change in their parts', async () => {
    const json = [
      { apiVersion, basicinfo: { name: 'p', model: 'two' } },
      { apiVersion, basicinfo: { name: 'none' } },
    ];
    expect(await itemStatuses({ method: 'PATCH', path: '/deviceprofile/basicinfo', json })).toEqual([
      200, 404,
    ]);
    await expecting(400, {
      method: 'PATCH',
      path: '/deviceprofile/basicinfo',
      json: [{ apiVersion, basicinfo: {} }],
    });

    const tags = { method: 'PATCH', path: '/deviceprofile/name/{name}/tags', params: name('p') } as const;
    await expecting(200, {
      ...tags,
      json: { apiVersion, deviceResources: [{ name: 'humidity', tags: { a: 1 } }] },
    });
    await expecting(400, { ...tags, json: { apiVersion, deviceResources: [{ name: 'humidity' }] } });
  });

  test.each([
    ['resource', 'resource', { name: 'more', properties }],
    [
      'deviceCommand',
      'deviceCommand',
      { name: 'more', readWrite: 'R', resourceOperations: [{ deviceResource: 'humidity' }] },
    ],
  ])('get and change a %s', async (kind, field, part) => {
    const path = `/deviceprofile/${kind}`;
    const to = (profileName: string, fields: object): unknown => partRequest(field, fields, profileName);
    expect(
      await itemStatuses({ method: 'POST', path, json: [to('p', part), to('p', part), to('none', part)] }),
    ).toEqual([201, 400, 404]);
    await expecting(400, { method: 'POST', path, json: [to('p', { name: 'x' })] });
    const hidden = { name: 'more', isHidden: true };
    const json = [to('p', hidden), to('p', { name: 'none' }), to('none', hidden)];
    expect(await itemStatuses({ method: 'PATCH', path, json })).toEqual([200, 404, 404]);
    await expecting(400, { method: 'PATCH', path, json: [to('p', { isHidden: 'yes' })] });
  });

  test('are deleted, whole or in part', async () => {
    const whole = { method: 'DELETE', path: '/deviceprofile/name/{name}' } as const;
    const resource = { ...whole, path: `${whole.path}/resource/{resourceName}` };
    const command = { ...whole, path: `${whole.path}/deviceCommand/{commandName}` };
    const ofDevice = { name: 'p', resourceName: 'humidity', commandName: 'both' };
    for (const call of [whole, resource, command]) await expecting(409, { ...call, params: ofDevice });
    await at.send('POST', '/deviceprofile', [profileRequest('q')]);
    const params = { ...ofDevice, name: 'q' };
    await expecting(400, { ...resource, params });
    await expecting(200, { ...command, params });
    await expecting(404, { ...command, params });
    await expecting(200, { ...resource, params });
    await expecting(404, { ...resource, params });
    await expecting(200, { ...whole, params });
    await expecting(404, { ...whole, params });
  });

  test('are locked by strict settings', async () => {
    await at.stop();
    await at.start({ strictProfileChanges: true, strictProfileDeletes: true });
    const of = {
      method: 'DELETE',
      params: { name: 'p', resourceName: 'humidity', commandName: 'both' },
    } as const;
    await expecting(423, { ...of, path: '/deviceprofile/name/{name}' });
    await expecting(423, { ...of, path: '/deviceprofile/name/{name}/resource/{resourceName}' });
    await expecting(423, { ...of, path: '/deviceprofile/name/{name}/deviceCommand/{commandName}' });
    await expecting(423, { method: 'PUT', path: '/deviceprofile', json: [profileRequest()] });
    await expecting(423, { method: 'PUT', path: '/deviceprofile/uploadfile', ...form(profile()) });
  });
});

test('what all services answer', async () => {
  for (const path of ['/config', '/ping', '/version', '/uom']) await expecting(200, { method: 'GET', path });
  const secret = { apiVersion, secretName: 'mqtt', secretData: [{ key: 'username', value: 'u' }] };
  await expecting(201, { method: 'POST', path: '/secret', json: secret });
  await expecting(400, { method: 'POST', path: '/secret', json: { ...secret, secretData: [] } });
});

describe('a store that fails', () => {
  const STORELESS = ['/config', '/ping', '/version', '/uom'];
  const asked = loadContract('core-metadata').operations.filter(
    ({ method, path }) => ['GET', 'DELETE'].includes(method) && !STORELESS.includes(path),
  );
  beforeEach(() => at.breakStore());

  test('is a 500 for all that reads or deletes, and the room is not ready', async () => {
    for (const { method, path } of asked) await expecting(500, { method, path, params: ANY });
    await expecting(200, { method: 'GET', path: '/ping' });
    expect((await at.get('/ready')).status).toBe(503);
  });

  test('is a 500 for what changes something', async () => {
    for (const call of SINGLE) await expecting(500, { ...call, params: ANY });
    const secret = { apiVersion, secretName: 'mqtt', secretData: [{ key: 'username', value: 'u' }] };
    await expecting(500, { method: 'POST', path: '/secret', json: secret });
  });

  test.each(MANY)('is a 500 in each item of %s %s', async (method, path, item) => {
    const statusesOf = await itemStatuses({ method, path, query: bypass, json: [item, item] });
    expect(statusesOf).toEqual([500, 500]);
  });
});

test('every documented answer was tried', () => {
  expect(suite.missing()).toEqual([]);
});
