import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadContract, openSuite, type Exchange } from '@antirio/edgex-contract';
import { silentLog, systemClock, systemRandom } from '@antirio/host';
import { uuidV4 } from '@antirio/kernel';
import { coreDataOptions, createCoreData, type CoreData } from './index.ts';

const newId = (): string => uuidV4(systemRandom);

let dataDir: string;
let room: CoreData;
const suite = openSuite({
  contract: loadContract('core-data'),
  url: () => `http://127.0.0.1:${room.port}`,
  unprovoked: [
    '/event/count/device/name/{name}',
    '/event/device/name/{name}',
    '/reading/count/device/name/{name}',
  ].map((path) => ({
    method: 'GET',
    path,
    status: 404,
    reason: 'EdgeX knows no devices here: it answers 200 with none',
  })),
});

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-core-data-contract-'));
  const options = coreDataOptions.parse({ dataDir, port: 0, maxResultCount: 50 });
  room = createCoreData(options, { clock: systemClock, random: systemRandom, log: silentLog });
  await room.start();
});
afterAll(async () => {
  await room.stop();
  rmSync(dataDir, { recursive: true });
});

const get = (path: string, status: number, more: Partial<Exchange> = {}) =>
  suite.exchange({ method: 'GET', path, expect: status, ...more });

const DEVICE = 'a device/with+signs';
const ORIGIN = 1_602_168_089_665_565;

const reading = (resourceName: string, valueType: string, fields: Record<string, unknown>) => ({
  origin: ORIGIN,
  deviceName: DEVICE,
  resourceName,
  profileName: 'p',
  valueType,
  ...fields,
});

const request = (id: string) => ({
  apiVersion: 'v3',
  requestId: newId(),
  event: {
    apiVersion: 'v3',
    id,
    deviceName: DEVICE,
    profileName: 'p',
    sourceName: 's',
    origin: ORIGIN,
    tags: { 'Gateway-id': 'HoustonStore-000123' },
    readings: [
      reading('number', 'Int16', { value: '7', units: 'C', tags: { a: 1 } }),
      reading('text', 'String', { value: 'seven' }),
      reading('bytes', 'Binary', { binaryValue: 'AQI=', mediaType: 'image/png' }),
    ],
  },
});

const POST = '/event/{serviceName}/{profileName}/{deviceName}/{sourceName}';
const address = { serviceName: 'svc', profileName: 'p', deviceName: DEVICE, sourceName: 's' };
const post = (id: string, status: number, more: Partial<Exchange> = {}) =>
  suite.exchange({ method: 'POST', path: POST, params: address, json: request(id), expect: status, ...more });

const kept = newId();

describe('events', () => {
  test('are added', async () => {
    expect((await post(kept, 201)).json).toMatchObject({ id: kept });
    await post(kept, 409);
    await post(newId(), 400, { params: { ...address, profileName: 'other' } });
    await post('no-uuid', 400);
  });

  test('are got by id', async () => {
    await get('/event/id/{id}', 200, { params: { id: kept } });
    await get('/event/id/{id}', 404, { params: { id: newId() } });
  });

  test('are counted', async () => {
    expect((await get('/event/count', 200)).json).toMatchObject({ count: 1 });
    const path = '/event/count/device/name/{name}';
    expect((await get(path, 200, { params: { name: DEVICE } })).json).toMatchObject({ count: 1 });
  });
});

/** Each list, with the parameters that find what there is. */
const LISTS: readonly (readonly [path: string, params: Record<string, string>])[] = [
  ['/event/all', {}],
  ['/event/device/name/{name}', { name: DEVICE }],
  ['/event/start/{start}/end/{end}', { start: '1', end: String(ORIGIN) }],
  ['/reading/all', {}],
  ['/reading/device/name/{name}', { name: DEVICE }],
  ['/reading/resourceName/{resourceName}', { resourceName: 'number' }],
  [
    '/reading/device/name/{deviceName}/resourceName/{resourceName}',
    { deviceName: DEVICE, resourceName: 'text' },
  ],
  ['/reading/start/{start}/end/{end}', { start: '1', end: String(ORIGIN) }],
  [
    '/reading/resourceName/{resourceName}/start/{start}/end/{end}',
    { resourceName: 'bytes', start: '1', end: String(ORIGIN) },
  ],
  [
    '/reading/device/name/{deviceName}/resourceName/{resourceName}/start/{start}/end/{end}',
    { deviceName: DEVICE, resourceName: 'number', start: '1', end: String(ORIGIN) },
  ],
  [
    '/reading/device/name/{deviceName}/start/{start}/end/{end}',
    { deviceName: DEVICE, start: '1', end: String(ORIGIN) },
  ],
];

