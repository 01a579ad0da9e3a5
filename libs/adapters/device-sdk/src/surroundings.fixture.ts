import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from '@jest/globals';
import type { z } from 'zod';
import { createBroker, createLocalBus, type Broker } from '@antirio/bus';
import { createBusRequests } from '@antirio/bus-request';
import { AntirioError } from '@antirio/kernel';
import {
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  waitFor,
  type Bus,
  type HttpAnswer,
  type HttpCall,
  type HttpPeer,
} from '@antirio/host';
import { deviceCommandTopic, parseEnvelope, type MessageEnvelope } from '@antirio/edgex-contracts';
import { openFakeMetadata, type FakeMetadata } from './metadata.fixture.ts';
import {
  commandValue,
  createDeviceService,
  deviceServiceOptions,
  type CommandValue,
  type DeviceServicePorts,
  type DeviceServiceRoom,
  type Driver,
  type NewProvision,
} from './index.ts';

export const SERVICE = 'device-room';

export const profile = {
  name: 'Room',
  deviceResources: [
    { name: 'Temperature', properties: { valueType: 'Float64', readWrite: 'R', units: 'Celsius' } },
    { name: 'Setpoint', properties: { valueType: 'Int16', readWrite: 'RW' } },
    { name: 'Reset', properties: { valueType: 'Bool', readWrite: 'W' } },
    { name: 'Picture', properties: { valueType: 'Binary', readWrite: 'R', mediaType: 'image/png' } },
  ],
  deviceCommands: [
    {
      name: 'Climate',
      readWrite: 'R' as const,
      resourceOperations: [{ deviceResource: 'Temperature' }, { deviceResource: 'Setpoint' }],
    },
  ],
} as NonNullable<NewProvision['profiles']>[number];

export const room = (name: string, more: object = {}): NonNullable<NewProvision['devices']>[number] => ({
  name,
  profileName: 'Room',
  protocols: { room: { floor: 1 } },
  ...more,
});

/** What most services begin with. */
export const provision = { profiles: [profile], devices: [room('r1')] } satisfies NewProvision;

/** The same as core-metadata has it. */
export const entity = (name: string, more: object = {}) => ({
  ...room(name),
  serviceName: SERVICE,
  adminState: 'UNLOCKED',
  operatingState: 'UP',
  ...more,
});

export type TestDriver = Driver & {
  /** What each resource has. */
  values: Record<string, unknown>;
  written: CommandValue[];
  readonly calls: string[];
};

/** Has a value for each resource, and notes what it is told. */
export function testDriver(own: Partial<Driver> = {}): TestDriver {
  const calls: string[] = [];
  const driver: TestDriver = {
    calls,
    values: { Temperature: 21.5, Setpoint: 20, Picture: Uint8Array.of(1, 2, 3) },
    written: [],
    read: (_device, requests) =>
      Promise.resolve(
        requests.map(({ resourceName, valueType }) =>
          commandValue(resourceName, valueType, driver.values[resourceName]),
        ),
      ),
    write: async (_device, requests) => {
      driver.written.push(...requests.map(({ value }) => value));
    },
    start: () => void calls.push('start'),
    stop: () => void calls.push('stop'),
    added: ({ name }) => void calls.push(`added ${name}`),
    updated: ({ name }) => void calls.push(`updated ${name}`),
    removed: ({ name }) => void calls.push(`removed ${name}`),
    ...own,
  };
  return driver;
}

/** Says what of a request is not as documented. */
interface RequestContract {
  requestFaults(request: FakeMetadata['seen'][number]): readonly string[];
}

export interface Heard {
  readonly topic: string;
  readonly envelope: MessageEnvelope;
}

export interface Surroundings {
  readonly dataDir: string;
  readonly bus: Bus;
  readonly metadata: FakeMetadata;
  /** Events on the bus, as they came. */
  readonly events: Heard[];
  readonly told: Heard[];
  start(
    driver: Driver,
    options?: z.input<typeof deviceServiceOptions> extends infer O ? Partial<O> : never,
    ports?: Partial<DeviceServicePorts>,
  ): Promise<DeviceServiceRoom>;
  call(service: DeviceServiceRoom, call: HttpCall): Promise<HttpAnswer>;
  /** A command by the bus. */
  command(
    device: string,
    command: string,
    method: 'get' | 'set',
    payload?: unknown,
    query?: Record<string, string>,
  ): Promise<MessageEnvelope>;
  close(): Promise<void>;
}

