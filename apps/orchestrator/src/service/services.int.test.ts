import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { callJson } from '@antirio/host';
import { openTestEdge, secretsInMemory, until, type TestEdge } from '../testing/edge.ts';
import { writeTinyService } from '../testing/tiny-service.ts';

const CUSTOMER = '12D3KooWCustomer';
const SECRETS = {
  keyVersion: 4,
  sessions: [{ devEui: '0011223344556677', devAddr: '26011f4a', nwkSKey: 'c0ffee11' }],
};

interface Seen {
  readonly observed: string;
  readonly detail: string;
  readonly desired: string;
  readonly imageId?: string;
  readonly instance?: { readonly state: string; readonly pid?: number };
  readonly serviceStatus?: { readonly state: string; readonly keyVersion?: number };
}

let edge: TestEdge;
let archive: string;
let imageId: string;
let count = 0;

beforeAll(async () => {
  edge = await openTestEdge();
  archive = join(edge.dir, 'service.tar');
  imageId = await writeTinyService(archive, 'one');
  edge.rooms.migration.answer = ({ method }) =>
    method === 'POST'
      ? { status: 202, json: {} }
      : { json: { state: 'DOWNLOADED', archive, configuration: { serviceName: 'x' }, progress: {} } };
  edge.rooms.coreData.answer = () => ({ status: 201, json: { apiVersion: 'v3', statusCode: 201 } });
  edge.rooms.coreMetadata.answer = ({ method }) =>
    method === 'POST' ? { status: 207, json: [{ statusCode: 201 }] } : { json: { apiVersion: 'v3' } };
  await edge.start({ serviceSilenceMs: 3000 });
});
afterAll(() => edge.close());

const unloaded = (): Promise<boolean> =>
  until('image unloaded', () =>
    readdirSync(join(edge.dir, 'orchestrator', 'runtime', 'images')).length === 0 ? true : undefined,
  );
const path = (id: string): string => `/orchestrator/v1/service/${id}`;
const get = async (id: string): Promise<Seen> => (await callJson(edge.http, { path: path(id) })) as Seen;
const put = (id: string, json: object): Promise<unknown> =>
  callJson(edge.http, { method: 'PUT', path: path(id), json });
const observed = (id: string, wanted: string): Promise<Seen> =>
  until(`${id} ${wanted}`, async () => {
    const seen = await get(id);
    return seen.observed === wanted ? seen : undefined;
  });

const wish = (standby: string, more: object = {}, service: object = {}): object => ({
  desired: 'standby',
  standby,
  imageCid: 'bafyimage',
  archive,
  service: {
    serviceName: 'device-lora',
    version: 'v1',
    devices: [{ name: 'mote-1', profileName: 'thermometer' }],
    secretsFile: '/etc/theirs',
    ring: 'own',
    configuration: { serviceName: 'x' },
    ...service,
  },
  ...more,
});

/** A contract whose image is fetched and loaded. */
async function contract(): Promise<string> {
  const contractId = `c-${process.pid}-${++count}`;
  const json = {
    contractId,
    edgeId: CUSTOMER,
    imageName: 'lora',
    imageHash: 'bafyimage',
    config: 'bafyconfig',
  };
  const contracts = '/orchestrator/service_provider/contract';
  await callJson(edge.http, { method: 'POST', path: contracts, json });
  await until('loaded', async () => {
    const all = (await callJson(edge.http, { path: contracts })) as { contractId: string; status: string }[];
    return all.find((one) => one.contractId === contractId)?.status === 'LOADED' ? true : undefined;
  });
  return contractId;
}

afterEach(async () => {
  const all = (await callJson(edge.http, { path: '/orchestrator/v1/service' })) as { contractId: string }[];
  for (const { contractId } of all) await callJson(edge.http, { method: 'DELETE', path: path(contractId) });
  await until('all removed', async () =>
    ((await callJson(edge.http, { path: '/orchestrator/v1/service' })) as unknown[]).length === 0
      ? true
      : undefined,
  );
});

function filesBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('a hot standby', () => {
  test('runs in shadow, is activated with secrets, reads, and stands down without them', async () => {
    const id = await contract();
    await put(id, wish('hot'));
    const standby = await observed(id, 'standby');
    expect(standby).toMatchObject({ imageId, serviceStatus: { state: 'shadow', version: 'v1' } });
    await put(id, wish('hot', { desired: 'active', secrets: SECRETS }));
    const active = await observed(id, 'active');
    expect(active.serviceStatus).toMatchObject({ state: 'reading', keyVersion: 4 });
    expect(active.instance?.pid).toBe(standby.instance?.pid);
    expect(JSON.stringify(active)).not.toContain('c0ffee11');
    await put(id, wish('hot'));
    const again = await observed(id, 'standby');
    expect(again.serviceStatus).toMatchObject({ state: 'shadow' });
  });

  test('secrets are on tmpfs only, for their service only, and gone when it stands down', async () => {
    const id = await contract();
    await put(id, wish('hot', { desired: 'active', secrets: SECRETS }));
    await observed(id, 'active');
    const secretsFile = secretsInMemory('c0ffee11');
    expect(secretsFile).toBeDefined();
    expect(statSync(secretsFile!).mode & 0o777).toBe(0o600);
    expect(filesBelow(edge.dir).filter((file) => readFileSync(file).includes('c0ffee11'))).toEqual([]);
    await put(id, wish('hot'));
    await observed(id, 'standby');
    expect(existsSync(secretsFile!)).toBe(false);
    await put(id, wish('hot', { desired: 'active' }));
    expect((await get(id)).observed).toBe('needsSecrets');
    await put(id, wish('hot', { desired: 'active', secrets: SECRETS }));
    await observed(id, 'active');
  });

  test('touches only its own names at core-data and core-metadata, digit for digit', async () => {
    const id = await contract();
    edge.rooms.coreData.calls.length = 0;
    edge.rooms.coreMetadata.calls.length = 0;
    await put(id, wish('hot', { desired: 'active', secrets: SECRETS }));
    await observed(id, 'active');
    const [event] = edge.rooms.coreData.calls;
    expect(event?.path).toBe(`/api/v3/event/${id}.device-lora/${id}.thermometer/${id}.mote-1/temperature`);
    expect(event?.text).toContain(`"deviceName":"${id}.mote-1"`);
    expect(event?.text).toContain('"origin":1700000000123456789');
    const posted = edge.rooms.coreMetadata.calls
      .filter(({ method }) => method === 'POST')
      .map(({ text }) => text);
    expect(JSON.parse(posted[0] ?? '')).toEqual([
      {
        apiVersion: 'v3',
        service: {
          name: `${id}.device-lora`,
          baseAddress: `http://127.0.0.1:${edge.orchestrator.port}/orchestrator/v1/foreign/${id}`,
        },
      },
    ]);
    expect(posted[1]).toContain(`"serviceName":"${id}.device-lora"`);
  });

  test('answers the commands of this edge under its names there', async () => {
    const id = await contract();
    await put(id, wish('hot'));
    await observed(id, 'standby');
    const foreign = `/orchestrator/v1/foreign/${id}/api/v3/device/name/${id}.mote-1/temperature?ds-pushevent=false`;
    const answer = await edge.http.call({ path: foreign });
    const text = Buffer.from(answer.body).toString();
    expect(JSON.parse(text)).toMatchObject({
      asked: 'GET /api/v3/device/name/mote-1/temperature?ds-pushevent=false',
      event: { deviceName: `${id}.mote-1`, readings: [{ profileName: `${id}.thermometer` }] },
    });
    expect(text).toContain('"origin":1700000000123456789');
    expect((await edge.http.call({ path: '/orchestrator/v1/foreign/nobody/api/v3/ping' })).status).toBe(503);
  });

  test('is started again when it dies, and goes on reading with the secrets that it was given', async () => {
    const id = await contract();
    await put(id, wish('hot', { desired: 'active', secrets: SECRETS }));
    const { instance } = await observed(id, 'active');
    process.kill(instance!.pid!, 'SIGKILL');
    const again = await until('another process', async () => {
      const seen = await get(id);
      return seen.observed === 'active' && seen.instance?.pid !== instance!.pid ? seen : undefined;
    });
    expect(again.serviceStatus).toMatchObject({ keyVersion: 4 });
  });

  test('is started again when it says nothing any more', async () => {
    const id = await contract();
    await put(id, wish('hot'));
    const { instance } = await observed(id, 'standby');
    process.kill(instance!.pid!, 'SIGSTOP');
    await until('another process', async () => {
      const seen = await get(id);
      return seen.observed === 'standby' && seen.instance?.pid !== instance!.pid ? true : undefined;
    });
  });

  test('of other settings takes the place of the one before', async () => {
    const id = await contract();
    await put(id, wish('hot'));
    await observed(id, 'standby');
    await put(id, wish('hot', {}, { version: 'v2' }));
    await until('version 2', async () => {
      const { serviceStatus } = await get(id);
      return JSON.stringify(serviceStatus ?? {}).includes('"v2"') ? true : undefined;
    });
  });
});

