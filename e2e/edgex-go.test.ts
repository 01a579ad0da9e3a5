import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect } from '@jest/globals';
import { createCoreServices, type CoreServices } from '@antirio/core-services';
import { testWhen } from '@antirio/testing';
import { ask, entryWith, get } from './support/ask.ts';
import { runCommand } from './support/command.ts';
import { createDeviceRoom, type DeviceRoom } from './support/device-room.ts';
import { buildGoPrograms, findGo, type GoPrograms } from './support/go-programs.ts';
import { inSteps } from './support/steps.ts';

// Programs that know EdgeX alone, by its own published modules, against our services in a process of their own.

const PATIENCE_MS = 40_000;
const BUILD_MS = 600_000;
const SERVICE = 'device-room';

const go = findGo();
let programs: GoPrograms;
let core: CoreServices;
let room: DeviceRoom;

const story = (): string =>
  `services: ${core.lastWords()}\n\ndevice-room: ${room.lastWords()}\n\nLogs and data: ${core.folder}`;
const { step, wentWell } = inSteps(story);

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await look())) {
    if (performance.now() > end) throw new Error(`it has not come to pass that ${what}`);
    await sleep(100);
  }
}

const data = (resource: string): string => `${core.urlOf('core-data')}/api/v3/${resource}`;
const metadata = (resource: string): string => `${core.urlOf('core-metadata')}/api/v3/${resource}`;
const command = (device: string, name: string): string =>
  `${core.urlOf('core-command')}/api/v3/device/name/${device}/${name}`;
const keeper = (resource: string): string => `${core.urlOf('core-keeper')}/api/v3/${resource}`;

async function countOf(device: string): Promise<number> {
  const { count } = (await get(data(`event/count/device/name/${device}`))) as { count: number };
  return count;
}

/** Waits for further auto-events of a device. */
async function goesOn(device: string): Promise<void> {
  const before = await countOf(device);
  await until(`${device} sends further events`, async () => (await countOf(device)) >= before + 3);
}

/** Adds or changes one thing; the status and the message of that item. */
async function item(
  resource: string,
  body: Record<string, unknown>,
  method = 'POST',
): Promise<{ statusCode: number; message?: string }> {
  const answer = await ask(metadata(resource), { method, json: [{ apiVersion: 'v3', ...body }] });
  expect(answer.status).toBe(207);
  const [first] = answer.json as { statusCode: number; message?: string }[];
  if (first === undefined) throw new Error('an answer without items');
  return first;
}

const roomNamed = (name: string, floor?: number): Record<string, unknown> => ({
  device: {
    name,
    serviceName: SERVICE,
    profileName: 'Room',
    adminState: 'UNLOCKED',
    operatingState: 'UP',
    protocols: { room: floor === undefined ? { door: 1 } : { floor } },
    autoEvents: [{ interval: '200ms', onChange: false, sourceName: 'Counter' }],
    properties: {},
  },
});

const changeOf = (name: string, change: Record<string, unknown>): Record<string, unknown> => ({
  device: { name, ...change },
});

/** All that the Go clients check; the number of checks. */
async function runClient(device: string): Promise<number> {
  const said = await runCommand(programs.client, [
    ...['-data', core.urlOf('core-data'), '-metadata', core.urlOf('core-metadata')],
    ...['-command', core.urlOf('core-command'), '-keeper', core.urlOf('core-keeper')],
    ...['-mqtt', `127.0.0.1:${core.mqttPort}`, '-device', device],
  ]);
  if (said.code !== 0) throw new Error(`the client ended with ${said.code ?? 'a signal'}: ${said.stderr}`);
  return Number(/^(\d+) checks$/m.exec(said.stdout)?.[1]);
}

async function registrationOf(service: string): Promise<Record<string, unknown>> {
  const answer = (await get(keeper(`registry/serviceId/${service}`))) as Record<
    string,
    Record<string, unknown>
  >;
  return answer['registration'] ?? {};
}

testWhen(go !== undefined, 'no Go 1.23 or newer')(
  "programs made with EdgeX's Go modules are built",
  async () => {
    core = await createCoreServices();
    programs = await buildGoPrograms(go ?? 'go', core.folder);
    room = await createDeviceRoom(programs.device, core);
    await core.start();
  },
  BUILD_MS,
);

