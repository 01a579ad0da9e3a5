import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { createMqttBus } from '@antirio/bus';
import { createBusRequests } from '@antirio/bus-request';
import { createCoreServices, startProgram, type CoreServices, type Program } from '@antirio/core-services';
import { loadContract } from '@antirio/edgex-contract';
import { silentLog, systemRandom } from '@antirio/host';
import { ask, entryWith, get } from './support/ask.ts';
import { openRecordingProxy, type RecordingProxy } from './support/recording-proxy.ts';
import { inSteps } from './support/steps.ts';

// The example of docs/device-sdk.md in a process of its own, against the core services in another one.

const PATIENCE_MS = 40_000;
const SERVICE = 'device-host';
const DEVICE = 'This-Host';
const MAIN = path.join(import.meta.dirname, '../tools/device-example/src/main.ts');

let core: CoreServices;
let proxy: RecordingProxy;
let example: Program | undefined;

const story = (): string =>
  `services: ${core.lastWords()}\n\nexample: ${example?.lastWords() ?? ''}\n\nLogs and data: ${core.folder}`;
const { step, wentWell } = inSteps(story);

function start(): void {
  example = startProgram({
    command: 'node',
    args: [MAIN],
    cwd: core.folder,
    log: path.join(core.folder, 'example.log'),
    env: {
      SERVICE_PORT: '0',
      MESSAGEBUS_PORT: String(core.mqttPort),
      CLIENTS_CORE_METADATA_PORT: String(proxy.port),
      EDGEX_CONFIG_PROVIDER: `keeper.${core.urlOf('core-keeper')}`,
    },
  });
}

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await look())) {
    if (performance.now() > end) throw new Error(`it has not come to pass that ${what}`);
    await sleep(50);
  }
}

const data = (resource: string): string => `${core.urlOf('core-data')}/api/v3/${resource}`;
const metadata = (resource: string): string => `${core.urlOf('core-metadata')}/api/v3/${resource}`;
const command = (name: string, device = DEVICE): string =>
  `${core.urlOf('core-command')}/api/v3/device/name/${device}/${name}`;

async function countOf(device: string): Promise<number> {
  const { count } = (await get(data(`event/count/device/name/${device}`))) as { count: number };
  return count;
}

async function goesOn(device: string): Promise<void> {
  const before = await countOf(device);
  await until(`${device} sends further events`, async () => (await countOf(device)) >= before + 2);
}

const hostNamed = (name: string, protocols: object): object => ({
  name,
  serviceName: SERVICE,
  profileName: 'Host',
  adminState: 'UNLOCKED',
  operatingState: 'UP',
  protocols,
  autoEvents: [{ interval: '200ms', sourceName: 'Uptime' }],
});

async function add(device: object): Promise<{ statusCode: number; message?: string }> {
  const answer = await ask(metadata('device'), { method: 'POST', json: [{ apiVersion: 'v3', device }] });
  const [first] = answer.json as { statusCode: number; message?: string }[];
  if (first === undefined) throw new Error(answer.text);
  return first;
}

/** All that core-metadata has of the service. */
const registered = async (): Promise<unknown[]> =>
  Promise.all(
    [`deviceservice/name/${SERVICE}`, `device/service/name/${SERVICE}`, 'deviceprofile/name/Host'].map(
      async (resource) => {
        const { service, ...rest } = (await get(metadata(resource))) as Record<string, object>;
        // where it listens is another port each time
        return service === undefined ? rest : { ...service, baseAddress: '', modified: 0 };
      },
    ),
  );

