import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Aedes } from 'aedes';
import { generate, parser } from 'mqtt-packet';
import { systemRandom } from '@antirio/host';
import { createMqttSender, type MqttSender } from './mqtt-sender.ts';

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

async function listen(server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endings.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function sender(url: string, epoch: number): MqttSender {
  const made = createMqttSender({ url, username: `contract/c/${epoch}`, password: 'p' }, systemRandom);
  endings.push(() => made.close());
  return made;
}

const message = (topic: string) => ({
  topic,
  payload: '{"n":1}',
  properties: { 'Idempotency-Key': 'an-id' },
});

describe('messages to somebody else’s broker', () => {
  test('arrive in MQTT 3.1.1, and are forbidden once the broker refuses their login', async () => {
    let least = 3;
    const broker = await Aedes.createBroker({
      authenticate(_client, username, _password, done) {
        const epoch = Number((username ?? '').split('/')[2]);
        if (epoch >= least) done(null, true);
        else done(Object.assign(new TypeError('revoked'), { returnCode: 5 }), false);
      },
    });
    endings.push(() => new Promise<void>((resolve) => broker.close(() => resolve())));
    const seen: string[] = [];
    broker.on('publish', ({ topic, payload }, client) => {
      if (client !== null) seen.push(`${topic} ${payload.toString()}`);
    });
    const url = await listen(createServer((socket) => void broker.handle(socket)));
    const old = sender(url, 3);
    await old.send(message('a'));
    await Promise.all([old.send(message('b')), old.send(message('c'))]);
    expect(seen).toEqual(['a {"n":1}', 'b {"n":1}', 'c {"n":1}']);
    least = 4;
    await expect(sender(url, 3).send(message('d'))).rejects.toMatchObject({ code: 'forbidden' });
    await sender(url, 4).send(message('e'));
    expect(seen.at(-1)).toBe('e {"n":1}');
  });

  test('carry their properties in MQTT 5, and are not sent where a PUBACK says no', async () => {
    const seen: unknown[] = [];
    let reasonCode = 0;
    const server = createServer((socket) => {
      const incoming = parser({ protocolVersion: 5 });
      socket.on('data', (bytes) => incoming.parse(bytes));
      socket.on('error', () => socket.destroy());
      incoming.on('packet', (packet) => {
        const v5 = { protocolVersion: 5 };
        if (packet.cmd === 'connect')
          socket.write(generate({ cmd: 'connack', reasonCode: 0, sessionPresent: false }, v5));
        if (packet.cmd !== 'publish') return;
        seen.push({ ...packet.properties?.userProperties });
        const { messageId = 0 } = packet;
        socket.write(generate({ cmd: 'puback', messageId, reasonCode }, v5));
      });
    });
    const one = sender(await listen(server), 3);
    await one.send(message('a'));
    expect(seen).toEqual([{ 'Idempotency-Key': 'an-id' }]);
    reasonCode = 135;
    await expect(one.send(message('b'))).rejects.toMatchObject({ code: 'forbidden' });
    reasonCode = 151;
    await expect(one.send(message('c'))).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('are not sent where nobody is, or where the broker goes without an acknowledgement', async () => {
    const url = await listen(createServer((socket) => socket.once('data', () => socket.destroy())));
    await expect(sender(url, 1).send(message('a'))).rejects.toMatchObject({ code: 'unavailable' });
    await expect(sender('mqtt://127.0.0.1:1', 1).send(message('a'))).rejects.toMatchObject({
      code: 'unavailable',
    });
  });
});
