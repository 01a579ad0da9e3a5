import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LinkOptionsInput } from './faults.ts';
import type { FaultProxy, LinkStatus } from './proxy.ts';
import { createFaultProxy } from './proxy.ts';

/** A socket on loopback, with all it received so far. */
interface Peer {
  readonly socket: Socket;
  readonly port: number;
  readonly received: string[];
  send(text: string, port: number): void;
}

const peers: Peer[] = [];
let proxy: FaultProxy;
let target: Peer;

async function openPeer(answers = false): Promise<Peer> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const received: string[] = [];
  const peer: Peer = {
    socket,
    port: socket.address().port,
    received,
    send: (text, port) => socket.send(text, port, '127.0.0.1'),
  };
  socket.on('message', (bytes, from) => {
    received.push(bytes.toString());
    if (answers) socket.send(`re:${bytes.toString()}`, from.port, from.address);
  });
  peers.push(peer);
  return peer;
}

/** Draws the given numbers in turn, over and over. */
const sequence = (...draws: number[]): (() => number) => {
  let next = 0;
  return () => draws[next++ % draws.length] ?? 0;
};

beforeEach(async () => {
  target = await openPeer(true);
  proxy = createFaultProxy({ random: () => 0.5 });
});

afterEach(async () => {
  await proxy.close();
  for (const { socket } of peers.splice(0)) socket.close();
});

const addLink = (options: Partial<LinkOptionsInput> = {}): Promise<LinkStatus> =>
  proxy.addLink({ name: 'beats', kind: 'udp', target: { host: '127.0.0.1', port: target.port }, ...options });

async function poll(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

const counters = (): LinkStatus['counters'] => proxy.status()[0]!.counters;

test('each source gets the replies to what it sent', async () => {
  const { port } = await addLink();
  const senders = await Promise.all(Array.from({ length: 20 }, () => openPeer()));
  for (const [index, sender] of senders.entries()) sender.send(String(index), port);
  await poll(() => senders.every(({ received }) => received.length === 1));
  expect(senders.map(({ received }) => received)).toEqual(senders.map((_, index) => [`re:${index}`]));
  expect(proxy.status()[0]?.peers).toMatchObject({ sources: 20, evicted: 0 });
  expect(counters()).toMatchObject({ toTarget: { forwarded: 20 }, toClient: { forwarded: 20 } });
});

test('what does not come from the target is not relayed', async () => {
  const { port } = await addLink();
  const [client, stranger] = [await openPeer(), await openPeer()];
  let natPort = 0;
  target.socket.once('message', (_, from) => (natPort = from.port));
  client.send('hello', port);
  await poll(() => natPort !== 0);
  stranger.send('forged', natPort);
  await poll(() => proxy.status()[0]?.peers.strangers === 1 && client.received.length > 0);
  expect(client.received).toEqual(['re:hello']);
});

test('a cut loses what is sent, in both directions or one, until it is healed', async () => {
  const { port } = await addLink();
  const client = await openPeer();
  proxy.cut({ link: 'beats' });
  client.send('lost', port);
  await poll(() => counters().toTarget.droppedByCut === 1);
  proxy.cut({ link: 'beats' }, { direction: 'toClient' });
  client.send('one way', port);
  await poll(() => counters().toClient.droppedByCut === 1);
  proxy.heal({ link: 'beats' });
  client.send('both ways', port);
  await poll(() => client.received.length === 1);
  expect(target.received).toEqual(['one way', 'both ways']);
  expect(client.received).toEqual(['re:both ways']);
});

test('what is under way when the cut comes is lost in it', async () => {
  const { port } = await addLink({ faults: { delayMs: 1_000 } });
  const client = await openPeer();
  client.send('under way', port);
  await poll(() => proxy.status()[0]?.peers.sources === 1);
  proxy.cut({ all: true });
  await poll(() => counters().toTarget.droppedByCut === 1);
  expect(target.received).toEqual([]);
});

test('loss takes its part, and is counted', async () => {
  await proxy.close();
  proxy = createFaultProxy({ random: sequence(0.1, 0.3, 0.3, 0.3) });
  const { port } = await addLink();
  proxy.setFaults({ all: true }, { loss: 0.2 }, 'toTarget');
  const client = await openPeer();
  client.send('a', port);
  await poll(() => counters().toTarget.droppedByLoss === 1);
  client.send('b', port);
  await poll(() => client.received.length === 1);
  expect(target.received).toEqual(['b']);
});

test('a duplicated datagram arrives twice', async () => {
  const { port } = await addLink();
  proxy.setFaults({ all: true }, { duplicate: 1 }, 'toTarget');
  const client = await openPeer();
  client.send('twice', port);
  await poll(() => target.received.length === 2);
  expect(target.received).toEqual(['twice', 'twice']);
  expect(counters().toTarget).toMatchObject({ duplicated: 1, forwarded: 2 });
});

test('a reordered datagram is overtaken by later ones', async () => {
  const { port } = await addLink();
  const client = await openPeer();
  proxy.setFaults({ all: true }, { reorder: 1, reorderMs: 1_000 }, 'toTarget');
  client.send('first', port);
  await poll(() => counters().toTarget.reordered === 1);
  proxy.setFaults({ all: true }, { reorder: 0 }, 'toTarget');
  client.send('second', port);
  await poll(() => target.received.length === 2);
  expect(target.received).toEqual(['second', 'first']);
});

test('healing goes back to the faults that the link has by nature', async () => {
  await addLink({ faults: { delayMs: 20 } });
  proxy.setFaults({ all: true }, { delayMs: 500, loss: 1 });
  proxy.heal({ all: true });
  expect(proxy.status()[0]?.faults.toTarget).toMatchObject({ delayMs: 20, loss: 0 });
});

test('too many delayed datagrams are dropped and counted', async () => {
  const { port } = await addLink({ faults: { delayMs: 1_000 }, maxInFlight: 3 });
  const client = await openPeer();
  for (const text of ['1', '2', '3', '4', '5']) client.send(text, port);
  await poll(() => counters().toTarget.droppedByOverflow === 2);
  await poll(() => target.received.length === 3);
});

test('too many sources make the one silent for longest forgotten', async () => {
  const { port } = await addLink({ maxSources: 2 });
  const [first, second, third] = [await openPeer(), await openPeer(), await openPeer()];
  for (const sender of [first, second, first, third]) {
    const count = sender.received.length;
    sender.send('x', port);
    await poll(() => sender.received.length > count);
  }
  expect(proxy.status()[0]?.peers).toMatchObject({ sources: 2, evicted: 1 });
  first.send('still here', port);
  await poll(() => first.received.includes('re:still here'));
  expect(proxy.status()[0]?.peers.evicted).toBe(1);
});

test('a link can lead elsewhere', async () => {
  const { port } = await addLink();
  const [client, other] = [await openPeer(), await openPeer(true)];
  await proxy.retarget('beats', '127.0.0.1', other.port);
  client.send('moved', port);
  await poll(() => client.received.length === 1);
  expect([other.received, target.received]).toEqual([['moved'], []]);
});
