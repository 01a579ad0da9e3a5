import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { callJson, httpPeer, type HttpCall, type HttpPeer } from '@antirio/host';
import { openTestEdge, secretsInMemory, until, type TestEdge } from '../testing/edge.ts';
import type { Answer, StubCall } from '../testing/stub-rooms.ts';
import { writeTinyService } from '../testing/tiny-service.ts';

const CUSTOMER = '/orchestrator/service_customer/contract/testing';
const IMAGES = '/orchestrator/service_customer/image/status';
const PROVIDER = '/orchestrator/service_provider/contract';
const FOREIGN_IMAGES = '/orchestrator/service_provider/image/status';
const ORDER = { imageName: 'LoRa-device-service', fileName: 'LoRa-device-service.tar', duration: 7 };
const THEIRS = {
  edgeId: '12D3KooWCustomer',
  imageName: 'lora',
  imageHash: 'bafyimage',
  config: 'bafyconfig',
};

interface CustomerRecord {
  readonly id: string;
  readonly state: string;
  readonly status?: string;
  readonly imageHash?: string;
  readonly contractId?: string;
  readonly error?: string;
  readonly attempts: number;
  readonly progress: Readonly<Record<string, string>>;
}
interface ProviderRecord {
  readonly contractId: string;
  readonly status: string;
  readonly imageId?: string;
  readonly error?: string;
}

let edge: TestEdge;
beforeEach(async () => {
  edge = await openTestEdge();
});
afterEach(() => edge.close());

const post = (path: string, json: object, headers: Record<string, string> = {}): Promise<unknown> =>
  callJson(edge.http, { method: 'POST', path, json, headers });
const statusOf = async (call: HttpCall): Promise<number> => (await edge.http.call(call)).status;
const list = async <T>(path: string, http: HttpPeer = edge.http): Promise<T[]> =>
  (await callJson(http, { path })) as T[];
const inState = (state: string, http?: () => HttpPeer): Promise<CustomerRecord> =>
  until(state, async () =>
    (await list<CustomerRecord>(CUSTOMER, http?.() ?? edge.http)).find((record) => record.state === state),
  );
const body = (call: StubCall): Record<string, unknown> => JSON.parse(call.text) as Record<string, unknown>;

/** Migration, DMU and arbitrator, as far as the test lets them go. */
interface Progress {
  stored: boolean;
  contract: string | undefined;
  contractState: string;
}

function play(progress: Progress): void {
  const { migration, dmu, arbitrator } = edge.rooms;
  migration.answer = (call): Answer => {
    const { imageId } = body(call);
    return progress.stored
      ? { json: { imageId, imageCid: 'bafyimage', configCid: 'bafyconfig', status: 'STORED' } }
      : { status: 202, json: { imageId, status: 'WAITING' } };
  };
  dmu.answer = ({ method }) =>
    method === 'POST'
      ? { status: 202, json: { demandId: 'demand-1', state: 'ORDERED' } }
      : { json: { state: 'NEGOTIATING', contractId: progress.contract } };
  arbitrator.answer = () => ({ json: { state: progress.contractState } });
}

