import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { loadContract, openSuite, type Exchange } from '@antirio/edgex-contract';
import { base, openSurroundings, type Surroundings } from './surroundings.fixture.ts';

let around: Surroundings;
const suite = openSuite({
  contract: loadContract('core-command'),
  url: () => `http://127.0.0.1:${around.room.port}`,
});

beforeAll(async () => {
  around = await openSurroundings();
  await around.reset();
});
afterAll(async () => {
  await around.end();
  await around.close();
});

describe.each([
  {
    method: 'GET',
    path: '/device/name/{name}/{command}',
    params: { name: 'd', command: 'both' },
    expect: 200,
  },
  {
    method: 'PUT',
    path: '/device/name/{name}/{command}',
    params: { name: 'd', command: 'temperature' },
    json: { temperature: '21' },
    expect: 200,
  },
] as const)('$method of a command', (command: Exchange) => {
  beforeEach(() => {
    around.devices['locked'] = { ...around.devices['d'], name: 'locked', adminState: 'LOCKED' };
    around.devices['lost'] = { ...around.devices['d'], name: 'lost', serviceName: 'lost' };
    around.services['lost'] = { ...around.services['svc'], name: 'lost', baseAddress: 'http://127.0.0.1:1' };
  });
  const to = (name: string, status: number): Exchange => ({
    ...command,
    params: { ...command.params, name },
    expect: status,
  });

  test('is done', async () => {
    if (command.method === 'PUT')
      around.answer = { status: 200, type: 'application/json', body: JSON.stringify(base) };
    await suite.exchange(command);
  });
  test('of a device that nobody knows', () => suite.exchange(to('none', 404)));
  test('of a locked device', () => suite.exchange(to('locked', 423)));
  test('whose device service does not answer', () => suite.exchange(to('lost', 503)));
});

test('what cannot be a command', async () => {
  const path = '/device/name/{name}/{command}';
  const params = { name: 'd', command: 'both' };
  await suite.exchange({ method: 'GET', path, params, query: { 'ds-pushevent': 'yes' }, expect: 400 });
  await suite.exchange({ method: 'PUT', path, params, json: [1], expect: 400 });
  await suite.exchange({ method: 'PUT', path, params, body: '{"a":', expect: 400 });
});

test('the commands of a device', async () => {
  const path = '/device/name/{name}';
  await suite.exchange({ method: 'GET', path, params: { name: 'd' }, expect: 200 });
  await suite.exchange({ method: 'GET', path, params: { name: 'none' }, expect: 404 });
});

test('the commands of all devices', async () => {
  const path = '/device/all';
  await suite.exchange({ method: 'GET', path, query: { offset: 0, limit: -1 }, expect: 200 });
  await suite.exchange({ method: 'GET', path, query: { limit: 'many' }, expect: 400 });
  await suite.exchange({ method: 'GET', path, query: { offset: 100 }, expect: 416 });
});

test('what all services answer', async () => {
  for (const path of ['/config', '/ping', '/version'])
    await suite.exchange({ method: 'GET', path, expect: 200 });
  const secret = { apiVersion: 'v3', secretName: 'mqtt', secretData: [{ key: 'username', value: 'u' }] };
  await suite.exchange({ method: 'POST', path: '/secret', json: secret, expect: 201 });
  await suite.exchange({ method: 'POST', path: '/secret', json: { ...secret, secretData: [] }, expect: 400 });
});

test('a core-metadata that fails is a 500', async () => {
  const secret = { apiVersion: 'v3', secretName: 'mqtt', secretData: [{ key: 'username', value: 'u' }] };
  mkdirSync(join(around.dataDir, 'core-command', 'secrets.json.new'));
  await suite.exchange({ method: 'POST', path: '/secret', json: secret, expect: 500 });
  around.metadataFails = true;
  await suite.exchange({ method: 'GET', path: '/device/all', expect: 500 });
  // no test before this one has asked for it, so that nothing of it is remembered
  const params = { name: 'a/b', command: 'both' };
  await suite.exchange({ method: 'GET', path: '/device/name/{name}', params, expect: 500 });
  const command = { path: '/device/name/{name}/{command}', params, expect: 500 };
  await suite.exchange({ ...command, method: 'GET' });
  await suite.exchange({ ...command, method: 'PUT', json: { temperature: '21' } });
  await suite.exchange({ method: 'GET', path: '/ping', expect: 200 });
});

test('every documented answer was tried', () => {
  expect(suite.missing()).toEqual([]);
});
