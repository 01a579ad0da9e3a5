import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createBroker, createLocalBus } from '@antirio/bus';
import { createEdge2Edge, edge2edgeOptions, type Edge2Edge } from '@antirio/edge2edge';
import { createGatewayBridge, gatewayBridgeOptions } from '@antirio/gateway-bridge';
import {
  callJson,
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  waitFor,
  type HttpPeer,
} from '@antirio/host';
import { generateIdentity, openIdentity, type Identity } from '@antirio/kernel';
import { createSessionCipher, parseDevAddr } from '@antirio/lorawan';

const CONTRACT = '22222222-2222-4333-8444-555555555555';
const DEV_ADDR = parseDevAddr('01000001');
const NOWHERE = 'http://127.0.0.1:9';
const cipher = createSessionCipher({
  nwkSKey: new Uint8Array(16).fill(1),
  appSKey: new Uint8Array(16).fill(2),
});

let folder = '';
let closers: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'centre-way-'));
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
  rmSync(folder, { recursive: true });
});
const onEnd = (close: () => unknown): void => void closers.push(close);

/** A room that knows one thing. */
async function told(body: (path: string) => unknown): Promise<HttpPeer> {
  const server = createServer((request, response) => {
    const known = body(decodeURIComponent(request.url ?? ''));
    response.writeHead(known === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(known ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const peer = httpPeer({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  onEnd(() => {
    peer.close();
    server.close();
    server.closeAllConnections();
  });
  return peer;
}

/** A peer for rooms that begin before the one that they ask. */
function later(): { readonly peer: HttpPeer; is(peer: HttpPeer): void } {
  let known: HttpPeer | undefined;
  const there = (): HttpPeer => known ?? httpPeer({ url: NOWHERE });
  const peer: HttpPeer = {
    call: (call) => there().call(call),
    open: (path, call) => there().open?.(path, call) ?? Promise.reject(new TypeError(path)),
    close: () => undefined,
  };
  return { peer, is: (found) => void (known = found) };
}

interface Door {
  readonly identity: Identity;
  readonly edge: Edge2Edge;
  readonly local: HttpPeer;
  readonly url: string;
}

async function openDoor(name: string, options: object, peers: Record<string, HttpPeer>): Promise<Door> {
  const identity = openIdentity(generateIdentity());
  const broker = createBroker({ secret: new Uint8Array(32), listeners: [] }, silentLog);
  await broker.start();
  const bus = createLocalBus(broker, silentLog);
  const parsed = edge2edgeOptions.parse({
    ...{ port: 0, peerPort: 0, udpPort: 0, dataDir: join(folder, name), ...options },
    relay: { directMs: 300 },
  });
  const ports = { clock: systemClock, random: systemRandom, log: silentLog, bus, identity, peers };
  const edge = createEdge2Edge(parsed, ports);
  await edge.start();
  const local = httpPeer({ url: `http://127.0.0.1:${edge.port}` });
  onEnd(async () => {
    local.close();
    await edge.stop();
    await bus.close();
    await broker.stop();
  });
  return { identity, edge, local, url: `http://127.0.0.1:${edge.peerPort}` };
}

interface Bridge {
  readonly http: HttpPeer;
  /** From a gateway, by the packet forwarder's protocol; resolves when it is acknowledged. */
  hear(fcnt: number): Promise<void>;
}

async function openBridge(name: string, edge2edge: HttpPeer): Promise<Bridge> {
  const broker = createBroker({ secret: new Uint8Array(32), listeners: [] }, silentLog);
  await broker.start();
  const bus = createLocalBus(broker, silentLog);
  const options = gatewayBridgeOptions.parse({
    ...{ port: 0, dataDir: join(folder, name), udp: { port: 0, gateways: ['00000000aabbccdd'] } },
    gapFilling: { intervalMs: 50 },
  });
  const ports = { clock: systemClock, random: systemRandom, log: silentLog, bus, peers: { edge2edge } };
  const bridge = createGatewayBridge(options, ports);
  await bridge.start();
  const { httpPort = 0, udpPort = 0 } = bridge.address ?? {};
  const http = httpPeer({ url: `http://127.0.0.1:${httpPort}` });
  const socket = createSocket('udp4');
  onEnd(async () => {
    socket.close();
    http.close();
    await bridge.stop();
    await bus.close();
    await broker.stop();
  });
  return {
    http,
    async hear(fcnt) {
      const frame = { direction: 'up', confirmed: false, devAddr: DEV_ADDR, fcnt, fPort: 2 } as const;
      const data = Buffer.from(cipher.build(frame, new Uint8Array(8))).toString('base64');
      const radio = { chan: 0, rfch: 0, freq: 868.1, stat: 1, modu: 'LORA', datr: 'SF7BW125', codr: '4/5' };
      const rxpk = [{ tmst: fcnt * 1000, ...radio, rssi: -70, lsnr: 7, size: 21, data }];
      const head = Buffer.from([2, 0, fcnt, 0, ...Buffer.from('00000000aabbccdd', 'hex')]);
      socket.send(Buffer.concat([head, Buffer.from(JSON.stringify({ rxpk }))]), udpPort, '127.0.0.1');
      await once(socket, 'message');
    },
  };
}

interface Filled {
  readonly way: string;
  readonly fetched: number;
}

test('with the way between two edges cut, one fills its gaps through the centre, and directly again when the way is there', async () => {
  const known: { contract?: object } = {};
  const ledger = await told((path) =>
    path.endsWith(`contract/${CONTRACT}`)
      ? { key: `contract/${CONTRACT}`, value: known.contract }
      : undefined,
  );
  const parties: { terms?: object } = {};
  const arbitrator = await told(() => parties);
  const centre = await openDoor('centre', { role: 'central', vetted: 'all' }, { ledger });
  const central = { edgeId: centre.identity.edgeId, url: centre.url };
  const ways = [later(), later()] as const;
  const [bridgeA, bridgeB] = await Promise.all([
    openBridge('a', ways[0].peer),
    openBridge('b', ways[1].peer),
  ]);
  const A = await openDoor('a', { central }, { arbitrator, gatewayBridge: bridgeA.http });
  const B = await openDoor('b', { central }, { arbitrator, gatewayBridge: bridgeB.http });
  ways[0].is(A.local);
  ways[1].is(B.local);
  const [customer, provider] = [A.identity.edgeId, B.identity.edgeId];
  parties.terms = { customer, provider };
  known.contract = { customer, provider, life: { state: 'READY' } };
  const tell = (door: Door, edgeId: string, url: string) =>
    callJson(door.local, { method: 'PUT', path: `/api/v3/peer/${edgeId}`, json: { url } });
  await tell(A, provider, NOWHERE);
  await tell(B, customer, A.url);
  await tell(centre, provider, B.url);

  const put = (bridge: Bridge, id: string, more: object) =>
    callJson(bridge.http, {
      ...{ method: 'PUT', path: `/api/v3/ring/${id}` },
      json: { devAddrs: [DEV_ADDR], budgetBytes: 1 << 20, ...more },
    });
  await put(bridgeA, 'own', {});
  await put(bridgeB, CONTRACT, { deliver: false, owner: customer });
  for (const fcnt of [1, 2, 3]) await bridgeB.hear(fcnt);
  const source = '/api/v3/ring/own/source';
  await callJson(bridgeA.http, {
    method: 'PUT',
    path: source,
    json: { edgeId: provider, ringId: CONTRACT },
  });
  const filled = async (): Promise<Filled> => (await callJson(bridgeA.http, { path: source })) as Filled;
  await waitFor(systemClock, 60_000, async () => (await filled()).fetched === 3 || undefined);
  expect(await filled()).toMatchObject({ way: 'central', fetched: 3 });
  // what came is on A's disk, and B knows
  const acknowledged = async () =>
    ((await callJson(bridgeB.http, { path: `/api/v3/ring/${CONTRACT}` })) as { acknowledged: number })
      .acknowledged;
  await waitFor(systemClock, 60_000, async () => (await acknowledged()) === 3 || undefined);
  expect(await acknowledged()).toBe(3);
  const counted = async (door: Door) =>
    (await callJson(door.local, { path: '/api/v3/counters' })) as Record<string, number>;
  expect(await counted(A)).toMatchObject({ throughCentre: expect.any(Number), notThroughCentre: 0 });
  expect(await counted(centre)).toMatchObject({ relay_refused: 0, relay_failed: 0 });
  expect((await counted(centre))['relay_carried']).toBeGreaterThan(2);

  // the way is there again
  await tell(A, provider, B.url);
  await bridgeB.hear(4);
  await waitFor(systemClock, 60_000, async () => {
    const { way, fetched } = await filled();
    return (way === 'direct' && fetched === 4) || undefined;
  });
  expect(await filled()).toMatchObject({ way: 'direct', fetched: 4 });
});
