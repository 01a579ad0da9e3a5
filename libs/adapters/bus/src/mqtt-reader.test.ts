import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { Aedes } from 'aedes';
import { silentLog, systemClock, waitFor } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { createMqttBus, createMqttReader, type MqttReader } from './index.ts';

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

const until = async (condition: () => boolean): Promise<void> => {
  expect(await waitFor(systemClock, 8000, () => Promise.resolve(condition() || undefined), 10)).toBe(true);
};

async function startBroker(): Promise<{ url: string; pings: () => number; drop: () => void }> {
  const broker = await Aedes.createBroker({});
  const sockets = new Set<Socket>();
  let pings = 0;
  broker.on('ping', () => (pings += 1));
  const drop = (): void => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    broker.handle(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endings.push(() => {
    drop();
    server.close();
    return new Promise<void>((resolve) => broker.close(() => resolve()));
  });
  const url = `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, pings: () => pings, drop };
}

test('nothing is lost of what comes while nobody reads, or while what reads cannot keep it', async () => {
  const { url } = await startBroker();
  const read: string[] = [];
  let full = false;
  const open = (): MqttReader => {
    const reader = createMqttReader({
      ...{ address: { url }, clientId: 'edge', filter: 'a/+', log: silentLog },
      onMessage(_topic, payload) {
        if (full) return Promise.reject(new AntirioError('storageFull', 'no room'));
        read.push(Buffer.from(payload).toString());
        return Promise.resolve();
      },
    });
    endings.push(() => reader.close());
    return reader;
  };
  const first = open();
  await until(() => first.health().ok);
  const sender = createMqttBus({ url }, silentLog);
  endings.push(() => sender.close());
  await sender.publish('a/b', '1', { qos: 1 });
  await until(() => read.length === 1);
  full = true;
  await sender.publish('a/b', '2', { qos: 1 });
  await until(() => !first.health().ok);
  expect(first.health().detail).toContain('no room');
  await first.close();
  await sender.publish('a/b', '3', { qos: 1 });
  full = false;
  const second = open();
  await until(() => read.length === 3);
  expect(read.toSorted()).toEqual(['1', '2', '3']);
  expect(second.health().ok).toBe(true);
});

test('a message that waits is tried once at a time, however often the connection is lost, and the connection outlives it', async () => {
  const { url, pings, drop } = await startBroker();
  let tried: Uint8Array[] = [];
  const reader = createMqttReader({
    ...{ address: { url }, clientId: 'edge', filter: 'a/+', log: silentLog },
    onMessage(_topic, payload) {
      tried.push(payload);
      return Promise.reject(new AntirioError('storageFull', 'no room'));
    },
  });
  endings.push(() => reader.close());
  await until(() => reader.health().ok);
  const sender = createMqttBus({ url }, silentLog);
  await sender.publish('a/b', '1', { qos: 1 });
  await sender.close();
  for (const _time of [1, 2]) {
    await until(() => tried.length > 0);
    tried = [];
    drop();
  }
  // those of the connections that are lost would be among them
  await until(() => tried.length > 0);
  tried = [];
  await until(() => tried.length > 2);
  expect(new Set(tried).size).toBe(1);
  // answers cannot be heard behind the message; the broker knows all the same that we are here
  expect(pings()).toBeGreaterThan(1);
});