if (go !== undefined)
  describe("EdgeX's Go modules", () => {
    afterAll(async () => {
      await room.end('SIGKILL');
      await core.end(wentWell());
    });

    step('a device service starts, and its auto-events are stored', async () => {
      room.start('by files');
      await goesOn('Room-01');
      const { events } = (await get(data('event/device/name/Room-01?limit=20'))) as { events: unknown };
      expect(entryWith(events, { sourceName: 'Counter' })).toMatchObject({ profileName: 'Room' });
      expect(entryWith(events, { sourceName: 'Temperature' })).toMatchObject({ profileName: 'Room' });
      const { service } = (await get(metadata(`deviceservice/name/${SERVICE}`))) as { service: unknown };
      expect(service).toMatchObject({ baseAddress: room.url, adminState: 'UNLOCKED' });
    });

    step("EdgeX's clients find everything as it should be", async () => {
      expect(await runClient('Room-01')).toBeGreaterThan(400);
    });

    step('a device added later is told to its service, which sends its auto-events', async () => {
      expect(await item('device', roomNamed('Room-02', 2))).toMatchObject({ statusCode: 201 });
      await goesOn('Room-02');
      expect((await ask(command('Room-02', 'Climate'))).status).toBe(200);
    });

    step('a device that its service refuses is not taken', async () => {
      const refused = await item('device', roomNamed('Cellar'));
      expect(refused.statusCode).toBeGreaterThanOrEqual(400);
      expect(refused.message).toContain('on no floor');
      expect((await ask(metadata('device/name/Cellar'))).status).toBe(404);
    });

    step('a locked device answers no commands until it is unlocked', async () => {
      for (const [adminState, status] of [
        ['LOCKED', 423],
        ['UNLOCKED', 200],
      ] as const) {
        const changed = await item('device', changeOf('Room-02', { adminState }), 'PATCH');
        expect(changed).toMatchObject({ statusCode: 200 });
        await until(`a command is answered with ${status}`, async () => {
          return (await ask(command('Room-02', 'Climate'))).status === status;
        });
        const set = await ask(command('Room-02', 'Setpoint'), { method: 'PUT', json: { Setpoint: '19' } });
        expect(set.status).toBe(status);
      }
    });

    step('a device service that starts again, after SIGKILL, finds what it knew', async () => {
      await room.end('SIGKILL');
      expect((await ask(command('Room-01', 'Climate'))).status).toBe(503);
      room.start('by files');
      await goesOn('Room-01');
      await goesOn('Room-02');
    });

    step('services that are killed go on where they were, and so does the device service', async () => {
      await goesOn('Room-01');
      const before = await countOf('Room-01');
      await core.kill();
      await sleep(1000);
      await core.start();
      expect(await countOf('Room-01')).toBeGreaterThanOrEqual(before);
      expect(room.isRunning()).toBe(true);
      await goesOn('Room-01');
      await goesOn('Room-02');
      expect(await runClient('Room-02')).toBeGreaterThan(400);
    });

    step('a device service is configured by core-keeper, and registers there', async () => {
      await room.end();
      room.start('by keeper');
      await goesOn('Room-01');
      await until('it is registered as well', async () => (await registrationOf(SERVICE))['status'] === 'UP');
      expect(await registrationOf(SERVICE)).toMatchObject({ port: Number(new URL(room.url).port) });
      const { response } = (await get(
        keeper(`kvs/key/${encodeURIComponent(`edgex/v4/${SERVICE}`)}?plaintext=true`),
      )) as {
        response: unknown;
      };
      expect(entryWith(response, { key: `edgex/v4/${SERVICE}/Writable/LogLevel` })).toMatchObject({
        value: 'INFO',
      });
    });

    step('a change in core-keeper reaches the running device service', async () => {
      const key = encodeURIComponent(`edgex/v4/${SERVICE}/Writable/LogLevel`);
      const changed = await ask(keeper(`kvs/key/${key}`), {
        method: 'PUT',
        json: { apiVersion: 'v3', value: 'DEBUG' },
      });
      expect(changed.status).toBe(200);
      await until('it has the new log level', async () => {
        const { config } = (await get(`${room.url}/api/v3/config`)) as { config: { Writable: unknown } };
        return (config.Writable as Record<string, unknown>)['LogLevel'] === 'DEBUG';
      });
    });

    step('PersistData in core-keeper stops the storing of events, and lets it go on', async () => {
      const key = encodeURIComponent('edgex/v4/core-data/Writable/PersistData');
      const persist = async (value: boolean): Promise<void> => {
        const json = { apiVersion: 'v3', value: String(value) };
        expect((await ask(keeper(`kvs/key/${key}`), { method: 'PUT', json })).status).toBe(200);
        await until(`PersistData is ${value}`, async () => {
          const { config } = (await get(data('config'))) as { config: { Writable: Record<string, unknown> } };
          return config.Writable['PersistData'] === value;
        });
      };
      await goesOn('Room-01');
      await persist(false);
      // what was under way when it changed
      await sleep(500);
      const before = await countOf('Room-01');
      await sleep(1000);
      expect(await countOf('Room-01')).toBe(before);
      await persist(true);
      await goesOn('Room-01');
    });

    step('a command that is a pattern reads all resources of such names', async () => {
      const answer = await ask(command('Room-01', encodeURIComponent('(Temp.*|Count.*)')));
      expect(answer.status).toBe(200);
      const { event } = answer.json as { event: { readings: { resourceName: string }[] } };
      expect(event.readings.map(({ resourceName }) => resourceName).sort()).toEqual([
        'Counter',
        'Temperature',
      ]);
    });

    step('a device service that ends says so to the registry', async () => {
      await room.end();
      await until('it is gone', async () => (await registrationOf(SERVICE))['status'] === 'HALT');
    });
  });