describe('a contract as the customer', () => {
  test('goes from a file to its end, each step told', async () => {
    await edge.start();
    const progress: Progress = { stored: false, contract: undefined, contractState: 'arming' };
    play(progress);
    const accepted = (await post(CUSTOMER, ORDER)) as CustomerRecord;
    expect(accepted).toMatchObject({ ...ORDER, state: 'ACCEPTED' });
    await inState('STORING');
    progress.stored = true;
    await post(IMAGES, { imageid: accepted.id, imageHash: 'bafyimage', status: 'STORED' });
    await inState('DEMANDED');
    expect(body(edge.rooms.dmu.calls[0]!)).toMatchObject({
      demandId: accepted.id,
      imageName: ORDER.imageName,
      imageCid: 'bafyimage',
      configCid: 'bafyconfig',
      duration: 7,
    });
    progress.contract = '0b4d3c1e-0000-4000-8000-000000000000';
    const contracted = await inState('CONTRACTED');
    expect(contracted).toMatchObject({ contractId: progress.contract, status: 'STORED' });
    progress.contractState = 'guarded';
    await until('guarded', async () =>
      (await list<CustomerRecord>(CUSTOMER))[0]?.progress['contract'] === 'guarded' ? true : undefined,
    );
    await post(IMAGES, { imageId: accepted.id, imageHash: 'bafyimage', status: 'COMMITTED' });
    await post(IMAGES, { imageId: accepted.id, imageHash: 'bafyimage', status: 'STORED' });
    expect(await list(IMAGES)).toMatchObject([{ imageHash: 'bafyimage', status: 'COMMITTED' }]);
    expect((await list<CustomerRecord>(CUSTOMER))[0]?.status).toBe('COMMITTED');
    progress.contractState = 'ended';
    expect((await inState('ENDED')).error).toBe(undefined);
  });

  test('configuration.json has the fields of the thesis, as strings', async () => {
    await edge.start({ edgeId: '12D3KooWMe', configuration: { interval: '3', dependsOn: ['core-data'] } });
    play({ stored: false, contract: undefined, contractState: '' });
    await post(CUSTOMER, ORDER);
    await inState('STORING');
    expect(body(edge.rooms.migration.calls[0]!)['configuration']).toEqual({
      service_customer_id: '12D3KooWMe',
      serviceName: 'LoRa-device-service',
      activationEvent: 'offline',
      event: { interval: '3', ip: '' },
      ports: '',
      volumes: '',
      depends_on: ['core-data'],
      miner_address: '/p2p/12D3KooWMe',
    });
  });

  test('failures that may pass are tried again and told; others end it', async () => {
    await edge.start({ maxAttempts: 1000 });
    edge.rooms.migration.answer = () => ({ status: 503, json: { message: 'starting' } });
    await post(CUSTOMER, ORDER);
    await until('told', async () => {
      const [record] = await list<CustomerRecord>(CUSTOMER);
      return (record?.attempts ?? 0) >= 2 && record?.error?.includes('starting') === true ? true : undefined;
    });
    play({ stored: true, contract: undefined, contractState: '' });
    expect((await inState('DEMANDED')).error).toBe(undefined);
    edge.rooms.dmu.answer = () => ({ json: { state: 'FAILED', error: 'nobody hears these motes' } });
    expect((await inState('FAILED')).error).toContain('nobody hears these motes');
  });
});

describe('a contract as the provider', () => {
  const fetching = (state: string, archive?: string): void => {
    edge.rooms.migration.answer = ({ method }) =>
      method === 'POST' ? { status: 202, json: {} } : { json: { state, archive, progress: { blocks: 3 } } };
  };
  const withStatus = (status: string): Promise<ProviderRecord> =>
    until(status, async () =>
      (await list<ProviderRecord>(PROVIDER)).find((record) => record.status === status),
    );

  test('is fetched, followed and loaded', async () => {
    await edge.start();
    const archive = join(edge.dir, 'service.tar');
    const imageId = await writeTinyService(archive, 'one');
    fetching('FETCHING');
    const accepted = (await post(PROVIDER, { ...THEIRS, contractId: 'c-1' })) as ProviderRecord;
    expect(accepted).toMatchObject({ ...THEIRS, contractId: 'c-1', status: 'REQUESTED' });
    await withStatus('FETCHING');
    expect(body(edge.rooms.migration.calls[0]!)).toEqual({
      contractId: 'c-1',
      customer: THEIRS.edgeId,
      imageCid: 'bafyimage',
      configCid: 'bafyconfig',
      imageName: 'lora',
    });
    fetching('READY2DOWNLOAD');
    await withStatus('READY2DOWNLOAD');
    fetching('DOWNLOADED', archive);
    await post(FOREIGN_IMAGES, { imageId: 'bafyimage', status: 'DOWNLOADED' });
    expect((await withStatus('LOADED')).imageId).toBe(imageId);
    expect(await list(FOREIGN_IMAGES)).toMatchObject([
      { imageId, imageName: 'lora', imageHash: 'bafyimage', status: 'LOADED', edgeId: THEIRS.edgeId },
    ]);
  });

  test('lets go of everything when its service is wanted no more', async () => {
    await edge.start();
    const archive = join(edge.dir, 'service.tar');
    await writeTinyService(archive, 'one');
    fetching('DOWNLOADED', archive);
    await post(PROVIDER, { ...THEIRS, contractId: 'c-1' });
    await withStatus('LOADED');
    await callJson(edge.http, {
      method: 'PUT',
      path: '/orchestrator/v1/service/c-1',
      json: { desired: 'absent' },
    });
    await withStatus('ENDED');
    expect(edge.rooms.migration.calls.at(-1)).toMatchObject({
      method: 'DELETE',
      path: '/migration/v1/fetch/c-1',
    });
    await post(PROVIDER, { ...THEIRS, contractId: 'c-1' });
    await withStatus('LOADED');
  });

  test('that failed is tried again when it is asked for again; another content under its id is a conflict', async () => {
    await edge.start({ giveUpMs: 0 });
    fetching('FAILED');
    const { contractId } = (await post(PROVIDER, THEIRS)) as ProviderRecord;
    expect((await withStatus('FAILED')).error).toContain('could not fetch');
    fetching('FETCHING');
    expect(((await post(PROVIDER, THEIRS)) as ProviderRecord).contractId).toBe(contractId);
    await withStatus('FETCHING');
    const json = { ...THEIRS, contractId, imageName: 'another' };
    expect(await statusOf({ method: 'POST', path: PROVIDER, json })).toBe(409);
  });

  test('comes from the customer itself when it comes from another edge', async () => {
    await edge.start();
    fetching('FETCHING');
    const send = (peer: string): Promise<number> =>
      statusOf({ method: 'POST', path: PROVIDER, json: THEIRS, headers: { 'x-antirio-peer': peer } });
    expect(await send('12D3KooWSomebodyElse')).toBe(403);
    expect(await send(THEIRS.edgeId)).toBe(202);
    const headers = { 'x-antirio-peer': THEIRS.edgeId };
    expect(await statusOf({ path: PROVIDER, headers })).toBe(403);
    expect(await statusOf({ method: 'POST', path: CUSTOMER, json: ORDER, headers })).toBe(403);
  });
});

