import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadContract, openSuite, type Exchange } from '@antirio/edgex-contract';
import { silentLog, systemClock, systemRandom } from '@antirio/host';
import { coreKeeperOptions, createCoreKeeper, type CoreKeeper } from './index.ts';

let dataDir: string;
let room: CoreKeeper;
const suite = openSuite({
  contract: loadContract('core-keeper'),
  url: () => `http://127.0.0.1:${room.port}`,
});

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-core-keeper-'));
  const options = coreKeeperOptions.parse({ dataDir, port: 0 });
  room = createCoreKeeper(options, { clock: systemClock, random: systemRandom, log: silentLog });
  await room.start();
});
afterAll(async () => {
  await room.stop();
  rmSync(dataDir, { recursive: true });
});

describe('keys', () => {
  const path = '/kvs/key/{key}';
  const at = (method: Exchange['method'], key: string, status: number, more: Partial<Exchange> = {}) =>
    suite.exchange({ method, path, params: { key }, expect: status, ...more });

  test('are put', async () => {
    await at('PUT', 'edgex/v4/core-data/MaxEventSize', 200, { json: { value: '25000' } });
    await at('PUT', 'edgex/v4/core-data', 200, {
      query: { flatten: true },
      json: { value: { Writable: { PersistData: true, LogLevel: 'INFO' } } },
    });
    await at('PUT', 'a b#c', 400, { json: { value: '1' } });
    await at('PUT', 'edgex', 400, { json: {} });
  });

  test('are got', async () => {
    const { json } = await at('GET', 'edgex/v4/core-data', 200, { query: { plaintext: true } });
    expect(json).toMatchObject({
      response: [
        { key: 'edgex/v4/core-data/MaxEventSize', value: '25000' },
        { key: 'edgex/v4/core-data/Writable/LogLevel', value: 'INFO' },
        { key: 'edgex/v4/core-data/Writable/PersistData', value: 'true' },
      ],
    });
    await at('GET', 'edgex/v4/core-data', 200, { query: { keyOnly: true } });
    await at('GET', 'edgex/v4/core-data', 400, { query: { keyOnly: 'perhaps' } });
    await at('GET', 'edgex/v4/none', 404);
  });

  test('are deleted', async () => {
    await at('DELETE', 'edgex/v4/core-data/Writable', 409);
    await at('DELETE', 'edgex/v4/core-data/MaxEventSize', 200);
    await at('DELETE', 'edgex/v4/core-data/MaxEventSize', 404);
  });
});

const registrationOf = (serviceId: string): Record<string, unknown> => ({
  serviceId,
  host: '127.0.0.1',
  port: 59999,
  healthCheck: { interval: '1h', path: '/api/v3/ping', type: 'http' },
});

test('registrations', async () => {
  const registration = registrationOf('svc');
  const json = { apiVersion: 'v3', registration };
  const path = '/registry';
  await suite.exchange({ method: 'POST', path, json, expect: 201 });
  await suite.exchange({ method: 'POST', path, json, expect: 409 });
  await suite.exchange({ method: 'POST', path, json: { apiVersion: 'v3' }, expect: 400 });
  await suite.exchange({ method: 'PUT', path, json, expect: 204 });
  await suite.exchange({ method: 'PUT', path, json: { ...json, apiVersion: '' }, expect: 400 });
  const unknown = { ...json, registration: { ...registration, serviceId: 'none' } };
  await suite.exchange({ method: 'PUT', path, json: unknown, expect: 404 });
  await suite.exchange({ method: 'GET', path: '/registry/all', expect: 200 });
  const one = '/registry/serviceId/{serviceId}';
  const params = { serviceId: 'svc' };
  await suite.exchange({ method: 'GET', path: one, params, expect: 200 });
  await suite.exchange({ method: 'DELETE', path: one, params, expect: 204 });
  await suite.exchange({ method: 'DELETE', path: one, params, expect: 404 });
  await suite.exchange({ method: 'GET', path: one, params, expect: 404 });
});

test('what all services answer', async () => {
  for (const path of ['/config', '/ping', '/version'])
    await suite.exchange({ method: 'GET', path, expect: 200 });
});

test('a store that fails is a 500', async () => {
  const store = new DatabaseSync(join(dataDir, 'core-keeper', 'keeper.db'));
  store.exec('DROP TABLE kv; DROP TABLE registration');
  store.close();
  const key = { path: '/kvs/key/{key}', params: { key: 'k' }, expect: 500 } as const;
  await suite.exchange({ ...key, method: 'GET' });
  await suite.exchange({ ...key, method: 'PUT', json: { value: '1' } });
  await suite.exchange({ ...key, method: 'DELETE' });
  const json = { apiVersion: 'v3', registration: registrationOf('other') };
  for (const method of ['POST', 'PUT'] as const)
    await suite.exchange({ method, path: '/registry', json, expect: 500 });
  const one = { path: '/registry/serviceId/{serviceId}', params: { serviceId: 'svc' }, expect: 500 };
  for (const method of ['GET', 'DELETE'] as const) await suite.exchange({ ...one, method });
  await suite.exchange({ method: 'GET', path: '/registry/all', expect: 500 });
  await suite.exchange({ method: 'GET', path: '/ping', expect: 200 });
});

test('every documented answer was tried', () => {
  expect(suite.missing()).toEqual([]);
});
