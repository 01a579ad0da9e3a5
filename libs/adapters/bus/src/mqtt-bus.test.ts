import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemClock, systemRandom, waitFor, type Bus } from '@antirio/host';
import { contractLogin, contractPassword, createBroker, createMqttBus, type Broker } from './index.ts';
import type { MqttBusLimits } from './mqtt-bus.ts';

const secret = systemRandom.bytes(32);
const MAX_PACKET_BYTES = 10_000;
let folder: string;
let broker: Broker;
let buses: Bus[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-mqtt-bus-'));
  buses = [];
  const socket = { socketPath: join(folder, 'bus.sock'), anonymous: 'all', maxPacketBytes: 2000 } as const;
  const listeners = [{ port: 0, bind: '127.0.0.1', anonymous: 'loopback' } as const, socket];
  broker = createBroker({ secret, maxPacketBytes: MAX_PACKET_BYTES, listeners }, silentLog);
  await broker.start();
});
afterEach(async () => {
  await Promise.all(buses.map((bus) => bus.close()));
  await broker.stop();
  rmSync(folder, { recursive: true });
});

const open = (login = '', limits: MqttBusLimits = {}): Bus => {
  const bus = createMqttBus({ url: `mqtt://${login}127.0.0.1:${broker.ports[0] ?? 0}` }, silentLog, limits);
  buses.push(bus);
  return bus;
};
const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'done',
    (error: unknown) => (error as { readonly code?: unknown }).code,
  );
const until = (condition: () => boolean): Promise<unknown> =>
  waitFor(systemClock, 5000, () => condition() || undefined);

test('a bus that is closed keeps nobody waiting for a broker that is away', async () => {
  const bus = createMqttBus({ socketPath: join(folder, 'nobody.sock') }, silentLog, {
    publishTimeoutMs: 300_000,
    subscribeTimeoutMs: 300_000,
  });
  const waiting = [codeOf(bus.publish('a', Buffer.from('b'))), codeOf(bus.subscribe('a', () => undefined))];
  await until(() => !bus.health().ok);
  await bus.close();
  expect(await Promise.all(waiting)).toEqual(['unavailable', 'unavailable']);
});

describe('what can never be sent', () => {
  test('is refused before it is sent where it is over the limit, and other messages go on', async () => {
    const bus = open('', { maxPayloadBytes: 100 });
    expect(await codeOf(bus.publish('a', Buffer.alloc(101), { qos: 1 }))).toBe('tooLarge');
    expect(await codeOf(bus.publish('a', Buffer.alloc(100), { qos: 1 }))).toBe('done');
  });

  test('is given up where the broker does not take it: it does not go out again with every connection', async () => {
    const bus = open('', { publishTimeoutMs: 500 });
    const got: number[] = [];
    await open().subscribe('a', (_topic, payload) => void got.push(payload.length));
    const size = 2 * MAX_PACKET_BYTES;
    expect(await codeOf(bus.publish('a', Buffer.alloc(size), { qos: 1 }))).toBe('timeout');
    const { oversized } = broker.counters();
    expect(oversized).toBeGreaterThan(0);
    await waitFor(systemClock, 5000, async () => {
      const outcome = await codeOf(bus.publish('a', Buffer.alloc(10), { qos: 1 }));
      return outcome === 'done' || undefined;
    });
    await until(() => got.includes(10));
    // one connection may have begun with it while it was given up
    expect(broker.counters().oversized).toBeLessThanOrEqual(oversized + 1);
    expect(got).not.toContain(size);
  });

  test('a single message may have more than what may be under way in all', async () => {
    const bus = open('', { maxPendingBytes: 1000 });
    const one = bus.publish('a', Buffer.alloc(5000), { qos: 1 });
    expect(await codeOf(bus.publish('a', Buffer.alloc(1), { qos: 1 }))).toBe('busy');
    expect(await codeOf(one)).toBe('done');
  });

  test('a listener may take less than the others', async () => {
    const bus = createMqttBus({ socketPath: join(folder, 'bus.sock') }, silentLog, { publishTimeoutMs: 500 });
    buses.push(bus);
    expect(await codeOf(bus.publish('a', Buffer.alloc(1000), { qos: 1 }))).toBe('done');
    expect(await codeOf(bus.publish('a', Buffer.alloc(3000), { qos: 1 }))).toBe('timeout');
  });
});

describe('a login in the address of the broker', () => {
  const login = contractLogin('c-1');
  const withPassword = (password: string): string =>
    `${encodeURIComponent(login)}:${encodeURIComponent(password)}@`;

  test('is used', async () => {
    const bus = open(withPassword(contractPassword(secret, login)), { publishTimeoutMs: 500 });
    const got: string[] = [];
    await bus.subscribe(`${login}/a`, (topic) => void got.push(topic));
    await bus.publish(`${login}/a`, 'x', { qos: 1 });
    await until(() => got.length === 1);
    expect(await codeOf(bus.publish('elsewhere', 'x', { qos: 1 }))).not.toBe('done');
  });

  test('is told to nobody', async () => {
    const bus = open(withPassword('hunter2'), { publishTimeoutMs: 300 });
    const error = await bus.publish(`${login}/a`, 'x', { qos: 1 }).catch((caught: unknown) => caught);
    expect(String(error)).toMatch(/no broker at mqtt:\/\/127\.0\.0\.1/);
    expect(JSON.stringify([String(error), (error as Error).stack, bus.health()])).not.toMatch(/hunter2/);
  });
});