describe('the example of a device service', () => {
  beforeAll(async () => {
    core = await createCoreServices();
    await core.start();
    proxy = await openRecordingProxy(core.portOf('core-metadata'));
  });
  afterAll(async () => {
    await example?.end('SIGKILL');
    await proxy.close();
    await core.end(wentWell());
  });

  step('starts, and its values arrive', async () => {
    start();
    await until(
      'the device is there',
      async () => (await ask(metadata(`device/name/${DEVICE}`))).status === 200,
    );
    await goesOn(DEVICE);
    const { readings } = (await get(data(`reading/device/name/${DEVICE}?limit=20`))) as { readings: unknown };
    expect(entryWith(readings, { resourceName: 'FreeMemory' })).toMatchObject({
      valueType: 'Uint64',
      units: 'bytes',
      value: expect.stringMatching(/^\d+$/),
    });
    expect(entryWith(readings, { resourceName: 'Load' })).toMatchObject({
      value: expect.stringMatching(/^\d\.\d+e[+-]\d\d$/),
    });
    const events = (await get(data(`event/device/name/${DEVICE}?limit=-1`))) as { events: unknown[] };
    expect(entryWith(events.events, { sourceName: 'Name' })).toBeDefined();
  });

  step('answers commands by HTTP', async () => {
    const { event } = (await get(command('State'))) as { event: { readings: unknown } };
    expect(entryWith(event.readings, { resourceName: 'Load' })).toBeDefined();
    const put = (value: string) => ask(command('Niceness'), { method: 'PUT', json: { Niceness: value } });
    expect((await put('1')).status).toBe(200);
    expect(await get(command('Niceness'))).toMatchObject({ event: { readings: [{ value: '1' }] } });
    expect((await put('99')).status).toBe(400);
    expect((await ask(command('Load'), { method: 'PUT', json: { Load: '1' } })).status).toBe(405);
  });

  step('answers commands by the bus', async () => {
    const bus = createMqttBus({ url: `mqtt://127.0.0.1:${core.mqttPort}` }, silentLog);
    const requests = createBusRequests(bus, { random: systemRandom, log: silentLog });
    const request = (resource: string, method: string, payload: unknown = null) =>
      requests.request({
        topic: `edgex/core/command/request/${DEVICE}/${resource}/${method}`,
        serviceName: 'core-command',
        payload,
        timeoutMs: 10_000,
      });
    try {
      expect(await request('Uptime', 'get')).toMatchObject({
        errorCode: 0,
        payload: { event: { sourceName: 'Uptime' } },
      });
      expect(await request('Niceness', 'set', { Niceness: '2' })).toMatchObject({ errorCode: 0 });
      expect(await get(command('Niceness'))).toMatchObject({ event: { readings: [{ value: '2' }] } });
    } finally {
      await requests.close();
      await bus.close();
    }
  });

  step('has the last word on its devices, and reads those that come later', async () => {
    const refused = await add(hostNamed('Nowhere', { tcp: { port: 1 } }));
    expect(refused.message).toContain('no protocol "os"');
    expect((await ask(metadata('device/name/Nowhere'))).status).toBe(404);
    expect(await add(hostNamed('Second', { os: { pid: 0 } }))).toMatchObject({ statusCode: 201 });
    await goesOn('Second');
  });

  step('keeps to what core-keeper has for all device services', async () => {
    const key = 'edgex/v4/core-common-config-bootstrapper/device-services/Writable/Reading/ReadingUnits';
    const set = async (value: string): Promise<void> => {
      const url = `${core.urlOf('core-keeper')}/api/v3/kvs/key/${encodeURIComponent(key)}`;
      expect((await ask(url, { method: 'PUT', json: { apiVersion: 'v3', value } })).status).toBe(200);
      await until(`ReadingUnits is ${value}`, async () => {
        const { event } = (await get(command('FreeMemory'))) as { event: { readings: object[] } };
        return event.readings.every((reading) => 'units' in reading === (value === 'true'));
      });
    };
    await set('false');
    await set('true');
  });

  step('starts again after SIGKILL, and leaves everything as it was', async () => {
    const labels = ['changed by hand'];
    const json = [{ apiVersion: 'v3', device: { name: DEVICE, labels } }];
    expect((await ask(metadata('device'), { method: 'PATCH', json })).status).toBe(207);
    const before = await registered();
    await example?.end('SIGKILL');
    expect((await ask(command('State'))).status).toBe(503);
    start();
    await goesOn(DEVICE);
    await goesOn('Second');
    expect(await registered()).toEqual(before);
  });

  step('goes on when core services and broker were away', async () => {
    await core.kill();
    await sleep(1000);
    await core.start();
    await goesOn(DEVICE);
    expect((await ask(command('State'))).status).toBe(200);
    expect(example?.isRunning()).toBe(true);
  });

  step('has asked for nothing that EdgeX’s core-metadata does not have', async () => {
    const contract = loadContract('core-metadata');
    await until('all of it was asked', async () => proxy.requests.length > 15);
    expect(proxy.requests.flatMap((request) => contract.requestFaults(request))).toEqual([]);
  });

  step('is in the registry while it runs', async () => {
    const status = async (): Promise<unknown> => {
      const answer = await ask(`${core.urlOf('core-keeper')}/api/v3/registry/serviceId/${SERVICE}`);
      return (answer.json as { registration?: { status: string } }).registration?.status;
    };
    await until('it is UP', async () => (await status()) === 'UP');
    await example?.end();
    await until('it is gone', async () => (await status()) === 'HALT');
  });
});