describe('a warm standby', () => {
  test('is frozen when it is ready, thawed on activation as the same process, and frozen again', async () => {
    const id = await contract();
    await put(id, wish('warm'));
    const frozen = await until('frozen', async () => {
      const seen = await get(id);
      return seen.instance?.state === 'frozen' ? seen : undefined;
    });
    expect(frozen.observed).toBe('standby');
    await put(id, wish('warm', { desired: 'active', secrets: SECRETS }));
    const active = await observed(id, 'active');
    expect(active.instance?.pid).toBe(frozen.instance?.pid);
    await put(id, wish('warm'));
    await until('frozen again', async () =>
      (await get(id)).instance?.state === 'frozen' ? true : undefined,
    );
  });
});

describe('a cold standby', () => {
  test('keeps the verified archive and nothing else, and becomes active from it', async () => {
    const id = await contract();
    await put(id, wish('cold'));
    const cold = await observed(id, 'standby');
    expect(cold.imageId).toBe(imageId);
    expect(cold.instance).toBe(undefined);
    await unloaded();
    await put(id, wish('cold', { desired: 'active', secrets: SECRETS }));
    await observed(id, 'active');
    await put(id, wish('cold'));
    await until('ended', async () => ((await get(id)).instance === undefined ? true : undefined));
  });
});

describe('only what was fetched runs', () => {
  test('another archive than migration fetched is refused', async () => {
    const id = await contract();
    const other = join(edge.dir, 'other.tar');
    await writeTinyService(other, 'two');
    await put(id, wish('hot', { archive: other }));
    const seen = await until('refused', async () => {
      const now = await get(id);
      return now.detail.includes('not one that migration fetched') ? now : undefined;
    });
    expect(seen.instance).toBe(undefined);
    await put(id, wish('hot', { imageCid: 'bafyother' }));
    await until('refused', async () =>
      (await get(id)).detail.includes('no contract here') ? true : undefined,
    );
    await put('c-unknown', wish('hot'));
    await until('refused', async () =>
      (await get('c-unknown')).detail.includes('no contract here') ? true : undefined,
    );
  });

  test('an archive whose bytes changed after it was verified is refused for good', async () => {
    const id = await contract();
    await put(id, wish('cold'));
    await observed(id, 'standby');
    await unloaded();
    await writeTinyService(archive, 'changed');
    await put(id, wish('hot'));
    expect((await observed(id, 'failed')).detail).toContain('another image');
    await writeTinyService(archive, 'one');
  });
});