test('the resources of the thesis refuse what is malformed, with EdgeX errors', async () => {
  await edge.start();
  const refused: [string, unknown][] = [
    [CUSTOMER, { ...ORDER, duration: '7' }],
    [CUSTOMER, { ...ORDER, fileName: '../secret' }],
    [CUSTOMER, { ...ORDER, more: 1 }],
    [CUSTOMER, []],
    [IMAGES, { imageId: 'x', imageHash: 'y', status: 'READY2DOWNLOAD' }],
    [FOREIGN_IMAGES, { imageId: 'x', status: 'STORED' }],
    [PROVIDER, { ...THEIRS, edgeId: '' }],
    [PROVIDER, { ...THEIRS, contractId: 'a/b' }],
  ];
  for (const [path, json] of refused) {
    const answer = await edge.http.call({ method: 'POST', path, json });
    expect([path, answer.status]).toEqual([path, 400]);
    expect(answer.json()).toMatchObject({ apiVersion: 'v3', statusCode: 400 });
  }
  const broken = {
    method: 'POST',
    path: CUSTOMER,
    body: Buffer.from('{"imageName":'),
    headers: { 'content-type': 'application/json' },
  } as const;
  expect(await statusOf(broken)).toBe(400);
  expect(
    await statusOf({ method: 'POST', path: FOREIGN_IMAGES, json: { imageId: 'x', status: 'DOWNLOADED' } }),
  ).toBe(404);
  expect(await callJson(edge.http, { path: '/orchestrator/health' })).toEqual({
    'Status Message': 'orchestrator v.0.1.0',
  });
  for (const path of [CUSTOMER, IMAGES, PROVIDER, FOREIGN_IMAGES]) expect(await list(path)).toEqual([]);
});

