import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { silentLog, systemRandom } from '@antirio/host';
import { testWhen } from '@antirio/testing';
import {
  contractLogin,
  contractPassword,
  createBroker,
  createLocalBus,
  createMqttBus,
  type Broker,
} from './index.ts';

const secret = systemRandom.bytes(32);
const folder = mkdtempSync(join(tmpdir(), 'antirio-broker-'));
const elsewhere = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === 'IPv4' && !address.internal)?.address;

let broker: Broker;
let port = 0;
const clients: MqttClient[] = [];

beforeAll(async () => {
  broker = createBroker(
    {
      secret,
      maxClients: 20,
      maxClientsPerLogin: 3,
      maxPacketBytes: 100_000,
      slowClientMs: 300,
      listeners: [
        { port: 0, bind: '0.0.0.0', anonymous: 'loopback' },
        { socketPath: join(folder, 'foreign.sock'), anonymous: 'none' },
      ],
    },
    silentLog,
  );
  await broker.start();
  port = broker.ports[0] ?? 0;
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
});
afterAll(async () => {
  await broker.stop();
  rmSync(folder, { recursive: true });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

async function open(options: IClientOptions = {}): Promise<MqttClient> {
  const settings: IClientOptions = {
    host: '127.0.0.1',
    port,
    protocol: 'mqtt',
    reconnectPeriod: 0,
    ...options,
  };
  const client = await connectAsync(`mqtt://${settings.host ?? ''}:${port}`, settings, false);
  client.on('error', () => undefined);
  clients.push(client);
  return client;
}

const foreign = (contract: string, more: IClientOptions = {}): Promise<MqttClient> => {
  const username = contractLogin(contract);
  return open({ username, password: contractPassword(secret, username), ...more });
};

const gone = (client: MqttClient): Promise<void> => until(() => !client.connected);

describe('who may come in', () => {
  test('a foreign service only with the password of its own contract', async () => {
    const username = contractLogin('a');
    for (const password of [
      '',
      'x',
      contractPassword(secret, contractLogin('b')),
      contractPassword(new Uint8Array(32), username),
    ])
      await expect(open({ username, password })).rejects.toThrow(/Not authorized/i);
    for (const name of ['admin', 'contract/', 'contract/+', 'contract/#', 'contract/a/b', 'contract/a b'])
      await expect(open({ username: name, password: contractPassword(secret, name) })).rejects.toThrow(
        /Not authorized/i,
      );
    expect(broker.counters().refusedLogins).toBe(10);
  });

  test('nobody without a login over the socket of foreign services', async () => {
    const bus = createMqttBus({ socketPath: join(folder, 'foreign.sock') }, silentLog, {
      publishTimeoutMs: 200,
    });
    await bus.publish('x', '1').catch(() => undefined);
    expect(bus.health().detail).toMatch(/Not authorized/i);
    await bus.close();
  });

  testWhen(elsewhere !== undefined, 'no address but loopback')(
    'nobody without a login from beyond loopback',
    async () => {
      await expect(open({ host: elsewhere })).rejects.toThrow(/Not authorized/i);
      const guest = await foreign('far', { host: elsewhere });
      expect(guest.connected).toBe(true);
    },
  );

  test('so many clients with one login, and so many in all', async () => {
    await Promise.all([foreign('many'), foreign('many'), foreign('many')]);
    await expect(foreign('many')).rejects.toThrow(/Not authorized/i);
    await clients[0]?.endAsync(true);
    await until(() => broker.counters().connected === 2);
    await foreign('many');
    const sockets: Socket[] = [];
    for (let i = 0; i < 25; i++) sockets.push(connectSocket(port, '127.0.0.1'));
    for (const socket of sockets) socket.on('error', () => undefined);
    await until(() => broker.counters().refusedConnections >= 8);
    for (const socket of sockets) socket.destroy();
    await until(() => broker.counters().connected === 3);
    await open();
  });

  test('a foreign client id disconnects no other client', async () => {
    const own = await open({ clientId: 'core-data' });
    const guest = await foreign('hijack', { clientId: 'core-data' });
    await guest.publishAsync('contract/hijack/x', '1', { qos: 1 });
    expect(own.connected).toBe(true);
  });
});

describe('what a foreign service may use', () => {
  test('it hears its own topics only, whatever wildcards it uses', async () => {
    const guest = await foreign('own');
    const heard: string[] = [];
    guest.on('message', (topic) => void heard.push(topic));
    const filters = [
      '#',
      '+/+/#',
      'contract/+/x',
      'contract/#',
      'contract/other/x',
      'contract/own',
      'contract/own/../other/x',
      '$SYS/#',
    ];
    for (const filter of filters.filter((name) => !name.startsWith('contract/own')))
      await expect(guest.subscribeAsync(filter)).rejects.toThrow();
    await expect(guest.subscribeAsync('contract/own')).rejects.toThrow();
    await guest.subscribeAsync('contract/own/#');
    const bus = createLocalBus(broker, silentLog);
    for (const topic of ['x', 'contract/other/x', 'contract/ownx/x', 'contract/own/x'])
      await bus.publish(topic, '1', { qos: 1 });
    await until(() => heard.length > 0);
    expect(heard).toEqual(['contract/own/x']);
    await bus.close();
  });

  test('it speaks on its own topics only, with its last will too', async () => {
    const bus = createLocalBus(broker, silentLog);
    const heard: string[] = [];
    await bus.subscribe('#', (topic) => void heard.push(topic));
    for (const topic of ['x', 'contract/other/x', 'contract/own', 'antirio/datagram/out', '$SYS/x']) {
      const guest = await foreign('own', {
        will: { topic, payload: Buffer.from('will'), qos: 0, retain: true },
      });
      guest.publish(topic, '1');
      await gone(guest);
    }
    const guest = await foreign('own');
    await guest.publishAsync('contract/own/x', '1', { qos: 1 });
    await until(() => heard.length > 0);
    expect(heard).toEqual(['contract/own/x']);
    await bus.close();
  });

  test('it retains a bounded number of messages', async () => {
    const guest = await foreign('keeper');
    const before = broker.counters().retained;
    for (let i = 0; i < 256; i++)
      await guest.publishAsync(`contract/keeper/${i}`, 'x', { qos: 1, retain: true });
    await guest.publishAsync('contract/keeper/0', 'new', { qos: 1, retain: true });
    guest.publish('contract/keeper/256', 'x', { qos: 1, retain: true });
    await gone(guest);
    expect(broker.counters().retained - before).toBe(256);
    const again = await foreign('keeper');
    for (let i = 0; i < 256; i++)
      await again.publishAsync(`contract/keeper/${i}`, '', { qos: 1, retain: true });
    await until(() => broker.counters().retained === before);
  });
});

describe('acknowledgements', () => {
  test('PUBACK and PUBREC come when the subscribers of the process are through, once for each', async () => {
    const bus = createLocalBus(broker, silentLog);
    const hold = Promise.withResolvers<undefined>();
    const heard: string[] = [];
    await bus.subscribe(
      'ack/#',
      async (topic) => {
        heard.push(topic);
        await hold.promise;
      },
      { concurrency: 8 },
    );
    const client = await open();
    const seen: string[] = [];
    client.on('message', (topic) => void seen.push(topic));
    await client.subscribeAsync('ack/#', { qos: 1 });
    let acknowledged = 0;
    const sent = [1, 1, 2].map((qos, i) =>
      client
        .publishAsync(`ack/${i}`, 'x', { qos: qos as 1 | 2, retain: i === 1 })
        .then(() => (acknowledged += 1)),
    );
    await until(() => heard.length === 3);
    await delay(50);
    expect(acknowledged).toBe(0);
    hold.resolve(undefined);
    await Promise.all(sent);
    await until(() => seen.length === 3);
    await delay(20);
    expect([heard.toSorted(), seen.toSorted()]).toEqual([
      ['ack/0', 'ack/1', 'ack/2'],
      ['ack/0', 'ack/1', 'ack/2'],
    ]);
    await client.publishAsync('ack/1', '', { qos: 1, retain: true });
    await bus.close();
  });

  test.each([1, 2] as const)(
    'a refused message with QoS %i ends the connection in place of them',
    async (qos) => {
      const bus = createLocalBus(broker, silentLog);
      let full = true;
      await bus.subscribe(
        'must/take',
        () => {
          if (full) throw new TypeError('planted');
        },
        { required: true },
      );
      const client = await open();
      await client.publishAsync('must/take', '0', { qos: 0 });
      const refused = client.publishAsync('must/take', '1', { qos });
      refused.catch(() => undefined);
      await gone(client);
      full = false;
      const again = await open();
      await again.publishAsync('must/take', '1', { qos });
      await bus.close();
    },
  );
});

describe('bad and slow clients', () => {
  test('an oversized packet ends its connection before it is collected', async () => {
    const client = await open();
    await client.publishAsync('big', Buffer.alloc(99_000), { qos: 1 });
    client.publish('big', Buffer.alloc(100_001), { qos: 1 });
    await gone(client);
    expect(broker.counters().oversized).toBe(1);
  });

  test('garbage ends its connection and nothing else', async () => {
    const other = await open();
    for (const bytes of [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.alloc(64, 0xff),
      Buffer.of(0x10, 2, 0, 4),
      Buffer.of(0x30, 3, 0, 1, 97),
    ]) {
      const socket = connectSocket(port, '127.0.0.1');
      socket.on('error', () => undefined);
      const ended = new Promise((resolve) => socket.once('close', resolve));
      socket.end(bytes);
      socket.resume();
      await ended;
    }
    expect(other.connected).toBe(true);
    expect(broker.health().ok).toBe(true);
  });

  test('a client that takes nothing is disconnected, and its publishers go on', async () => {
    const slow = await open();
    await slow.subscribeAsync('flood');
    (slow.stream as Socket).pause();
    const bus = createLocalBus(broker, silentLog);
    const payload = Buffer.alloc(90_000);
    const before = broker.counters().connected;
    while (broker.counters().connected === before) await bus.publish('flood', payload);
    await bus.publish('flood', payload, { qos: 1 });
    await bus.close();
  });

  test('a client loses nothing when its messages overtake each other in the broker', async () => {
    const client = await open();
    const heard: string[] = [];
    client.on('message', (_, payload) => void heard.push(payload.toString()));
    await client.subscribeAsync('mixed/#');
    const sender = await open();
    // In one chunk: the broker stores retained messages first, while the others pass by.
    (sender.stream as Socket).cork();
    for (let i = 0; i < 100; i++) sender.publish(`mixed/${i}`, String(i), { qos: 0, retain: i % 2 === 0 });
    (sender.stream as Socket).uncork();
    await until(() => heard.length === 100);
    expect(heard.toSorted((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 100 }, (_, i) => String(i)),
    );
  });
});

test('a taken port stops the start with a sentence that names it', async () => {
  const second = createBroker(
    { secret, listeners: [{ port, bind: '127.0.0.1', anonymous: 'loopback' }] },
    silentLog,
  );
  await expect(second.start()).rejects.toMatchObject({
    code: 'unavailable',
    message: `broker: 127.0.0.1:${port} is taken`,
  });
  expect(second.health().ok).toBe(false);
});

test('a second broker leaves the socket to the one that listens there', async () => {
  const socketPath = join(folder, 'foreign.sock');
  const second = createBroker({ secret, listeners: [{ socketPath, anonymous: 'none' }] }, silentLog);
  await expect(second.start()).rejects.toMatchObject({ code: 'unavailable' });
  const socket = connectSocket(socketPath);
  await once(socket, 'connect');
  socket.destroy();
});
