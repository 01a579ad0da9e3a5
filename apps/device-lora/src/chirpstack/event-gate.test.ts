import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { createBroker, createLocalBus, createMqttBus } from '@antirio/bus';
import { httpPeer, silentLog, systemClock, systemRandom } from '@antirio/host';
import { createDeviceLora, deviceLoraOptions } from '../index.ts';
import { gateOf } from './event-gate.ts';

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

const FILTER = 'application/+/device/+/event/+';
const TOPIC = 'application/1/device/0102030405060708/event/up';

function scene() {
  const folder = mkdtempSync(join(tmpdir(), 'event-gate-'));
  const socketPath = join(folder, 'bus.sock');
  const broker = createBroker(
    { secret: new Uint8Array(32), listeners: [{ socketPath, anonymous: 'all' }] },
    silentLog,
  );
  const bus = createLocalBus(broker, silentLog);
  const start = async (): Promise<void> => {
    await broker.start();
    endings.push(() => broker.stop());
  };
  endings.push(
    () => rmSync(folder, { recursive: true }),
    () => bus.close(),
  );
  /** Whether ChirpStack's message is acknowledged to it. */
  const isAcknowledged = async (payload: string): Promise<boolean> => {
    const chirpStack = createMqttBus({ socketPath }, silentLog, { publishTimeoutMs: 700 });
    try {
      await chirpStack.publish(TOPIC, payload, { qos: 1 });
      return true;
    } catch {
      return false;
    } finally {
      await chirpStack.close();
    }
  };
  return { folder, socketPath, bus, start, isAcknowledged };
}

test('what comes before the service takes events, or after it, is not acknowledged', async () => {
  const { bus, start, isAcknowledged } = scene();
  const gate = gateOf(bus, FILTER);
  await start();
  expect(await isAcknowledged('early')).toBe(false);
  const taken: string[] = [];
  const shut = await gate.open((_topic, payload) => {
    taken.push(Buffer.from(payload).toString());
    return Promise.resolve();
  });
  expect(await isAcknowledged('in time')).toBe(true);
  await shut();
  expect(await isAcknowledged('late')).toBe(false);
  expect(taken.filter((one) => one !== 'in time')).toEqual([]);
  // who comes next finds it as it is
  expect(gateOf(bus, FILTER)).toBe(gate);
});

test('the one who opened it before cannot shut it for the next one, and waits for what it let through', async () => {
  const { bus, start, isAcknowledged } = scene();
  await start();
  const gate = gateOf(bus, FILTER);
  const slow = Promise.withResolvers<undefined>();
  const begun = Promise.withResolvers<undefined>();
  const shutFirst = await gate.open(async () => {
    begun.resolve(undefined);
    await slow.promise;
  });
  const answer = bus.publish(TOPIC, 'slow', { qos: 1 });
  await begun.promise;
  let isShut = false;
  const shutting = shutFirst().then(() => (isShut = true));
  await gate.open(() => Promise.resolve());
  expect(isShut).toBe(false);
  slow.resolve(undefined);
  await Promise.all([shutting, answer]);
  expect(await isAcknowledged('next')).toBe(true);
});

test('a service is in the way of its broker from when it is built; with a broker elsewhere it says what to do', async () => {
  const { folder, socketPath, bus, start, isAcknowledged } = scene();
  const options = deviceLoraOptions.parse({ dataDir: folder, chirpStack: { mqtt: {} }, devices: [] });
  const peer = httpPeer({ url: 'http://127.0.0.1:9' });
  endings.push(() => peer.close());
  const common = { clock: systemClock, random: systemRandom, log: silentLog };
  const ports = { ...common, peers: { coreData: peer, coreMetadata: peer } };
  createDeviceLora(options, { ...ports, bus });
  await start();
  expect(await isAcknowledged('x')).toBe(false);
  const elsewhere = createMqttBus({ socketPath }, silentLog);
  endings.push(() => elsewhere.close());
  expect(() => createDeviceLora(options, { ...ports, bus: elsewhere })).toThrow('in another process');
});
