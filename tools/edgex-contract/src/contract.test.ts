import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ContractBroken, loadContract, openSuite, type Exchange, type Suite } from './index.ts';

const SERVICES = ['core-data', 'core-metadata', 'core-command', 'core-keeper'] as const;
const contract = loadContract('core-keeper');
let server: Server;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let suite: Suite;

/** As core-keeper answers. */
const answering =
  (status: number, body: unknown, headers: Record<string, string> = {}) =>
  ({ headers: asked }: IncomingMessage, response: ServerResponse): void => {
    const correlation = String(asked['x-correlation-id']);
    const all = {
      'content-type': 'application/json; charset=utf-8',
      'x-correlation-id': correlation,
      ...headers,
    };
    response.writeHead(status, all).end(body === undefined ? undefined : JSON.stringify(body));
  };

const registration = {
  created: 1,
  modified: 2,
  serviceId: 's',
  status: 'UP',
  host: 'h',
  port: 1,
  healthCheck: { interval: '1s', path: '/', type: 'http' },
  lastConnected: 3,
};
const good = { apiVersion: 'v3', statusCode: 200, registration };
const byId: Exchange = {
  method: 'GET',
  path: '/registry/serviceId/{serviceId}',
  params: { serviceId: 'a/b' },
  expect: 200,
};

beforeAll(async () => {
  server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
beforeEach(() => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  suite = openSuite({ contract, url: () => url });
});

test('the documents of the four core services are read', () => {
  const counts = SERVICES.map((service) => loadContract(service).operations.length);
  expect(counts).toEqual([24, 46, 8, 11]);
  expect(contract.operations).toContainEqual({
    method: 'DELETE',
    path: '/kvs/key/{key}',
    statuses: [200, 404, 409, 500],
  });
});

test('every documented answer can be checked', () => {
  for (const service of SERVICES) {
    const checked = loadContract(service);
    for (const { method, path, statuses } of checked.operations)
      for (const status of statuses) expect(checked.answer(method, path, status).headers).toBeDefined();
  }
});

describe('an exchange', () => {
  test('sends what is asked, and takes an answer as documented', async () => {
    let url = '';
    answer = (request, response) => {
      url = request.url ?? '';
      answering(200, good)(request, response);
    };
    const { json, status } = await suite.exchange({ ...byId, query: { deregistered: true } });
    expect([url, status, json]).toEqual(['/api/v3/registry/serviceId/a%2Fb?deregistered=true', 200, good]);
  });

  test.each([
    ['another status than expected', answering(404, { apiVersion: 'v3', statusCode: 404 }), 'expected 200'],
    [
      'a field of another type',
      answering(200, { ...good, registration: { ...registration, port: '1' } }),
      'must be integer',
    ],
    [
      'a value that is none of those listed',
      answering(200, { ...good, registration: { ...registration, status: 'up' } }),
      'allowed values',
    ],
    ['a field that is not documented', answering(200, { ...good, more: 1 }), 'unevaluated'],
    ['no JSON', answering(200, undefined), 'no JSON'],
    [
      'another media type',
      answering(200, good, { 'content-type': 'text/plain' }),
      'text/plain is not documented',
    ],
    ['another correlation id', answering(200, good, { 'x-correlation-id': 'x' }), 'correlation'],
    ['another status in its body', answering(200, { ...good, statusCode: 201 }), 'statusCode 201'],
  ])('refuses %s', async (_what, given, why) => {
    answer = given;
    const broken = await suite.exchange(byId).catch((error: unknown) => error);
    expect(broken).toBeInstanceOf(ContractBroken);
    expect((broken as Error).message).toContain(why);
    expect(suite.missing()).toContain('GET /registry/serviceId/{serviceId} 200');
  });

  test('refuses a status that is not documented, also where the test expects it', async () => {
    answer = answering(409, { apiVersion: 'v3', statusCode: 409 });
    await expect(suite.exchange({ ...byId, expect: 409 })).rejects.toThrow('not documented');
    await expect(suite.exchange({ ...byId, method: 'PATCH', expect: 409 })).rejects.toThrow(
      'documents no PATCH',
    );
  });

  test('holds headers to the contract', async () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const other = openSuite({ contract: loadContract('core-command'), url: () => url });
    answer = answering(200, { apiVersion: 'v3', version: '4' });
    const version = { method: 'GET', path: '/version', expect: 200 } as const;
    await other.exchange(version);
    await expect(other.exchange({ ...version, headers: { 'x-correlation-id': 'no-uuid' } })).rejects.toThrow(
      'header x-correlation-id',
    );
  });

  test('takes what deviates as EdgeX itself does, with its reason', async () => {
    answer = answering(200, { apiVersion: 'v3', statusCode: 200, response: ['a/b'] });
    await suite.exchange({ method: 'GET', path: '/kvs/key/{key}', params: { key: 'a' }, expect: 200 });
    answer = answering(200, { apiVersion: 'v3', statusCode: 200, answer: ['a/b'] });
    await expect(
      suite.exchange({ method: 'GET', path: '/kvs/key/{key}', params: { key: 'a' }, expect: 200 }),
    ).rejects.toThrow(ContractBroken);
  });
});

test('what no exchange got is missing, but for what has a reason; a needless reason is missing too', async () => {
  answer = answering(200, good);
  const all = suite.missing();
  const documented = contract.operations.flatMap(({ statuses }) => statuses);
  const withoutStore = ['/config', '/ping', '/version'].map((path) => `GET ${path} 500`);
  expect(all).toHaveLength(documented.length - withoutStore.length);
  expect(all).toContain('GET /registry/all 500');
  expect(all).not.toEqual(expect.arrayContaining(withoutStore.slice(0, 1)));
  await suite.exchange(byId);
  expect(all.filter((key) => !suite.missing().includes(key))).toEqual([
    'GET /registry/serviceId/{serviceId} 200',
  ]);
  const path = '/registry/serviceId/{serviceId}';
  const excusing = openSuite({
    contract,
    url: () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    unprovoked: [
      { method: 'GET', path, status: 404, reason: 'for this test' },
      { method: 'GET', path, status: 200, reason: 'for this test' },
      { method: 'GET', path, status: 418, reason: 'for this test' },
    ],
  });
  await excusing.exchange(byId);
  const left = excusing.missing();
  expect(left).not.toContain(`GET ${path} 404`);
  expect(left).toContain(`GET ${path} 200 (needlessly excused)`);
  expect(left).toContain(`GET ${path} 418 (needlessly excused)`);
});