describe('an orchestrator killed with SIGKILL', () => {
  let child: ChildProcess | undefined;
  let http: HttpPeer;
  afterEach(() => {
    child?.kill('SIGKILL');
  });

  /** The room in a process of its own, over the same edge. */
  async function run(): Promise<void> {
    const { rooms, brokerUrl, dir } = edge;
    const options = {
      broker: brokerUrl,
      port: 0,
      dataDir: dir,
      followIntervalMs: 50,
      migrationUrl: rooms.migration.url,
      dmuUrl: rooms.dmu.url,
      arbitratorUrl: rooms.arbitrator.url,
      coreDataUrl: rooms.coreData.url,
      coreMetadataUrl: rooms.coreMetadata.url,
    };
    const script =
      `const { orchestratorOptions, createOrchestrator } = await import(${JSON.stringify(join(import.meta.dirname, '../index.ts'))});` +
      `const { createMqttBus } = await import('@antirio/bus');` +
      `const { httpPeer, silentLog: log, systemClock: clock, systemRandom: random } = await import('@antirio/host');` +
      `const { broker, migrationUrl, dmuUrl, arbitratorUrl, coreDataUrl, coreMetadataUrl, ...rest } = ${JSON.stringify(options)};` +
      `const urls = { migration: migrationUrl, dmu: dmuUrl, arbitrator: arbitratorUrl, coreData: coreDataUrl, coreMetadata: coreMetadataUrl };` +
      `const peers = Object.fromEntries(Object.entries(urls).map(([name, url]) => [name, httpPeer({ url })]));` +
      `const room = createOrchestrator(orchestratorOptions.parse(rest), { clock, random, log, bus: createMqttBus({ url: broker }, log), peers });` +
      `process.on('SIGTERM', () => room.stop().then(() => process.exit(0)));` +
      `await room.start(); console.log(room.port);`;
    child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    const [line] = (await once(child.stdout!, 'data')) as [Buffer];
    http = httpPeer({ url: `http://127.0.0.1:${Number(line.toString())}` });
  }
  async function kill(): Promise<void> {
    const ended = once(child!, 'exit');
    child!.kill('SIGKILL');
    await ended;
    http.close();
  }

  test('goes on with every contract where it was; its services are gone, run again, and want their secrets', async () => {
    const progress: Progress = { stored: false, contract: undefined, contractState: 'arming' };
    play(progress);
    await run();
    const accepted = (await callJson(http, {
      method: 'POST',
      path: CUSTOMER,
      json: ORDER,
    })) as CustomerRecord;
    await kill();
    await run();
    await inState('STORING', () => http);
    await callJson(http, {
      method: 'POST',
      path: IMAGES,
      json: { imageId: accepted.id, imageHash: 'bafyimage', status: 'STORED' },
    });
    progress.stored = true;
    await kill();
    await run();
    expect((await inState('DEMANDED', () => http)).id).toBe(accepted.id);
    progress.contract = 'c-9';
    await inState('CONTRACTED', () => http);
    const ids = edge.rooms.migration.calls.map((call) => body(call)['imageId']);
    expect(new Set(ids)).toEqual(new Set([accepted.id]));

    const archive = join(edge.dir, 'service.tar');
    await writeTinyService(archive, 'one');
    edge.rooms.migration.answer = ({ method }) =>
      method === 'POST' ? { status: 202, json: {} } : { json: { state: 'DOWNLOADED', archive } };
    const theirs = { ...THEIRS, contractId: 'c-1' };
    await callJson(http, { method: 'POST', path: PROVIDER, json: theirs });
    const path = '/orchestrator/v1/service/c-1';
    const devEui = `${process.pid}`.padStart(16, 'e');
    const secrets = { keyVersion: 2, sessions: [{ devEui, devAddr: '26011f4a' }] };
    const service = { serviceName: 'device-lora', devices: [{ name: 'm', profileName: 'p' }] };
    const wish = { desired: 'active', standby: 'hot', imageCid: 'bafyimage', archive, service };
    await callJson(http, { method: 'PUT', path, json: { ...wish, secrets } });
    type Report = {
      observed: string;
      instance?: { pid?: number; state: string };
      serviceStatus?: { state: string };
    };
    const report = async (): Promise<Report> => (await callJson(http, { path })) as Report;
    const first = await until('active', async () => {
      const now = await report();
      return now.observed === 'active' ? now : undefined;
    });
    expect(secretsInMemory(devEui)).toBeDefined();
    await kill();
    const alive = (pid: number): boolean => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    await until('the child ended', () => (alive(first.instance!.pid!) ? undefined : true));
    await until('the secrets are gone', () => (secretsInMemory(devEui) === undefined ? true : undefined));
    await run();
    const waiting = await until('shadow again', async () => {
      const now = await report();
      return now.serviceStatus?.state === 'shadow' ? now : undefined;
    });
    expect(waiting.observed).toBe('needsSecrets');
    await callJson(http, { method: 'PUT', path, json: { ...wish, secrets } });
    await until('active', async () => ((await report()).observed === 'active' ? true : undefined));
    const ended = once(child!, 'exit');
    child!.kill('SIGTERM');
    await ended;
    http.close();
  });
});
