import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { callJson } from '@antirio/host';
import { openTestEdge, until, type TestEdge } from '../testing/edge.ts';
import { writeTinyService } from '../testing/tiny-service.ts';

type Json = Record<string, unknown>;

interface Table {
  readonly number: string;
  readonly path: string;
  /** As the table's example has it. */
  readonly post?: Json;
  /** Values that the table lists for a key. */
  readonly values?: Readonly<Record<string, readonly string[]>>;
  /** Keys of its example by which the resource's GET shows it again. */
  readonly shown?: readonly string[];
}

/** Tables 4.1 to 4.5 of the thesis; what is not exact there is as the design says: `imageId`, whole days, 202 and the record. */
const TABLES: readonly Table[] = [
  {
    number: '4.1',
    path: '/orchestrator/service_customer/image/status',
    post: {
      imageId: '16935cab-2de3-4014-b0f7-3f15eca09bdc16935cab-2de3-4014-b0f7-3',
      imageHash: '7kg8sdf03jdfh9hfsf49h0sdf',
      status: 'STORED',
    },
    values: { status: ['STORED', 'COMMITTED'] },
    shown: ['imageId', 'imageHash', 'status'],
  },
  {
    number: '4.3',
    path: '/orchestrator/service_provider/contract',
    post: {
      edgeId: 'asdfasdfa',
      imageName: 'asdfadsfas',
      imageHash: 'adsfasfda',
      config: 'configFile.json',
    },
    shown: ['edgeId', 'imageName', 'imageHash', 'config'],
  },
  {
    number: '4.2',
    path: '/orchestrator/service_provider/image/status',
    // Of the contract of table 4.3, whose image is known by its hash until it is loaded
    post: { imageId: 'adsfasfda', status: 'DOWNLOADED' },
    values: { status: ['DOWNLOADED'] },
  },
  {
    number: '4.4',
    path: '/orchestrator/service_customer/contract/testing',
    post: { imageName: 'LoRa-device-service', fileName: 'LoRa-device-service.tar', duration: 7 },
    shown: ['imageName', 'fileName', 'duration'],
  },
];

let edge: TestEdge;

beforeAll(async () => {
  edge = await openTestEdge();
  edge.rooms.migration.answer = () => ({ status: 202, json: { state: 'FETCHING' } });
  await edge.start();
});
afterAll(() => edge.close());

const post = async (path: string, json: unknown): Promise<{ status: number; body: Json }> => {
  const answer = await edge.http.call({ method: 'POST', path, json });
  return { status: answer.status, body: answer.json() as Json };
};
const list = async (path: string): Promise<Json[]> => (await callJson(edge.http, { path })) as Json[];

describe.each(TABLES)('table $number', ({ path, post: example = {}, values = {}, shown = [] }) => {
  test('its example is taken with 202 and answered with the record, and its GET is an array that shows it', async () => {
    const { status, body } = await post(path, example);
    expect([status, body]).toMatchObject([202, Object.fromEntries(shown.map((key) => [key, example[key]]))]);
    const all = await list(path);
    expect(Array.isArray(all)).toBe(true);
    const wanted = Object.fromEntries(shown.map((key) => [key, example[key]]));
    expect(all).toContainEqual(expect.objectContaining(wanted));
  });

  test('without any one of its keys, with a wrong type, or with another key it is refused by name', async () => {
    for (const key of Object.keys(example)) {
      const { [key]: _, ...rest } = example;
      for (const wrong of [rest, { ...rest, [key]: {} }, { ...rest, [key]: '' }]) {
        const { status, body } = await post(path, wrong);
        expect([status, body['statusCode'], String(body['message'])]).toEqual([
          400,
          400,
          expect.stringContaining(key),
        ]);
      }
    }
    expect((await post(path, { ...example, another: 1 })).status).toBe(400);
    expect((await post(path, [])).status).toBe(400);
  });

  test('its values are the listed ones and no others', async () => {
    for (const [key, listed] of Object.entries(values)) {
      for (const value of listed) expect((await post(path, { ...example, [key]: value })).status).toBe(202);
      expect((await post(path, { ...example, [key]: 'ELSEWHERE' })).status).toBe(400);
    }
  });

  test('other methods are not allowed', async () => {
    for (const method of ['PUT', 'DELETE', 'PATCH'] as const)
      expect((await edge.http.call({ method, path })).status).toBe(405);
  });
});

test.each(['/orchestrator/service_customer/image/status', '/orchestrator/service_provider/image/status'])(
  'the other spelling `imageid` is taken at %s',
  async (path) => {
    const { imageId, ...rest } = TABLES.find((table) => table.path === path)?.post ?? {};
    expect((await post(path, { imageid: imageId, ...rest })).status).toBe(202);
  },
);

test('table 4.5: the health is one message with the version', async () => {
  const answer = await callJson(edge.http, { path: '/orchestrator/health' });
  expect(answer).toEqual({ 'Status Message': expect.stringMatching(/^orchestrator v\.\d+\.\d+\.\d+$/) });
});

test('algorithm 2: what each line needs is asked for, in their order', async () => {
  const archive = join(edge.dir, 'algorithm.tar');
  const imageId = await writeTinyService(archive, 'one');
  const { migration } = edge.rooms;
  const trace: string[] = [];
  const configuration = { serviceName: 'nodered-device-service', activationEvent: 'offline' };
  migration.answer = ({ method, path, text }) => {
    if (!`${path}${text}`.includes('algorithm-2')) return { status: 404, json: {} };
    if (method === 'POST') {
      const { imageCid, configCid } = JSON.parse(text) as Json;
      trace.push(`download ${String(imageCid)}`, `download ${String(configCid)}`);
      return { status: 202, json: {} };
    }
    return { json: { state: 'DOWNLOADED', archive, configuration } };
  };
  const contractId = 'algorithm-2';
  const json = { edgeId: 'EdgeX-64', imageName: 'nodered', imageHash: 'X_j', config: 'Y_j', contractId };
  await post('/orchestrator/service_provider/contract', json);
  const loaded = await until('loaded', async () =>
    (await list('/orchestrator/service_provider/contract')).find(
      (one) => one['contractId'] === contractId && one['status'] === 'LOADED',
    ),
  );
  // Lines 1 and 2, 3 to 6, 7
  expect(trace).toEqual(['download X_j', 'download Y_j']);
  expect(loaded).toMatchObject({ configuration, imageId, loadedLayers: 1 });
  const path = `/orchestrator/v1/service/${contractId}`;
  const wish = {
    standby: 'hot',
    imageCid: 'X_j',
    archive,
    service: { serviceName: 's', devices: [{ name: 'd', profileName: 'p' }] },
  };
  const reaches = (observed: string): Promise<Json> =>
    until(observed, async () => {
      const seen = (await callJson(edge.http, { path })) as Json;
      return seen['observed'] === observed ? seen : undefined;
    });
  // Line 8: the state is set, and the service waits idle for the event
  await callJson(edge.http, { method: 'PUT', path, json: { desired: 'standby', ...wish } });
  await reaches('standby');
  // Lines 11 and 12
  const secrets = { keyVersion: 1, sessions: [] };
  await callJson(edge.http, { method: 'PUT', path, json: { desired: 'active', ...wish, secrets } });
  await reaches('active');
});