describe.each(LISTS)('the list %s', (path, params) => {
  const documents = (status: number): boolean =>
    loadContract('core-data').operations.some(
      ({ method, path: known, statuses }) => method === 'GET' && known === path && statuses.includes(status),
    );

  test('is got', async () => {
    const { json } = await get(path, 200, { params });
    expect((json as { totalCount: number }).totalCount).toBeGreaterThan(0);
    for (const [key, value] of [
      ['limit', -1],
      ['offset', -1],
      ['limit', 0],
      ['offset', 1],
    ] as const)
      await get(path, 200, { params, query: { [key]: value } });
  });

  test('is refused', async () => {
    await get(path, 416, { params, query: { offset: 1000 } });
    if (documents(400)) await get(path, 400, { params, query: { limit: 51 } });
    if (documents(400) && 'start' in params) await get(path, 400, { params: { ...params, end: '0' } });
    if (documents(400) && path.startsWith('/reading'))
      await get(path, 400, { params, query: { aggregateFunc: 'MEDIAN' } });
  });
});

test('readings are counted', async () => {
  expect((await get('/reading/count', 200)).json).toMatchObject({ count: 3 });
  const path = '/reading/count/device/name/{name}';
  expect((await get(path, 200, { params: { name: DEVICE } })).json).toMatchObject({ count: 3 });
});

test('events are deleted', async () => {
  const remove = (path: string, params: Record<string, string>, status: number) =>
    suite.exchange({ method: 'DELETE', path, params, expect: status });
  await remove('/event/id/{id}', { id: kept }, 200);
  await remove('/event/id/{id}', { id: kept }, 404);
  await remove('/event/device/name/{name}', { name: DEVICE }, 202);
  await remove('/event/age/{age}', { age: '0' }, 202);
  await remove('/event/age/{age}', { age: 'old' }, 400);
});

const secretRequest = {
  apiVersion: 'v3',
  requestId: newId(),
  secretName: 'n',
  secretData: [{ key: 'k', value: 'v' }],
};

test('what all services answer', async () => {
  for (const path of ['/config', '/ping', '/version']) await get(path, 200);
  const secret = { method: 'POST', path: '/secret' } as const;
  await suite.exchange({ ...secret, json: secretRequest, expect: 201 });
  await suite.exchange({ ...secret, json: { apiVersion: 'v3' }, expect: 400 });
});

test('a store that fails is a 500', async () => {
  const known = newId();
  await post(known, 201);
  const store = new DatabaseSync(join(dataDir, 'core-data', 'events.db'));
  for (const table of ['single', 'event', 'reading', 'source', 'series', 'deletion'])
    store.exec(`DROP TABLE ${table}`);
  store.close();
  for (const [path, params] of LISTS) await get(path, 500, { params });
  for (const path of ['/event/count', '/reading/count']) await get(path, 500);
  for (const path of ['/event/count/device/name/{name}', '/reading/count/device/name/{name}'])
    await get(path, 500, { params: { name: DEVICE } });
  await get('/event/id/{id}', 500, { params: { id: known } });
  await post(newId(), 500);
  const remove = { method: 'DELETE', expect: 500 } as const;
  await suite.exchange({ ...remove, path: '/event/device/name/{name}', params: { name: DEVICE } });
  await suite.exchange({ ...remove, path: '/event/age/{age}', params: { age: '1' } });
  await suite.exchange({ ...remove, path: '/event/id/{id}', params: { id: known } });
  mkdirSync(join(dataDir, 'core-data', 'secrets.json.new'));
  await suite.exchange({ method: 'POST', path: '/secret', json: secretRequest, expect: 500 });
  await get('/ping', 200);
});

test('every documented answer was tried', () => {
  expect(suite.missing()).toEqual([]);
});
