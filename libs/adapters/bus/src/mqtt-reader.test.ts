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

async function startBroker(): Promise<string> {
  const broker = await Aedes.createBroker({});
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    broker.handle(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endings.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    return new Promise<void>((resolve) => broker.close(() => resolve()));
  });
  return `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('nothing is lost of what comes while nobody reads, or while what reads cannot keep it', async () => {
  const url = await startBroker();
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