describe('the resources', () => {
  test('refuse what is malformed, and other edges', async () => {
    const id = await contract();
    const status = async (json: object): Promise<number> =>
      (await edge.http.call({ method: 'PUT', path: path(id), json })).status;
    expect(await status({ desired: 'sideways' })).toBe(400);
    expect(await status(wish('tepid'))).toBe(400);
    expect(await status(wish('hot', { secrets: SECRETS }))).toBe(400);
    expect(await status(wish('hot', {}, { serviceName: 'a/+/b' }))).toBe(400);
    expect(await status(wish('hot', { colour: 'red' }))).toBe(400);
    expect((await edge.http.call({ path: path('a.b') })).status).toBe(400);
    expect((await edge.http.call({ path: path('nobody') })).status).toBe(404);
    expect((await edge.http.call({ method: 'DELETE', path: path('nobody') })).status).toBe(404);
    const headers = { 'x-antirio-peer': CUSTOMER };
    expect((await edge.http.call({ path: path(id), headers })).status).toBe(403);
    expect((await edge.http.call({ path: '/orchestrator/v1/foreign/x/y', headers })).status).toBe(403);
    await put('never-there', { desired: 'absent' });
    expect((await edge.http.call({ path: path('never-there') })).status).toBe(404);
  });

  test('tell of output and use, and leave nothing behind a removed service', async () => {
    const id = await contract();
    await put(id, wish('hot'));
    await observed(id, 'standby');
    expect(await callJson(edge.http, { path: `${path(id)}/stats` })).toHaveProperty('memoryBytes');
    expect((await edge.http.call({ path: `${path(id)}/logs` })).status).toBe(200);
    const ready = (await edge.http.call({ path: '/api/v3/ready' })).json();
    expect(ready).toMatchObject({ ready: true });
    const { coreMetadata } = edge.rooms;
    const before = coreMetadata.answer;
    const all = (...names: readonly string[]): object[] => names.map((name) => ({ name }));
    coreMetadata.answer = (call) => {
      const [list] = call.path.split('?');
      if (list === '/api/v3/deviceservice/all')
        return { json: { services: all('device-rest', `${id}.lora`) } };
      if (list === `/api/v3/device/service/name/${id}.lora`)
        return { json: { devices: all(`${id}.mote-1`, `${id}.mote 2`) } };
      if (list === '/api/v3/deviceprofile/all')
        return { json: { profiles: all('meter', `${id}.thermometer`) } };
      return before(call);
    };
    await callJson(edge.http, { method: 'DELETE', path: path(id) });
    await until('gone', async () =>
      (await edge.http.call({ path: path(id) })).status === 404 ? true : undefined,
    );
    coreMetadata.answer = before;
    const removed = coreMetadata.calls.filter(({ method }) => method === 'DELETE').map((call) => call.path);
    expect(removed).toEqual([
      `/api/v3/device/name/${id}.mote-1`,
      `/api/v3/device/name/${id}.mote%202`,
      `/api/v3/deviceprofile/name/${id}.thermometer`,
      `/api/v3/deviceservice/name/${id}.lora`,
    ]);
    expect(existsSync(join(edge.dir, 'orchestrator', 'services', id))).toBe(false);
    expect(readdirSync(join(edge.dir, 'orchestrator', 'runtime', 'instances'))).toEqual([]);
  });

  test('a service that always crashes is told as failed, and does not stop the room', async () => {
    const id = await contract();
    await put(id, wish('hot', {}, { crashAfterMs: 1 }));
    const failed = await observed(id, 'failed');
    expect(failed.detail).toContain('ended by itself');
    const { body } = await edge.http.call({ path: '/api/v3/ready' });
    expect(Buffer.from(body).toString()).toContain(`failed: ${id}`);
    await put(id, wish('hot'));
    await observed(id, 'standby');
  });
});
