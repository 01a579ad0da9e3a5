import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { loadContract } from '@antirio/edgex-contract';
import { createBroker, createMqttBus, type Broker } from '@antirio/bus';
import { httpPeer, silentLog, systemRandom, type Bus } from '@antirio/host';
import { makeEnvelope, parseEnvelope, type Event } from '@antirio/edgex-contracts';
import { commandValue, deviceServiceOptions } from './index.ts';
import {
  profile,
  provision,
  room,
  SERVICE,
  testDriver,
  until,
  withSurroundings,
} from './surroundings.fixture.ts';

const around = withSurroundings(loadContract('core-metadata'));

describe('a service in a namespace of its own, behind a socket', () => {
  const prefix = 'contract/c1/';

  test('is reached there, and gives its events to a sink', async () => {
    const socket = join(around.dataDir, 'svc.sock');
    const sunk: Event[] = [];
    const eventSink = async (event: Event): Promise<void> => void sunk.push(event);
    const options = { socket, topicPrefix: prefix, baseAddress: 'http://there:1/x' };
    // core-metadata asks on the edge's own topics, and nobody brings it to that namespace
    const service = await around.start(testDriver(), options, {
      eventSink,
      provision: { profiles: [profile] },
    });
    await service.registered();
    expect(around.metadata.entities.deviceservice.get(SERVICE)).toMatchObject({
      baseAddress: 'http://there:1/x',
    });
    around.metadata.tells = false;
    const device = { ...room('r1'), serviceName: SERVICE, adminState: 'UNLOCKED', operatingState: 'UP' };
    await around.metadata.put('device', device);
    const details = around.metadata.entities.device.get('r1');
    const event = {
      type: 'device',
      action: 'add',
      source: 'core-metadata',
      owner: SERVICE,
      details,
      timestamp: 1,
    };
    await around.bus.publish(
      `${prefix}edgex/system-events/core-metadata/device/add/${SERVICE}/Room`,
      makeEnvelope({ apiVersion: 'v3', ...event }, { correlationID: 'c' }),
    );
    await until(() => service.sdk.device('r1') !== undefined);
    const peer = httpPeer({ socketPath: socket });
    const answer = await peer.call({ path: '/api/v3/device/name/r1/Temperature?ds-pushevent=true' });
    peer.close();
    expect(answer.status).toBe(200);
    await until(() => sunk.length === 1);
    expect(around.events).toEqual([]);
    const answers: unknown[] = [];
    await around.bus.subscribe(`${prefix}edgex/response/${SERVICE}/#`, (_topic, bytes) => {
      answers.push(parseEnvelope(bytes).payload);
    });
    await around.bus.publish(
      `${prefix}edgex/device/command/request/${SERVICE}/r1/Setpoint/get`,
      makeEnvelope(null, { correlationID: 'c', requestID: '0a9bcd34-0000-4000-8000-000000000000' }),
    );
    await until(() => answers.length === 1);
    expect(answers).toMatchObject([{ event: { sourceName: 'Setpoint' } }]);
  });
});

describe('a broker that goes', () => {
  let broker: Broker;
  let bus: Bus;
  const open = async (port: number): Promise<Broker> => {
    const listeners = [{ port, bind: '127.0.0.1', anonymous: 'loopback' as const }];
    const opened = createBroker({ secret: systemRandom.bytes(32), listeners }, silentLog);
    await opened.start();
    return opened;
  };
  afterEach(async () => {
    await bus.close();
    await broker.stop();
  });

  test('and comes back finds the service with what changed meanwhile', async () => {
    broker = await open(0);
    const [port = 0] = broker.ports;
    bus = createMqttBus({ url: `mqtt://127.0.0.1:${port}` }, silentLog, { subscribeTimeoutMs: 1000 });
    around.metadata.tells = false;
    const driver = testDriver();
    const service = await around.start(
      driver,
      { refreshIntervalMs: 0 },
      { bus, provision: { profiles: [profile] } },
    );
    await service.registered();
    const ready = async (): Promise<number> => (await around.call(service, { path: '/ready' })).status;
    expect(await ready()).toBe(200);
    await broker.stop();
    await until(async () => (await ready()) === 503);
    const device = { ...room('later'), serviceName: SERVICE, adminState: 'UNLOCKED', operatingState: 'UP' };
    await around.metadata.put('device', device);
    broker = await open(port);
    await until(() => driver.calls.includes('added later'));
    expect(await ready()).toBe(200);
    const values = [commandValue('Temperature', 'Float64', 1)];
    await service.sdk.send({ deviceName: 'later', values });
    await service.stop();
  });

  test('is not waited for with what it was to be told', async () => {
    broker = await open(0);
    const [port = 0] = broker.ports;
    await broker.stop();
    bus = createMqttBus({ url: `mqtt://127.0.0.1:${port}` }, silentLog, { subscribeTimeoutMs: 1000 });
    const service = await around.start(testDriver(), {}, { bus, provision });
    await until(() => around.metadata.entities.deviceprofile.has('Room'));
    // core-metadata would ask for the device's validation in vain
    expect(around.metadata.entities.device.size).toBe(0);
    await service.stop();
  });
});

test('the telemetry has EdgeX’s metrics of a device service', async () => {
  const told = new Map<string, unknown>();
  await around.bus.subscribe(`edgex/telemetry/${SERVICE}/#`, (topic, bytes) => {
    told.set(topic.split('/').at(-1) ?? '', parseEnvelope(bytes).payload);
  });
  const Metrics = { EventsSent: true, ReadCommandsExecuted: true, LastConnected: true, FramesLost: true };
  const writable = { Telemetry: { Interval: '20ms', Metrics } };
  const service = await around.start(testDriver(), { writable }, { provision });
  await service.registered();
  service.sdk.countAs('FramesLost')(5);
  await around.call(service, { path: '/device/name/r1/Temperature?ds-pushevent=true' });
  const field = (name: string): unknown => (told.get(name) as { fields?: unknown } | undefined)?.fields;
  await until(() => JSON.stringify([field('EventsSent')]).includes('1') && told.has('LastConnected-r1'));
  expect(told.get('LastConnected-r1')).toMatchObject({
    fields: [{ name: 'gauge-value' }],
    tags: expect.arrayContaining([{ name: 'device', value: 'r1' }]),
  });
  expect(field('FramesLost')).toEqual([{ name: 'counter-count', value: 5 }]);
  expect(field('ReadCommandsExecuted')).toEqual([{ name: 'counter-count', value: 1 }]);
});

test.each([
  [{ serviceName: 'a/b' }, 'serviceName'],
  [{ serviceName: '..' }, 'serviceName'],
  [{ serviceName: 'a', topicPrefix: 'x' }, 'topicPrefix'],
  [{ serviceName: 'a', topicPrefix: '#/' }, 'topicPrefix'],
  [{ serviceName: 'a', device: { discovery: { interval: 'soon' } } }, 'device.discovery.interval'],
  [{ serviceName: 'a', device: { discovery: { interval: '-1s' } } }, 'device.discovery.interval'],
])('options that are wrong: %j', (given, path) => {
  const parsed = deviceServiceOptions.safeParse({ dataDir: '/', ...given });
  expect(parsed.error?.issues.map((issue) => issue.path.join('.'))).toEqual([path]);
});