/** Waits until it is so. */
export async function until(what: () => unknown): Promise<void> {
  const found = await waitFor(
    systemClock,
    60_000,
    async () => ((await what()) === true ? true : undefined),
    5,
  );
  if (found === undefined) throw new AntirioError('timeout', `it never was: ${what.toString()}`);
}

async function listen(bus: Bus, filter: string, heard: Heard[]): Promise<void> {
  await bus.subscribe(
    filter,
    (topic, payload) => void heard.push({ topic, envelope: parseEnvelope(payload) }),
  );
}

export async function openSurroundings(contract: RequestContract): Promise<Surroundings> {
  const dataDir = mkdtempSync(join(tmpdir(), 'antirio-sdk-'));
  const broker: Broker = createBroker({ secret: systemRandom.bytes(32), listeners: [] }, silentLog);
  await broker.start();
  const bus = createLocalBus(broker, silentLog);
  const metadata = await openFakeMetadata(bus);
  const events: Heard[] = [];
  const told: Heard[] = [];
  await listen(bus, 'edgex/events/#', events);
  await listen(bus, `edgex/system-events/${SERVICE}/#`, told);
  const asking = createBusRequests(bus, { random: systemRandom, log: silentLog });
  const services: DeviceServiceRoom[] = [];
  const peers: HttpPeer[] = [];
  return {
    dataDir,
    bus,
    metadata,
    events,
    told,
    async start(driver, options = {}, ports = {}) {
      const peer = httpPeer({ url: metadata.url });
      peers.push(peer);
      const service = createDeviceService(
        deviceServiceOptions.parse({ serviceName: SERVICE, port: 0, dataDir, ...options }),
        driver,
        {
          clock: systemClock,
          random: systemRandom,
          log: silentLog,
          bus,
          peers: { 'core-metadata': peer },
          ...ports,
        },
      );
      services.push(service);
      await service.start();
      return service;
    },
    async call(service, call) {
      const peer = httpPeer({ url: `http://127.0.0.1:${service.port}` });
      try {
        return await peer.call({ ...call, path: `/api/v3${call.path}` });
      } finally {
        peer.close();
      }
    },
    command: (deviceName, commandName, method, payload = null, queryParams = {}) =>
      asking.request({
        topic: deviceCommandTopic({ serviceName: SERVICE, deviceName, commandName, method }),
        serviceName: SERVICE,
        payload,
        queryParams,
        timeoutMs: 5000,
      }),
    async close() {
      for (const service of services) await service.stop();
      const faults = metadata.seen.flatMap((request) => contract.requestFaults(request));
      for (const peer of peers) peer.close();
      await asking.close();
      await metadata.close();
      await bus.close();
      await broker.stop();
      rmSync(dataDir, { recursive: true, force: true });
      // whatever was tested: nothing was asked that EdgeX's core-metadata does not have
      if (faults.length > 0) throw new AntirioError('invalidInput', faults.join('\n'));
    },
  };
}

/** Surroundings for each test of a file or of a group, opened before it and closed after it, which then looks at what was asked. */
export function withSurroundings(contract: RequestContract): Surroundings {
  let open: Surroundings | undefined;
  beforeEach(async () => {
    open = await openSurroundings(contract);
  });
  afterEach(async () => open?.close());
  const now = (): Surroundings => {
    if (open === undefined) throw new AntirioError('internal', 'there are no surroundings but in a test');
    return open;
  };
  return {
    get dataDir() {
      return now().dataDir;
    },
    get bus() {
      return now().bus;
    },
    get metadata() {
      return now().metadata;
    },
    get events() {
      return now().events;
    },
    get told() {
      return now().told;
    },
    start: (...all) => now().start(...all),
    call: (...all) => now().call(...all),
    command: (...all) => now().command(...all),
    close: () => now().close(),
  };
}
