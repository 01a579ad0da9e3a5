import { connect as connectSocket, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { connectAsync, type MqttClient } from 'mqtt';
import { silentLog, systemRandom } from '@antirio/host';
import { selfSigned } from '@antirio/testing';
import { createBroker, type Broker } from './index.ts';

/** Of this host's loopback too, and so a stranger only to this test's broker. */
const STRANGER = '127.0.0.2';

let broker: Broker;
const sockets: Socket[] = [];
const clients: MqttClient[] = [];

beforeEach(async () => {
  const material = selfSigned(['localhost']);
  const tls = {
    material: () => material,
    clientCertificates: false,
    isOwnHost: ({ remoteAddress }: Socket) => remoteAddress === '127.0.0.1',
  };
  const secret = systemRandom.bytes(32);
  const listeners = [{ port: 0, bind: '127.0.0.1', anonymous: 'loopback', tls }] as const;
  broker = createBroker({ secret, maxClients: 8, listeners }, silentLog);
  await broker.start();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
  await broker.stop();
});

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!holds() && performance.now() < deadline) await delay(5);
  expect(holds()).toBe(true);
}

const addresses = () => ({ port: broker.ports[0] ?? 0, host: '127.0.0.1', localAddress: STRANGER });

function stranger(): Socket {
  const socket = connectSocket(addresses());
  socket.on('error', () => undefined);
  sockets.push(socket);
  return socket;
}

async function local(): Promise<MqttClient> {
  const { port, host } = addresses();
  const client = await connectAsync(`mqtt://${host}:${port}`, { reconnectPeriod: 0 }, false);
  client.on('error', () => undefined);
  clients.push(client);
  return client;
}

test('strangers that say nothing shut out no client of this host, and are counted', async () => {
  for (let n = 0; n < 20; n++) stranger();
  await until(() => broker.counters().refusedConnections === 14);
  expect([(await local()).connected, (await local()).connected]).toEqual([true, true]);
});

test('nor do those who end their handshake, and show nothing; who goes makes room', async () => {
  for (let n = 0; n < 6; n++) stranger();
  await until(() => sockets.every(({ connecting }) => !connecting));
  for (const socket of sockets.splice(0)) socket.destroy();
  const isSecured = (): Promise<boolean> => {
    const socket = connectTls({ socket: stranger(), rejectUnauthorized: false });
    return new Promise((resolve) => {
      socket.once('secureConnect', () => resolve(true));
      socket.on('error', () => resolve(false));
      socket.once('close', () => resolve(false));
    });
  };
  // until those before are known to have gone, some are refused
  for (let secured = 0; secured < 6;) if (await isSecured()) secured += 1;
  for (let n = 0; n < 4; n++) expect(await isSecured()).toBe(false);
  await until(() => broker.counters().connected === 6);
  expect([(await local()).connected, (await local()).connected]).toEqual([true, true]);
});
