import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createBroker, createLocalBus, type Broker } from '@antirio/bus';
import {
  callJson,
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  waitFor,
  type Bus,
  type HttpPeer,
} from '@antirio/host';
import { merkleRoot, toHex } from '@antirio/kernel';
import { createSessionCipher, parseDevAddr, type DevAddr } from '@antirio/lorawan';
import { createGatewayBridge, gatewayBridgeOptions, type GatewayBridge } from './index.ts';
import { createTestGateway, rxpkOf, type TestGateway } from './test-gateway.ts';

const keys = { nwkSKey: new Uint8Array(16).fill(1), appSKey: new Uint8Array(16).fill(2) };
const cipher = createSessionCipher(keys);
const ONE = parseDevAddr('01000001');
const TWO = parseDevAddr('01000002');
const GATEWAY = '00000000aabbccdd';

const uplink = (devAddr: DevAddr, fcnt: number, payload = 'x'): Uint8Array =>
  cipher.build(
    { direction: 'up', confirmed: false, devAddr, fcnt, fPort: 2 },
    new Uint8Array(Buffer.from(payload)),
  );
const downlink = (fcnt: number, payload = 'down', devAddr: DevAddr = ONE): Uint8Array =>
  cipher.build(
    { direction: 'down', confirmed: true, devAddr, fcnt, fPort: 2 },
    new Uint8Array(Buffer.from(payload)),
  );

interface Edge {
  readonly bridge: GatewayBridge;
  readonly bus: Bus;
  readonly http: HttpPeer;
  readonly gateway: TestGateway;
}

let folder = '';
let closers: (() => unknown)[] = [];
const onEnd = (close: () => unknown): void => void closers.push(close);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bridge-'));
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
  rmSync(folder, { recursive: true });
});

async function startBroker(): Promise<Broker> {
  const broker = createBroker(
    { secret: new Uint8Array(32), listeners: [{ port: 0, bind: '127.0.0.1', anonymous: 'loopback' }] },
    silentLog,
  );
  await broker.start();
  onEnd(() => broker.stop());
  return broker;
}

async function startEdge(
  name: string,
  edge2edge?: HttpPeer,
  udp: Record<string, unknown> = {},
): Promise<Edge> {
  const bus = createLocalBus(await startBroker(), silentLog);
  const options = gatewayBridgeOptions.parse({
    port: 0,
    dataDir: join(folder, name),
    udp: { port: 0, gateways: [GATEWAY], txAckTimeoutMs: 200, ...udp },
    gapFilling: { intervalMs: 20 },
  });
  const peers: Record<string, HttpPeer> = edge2edge === undefined ? {} : { edge2edge };
  const bridge = createGatewayBridge(options, {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    bus,
    peers,
  });
  await bridge.start();
  const { httpPort = 0, udpPort = 0 } = bridge.address ?? {};
  const http = httpPeer({ url: `http://127.0.0.1:${httpPort}` });
  const gateway = await createTestGateway(GATEWAY, udpPort);
  onEnd(async () => {
    await gateway.close();
    http.close();
    await bridge.stop();
    await bus.close();
  });
  return { bridge, bus, http, gateway };
}

const call = (
  edge: Pick<Edge, 'http'>,
  method: 'GET' | 'PUT' | 'POST' | 'DELETE',
  path: string,
  json?: unknown,
): Promise<unknown> => callJson(edge.http, { method, path: `/api/v3${path}`, json });
const putRing = (
  edge: Pick<Edge, 'http'>,
  id: string,
  change: Record<string, unknown> = {},
): Promise<unknown> =>
  call(edge, 'PUT', `/ring/${id}`, { devAddrs: [ONE, TWO], budgetBytes: 1 << 20, ...change });

interface Listed {
  frames: { seq: number; phyPayload: string; via: string }[];
}
const framesOf = async (edge: Pick<Edge, 'http'>, id: string): Promise<Listed['frames']> =>
  ((await call(edge, 'GET', `/ring/${id}/frames?limit=500`)) as Listed).frames;

interface UpEvent {
  phyPayload: string;
  rxInfo: { context: string; metadata: Record<string, string> };
}

async function collect(bus: Bus, filter: string): Promise<{ topic: string; event: UpEvent }[]> {
  const events: { topic: string; event: UpEvent }[] = [];
  await bus.subscribe(filter, (topic, payload) => {
    events.push({ topic, event: JSON.parse(Buffer.from(payload).toString()) as UpEvent });
  });
  return events;
}

describe('from the gateway to the ring and the bus', () => {
  test('a PUSH_ACK means that the frame is in every ring that wants it; others are counted', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    await putRing(edge, 'contract-1', { devAddrs: [TWO], deliver: false });
    const events = await collect(edge.bus, 'eu868/gateway/+/event/up');
    const stranger = uplink(parseDevAddr('09000009'), 1);
    expect(
      await edge.gateway.push([
        rxpkOf(uplink(ONE, 1), 1000),
        rxpkOf(uplink(TWO, 1), 2000),
        rxpkOf(stranger, 3000),
      ]),
    ).toBe(true);
    expect((await framesOf(edge, 'own')).map(({ phyPayload }) => phyPayload)).toEqual(
      [uplink(ONE, 1), uplink(TWO, 1)].map((bytes) => Buffer.from(bytes).toString('base64')),
    );
    expect(await framesOf(edge, 'contract-1')).toHaveLength(1);
    await waitFor(systemClock, 2000, () => events.length >= 2 || undefined);
    expect(
      events.map(({ topic, event }) => [
        topic,
        event.rxInfo.metadata['seq'],
        event.rxInfo.metadata['previousSeq'],
      ]),
    ).toEqual([
      [`eu868/gateway/${GATEWAY}/event/up`, '1', '0'],
      [`eu868/gateway/${GATEWAY}/event/up`, '2', '1'],
    ]);
    const metrics = await edge.http.call({ path: '/api/v3/metrics' });
    const text = Buffer.from(metrics.body).toString();
    expect(text).toMatch(/antirio_gateway_unmatched_frames_total\{kind="unknownDevAddr"\} 1/);
    if (process.platform === 'linux') expect(text).toMatch(/antirio_gateway_udp_kernel_drops 0/);
  });

  test('what must not come in does not: other networks, gateways, garbage; what is broken is not acknowledged', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    const other = await createTestGateway('00000000deadbeef', edge.bridge.address?.udpPort ?? 0);
    onEnd(() => other.close());
    expect(await other.push([rxpkOf(uplink(ONE, 1), 1)], 150)).toBe(false);
    for (const bytes of ['', '02', '02000000', '0200000700000000aabbccdd', '0200010000000000aabbccdd7b'])
      edge.gateway.sendRaw(Buffer.from(bytes, 'hex'));
    edge.gateway.sendRaw(Buffer.alloc(60_000, 0x41));
    expect(
      await edge.gateway.push([
        { ...rxpkOf(uplink(ONE, 2), 1), stat: -1 },
        { data: 7 },
        rxpkOf(uplink(ONE, 3), 2),
      ]),
    ).toBe(true);
    expect(await framesOf(edge, 'own')).toHaveLength(1);
    const text = Buffer.from((await edge.http.call({ path: '/api/v3/metrics' })).body).toString();
    for (const reason of ['unknownGateway', 'malformedJson', 'crcFailed', 'malformedRxpk'])
      expect(text).toMatch(new RegExp(`antirio_gateway_ignored_total\\{reason="${reason}"\\} 1\\n`));
    expect(text).toMatch(/reason="malformedDatagram"\} 5\n/);
    const closed = await startEdge('b', undefined, { sourceNetworks: ['10.0.0.0/8'] });
    await putRing(closed, 'own');
    expect(await closed.gateway.push([rxpkOf(uplink(ONE, 1), 1)], 150)).toBe(false);
  });

  test('the same bytes again are told as such, once kept', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    const events = await collect(edge.bus, 'eu868/gateway/+/event/up');
    for (let i = 0; i < 3; i++) await edge.gateway.push([rxpkOf(uplink(ONE, 1), 1000 + i)]);
    await waitFor(systemClock, 2000, () => events.length >= 3 || undefined);
    expect(events.map(({ event }) => event.rxInfo.metadata['reception'])).toEqual([
      'first',
      'again',
      'again',
    ]);
    expect(await framesOf(edge, 'own')).toHaveLength(1);
  });

  test('a reader gets in order what it missed, window by window', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'contract-1', { prefix: 'contract/contract-1/' });
    for (let fcnt = 1; fcnt <= 7; fcnt++) await edge.gateway.push([rxpkOf(uplink(ONE, fcnt), fcnt)]);
    const events = await collect(edge.bus, 'contract/contract-1/eu868/gateway/+/event/up');
    const replay = (after: number) =>
      edge.bus.publish(
        'contract/contract-1/eu868/gateway/all/command/replay',
        JSON.stringify({ ring: 'contract-1', after, limit: 3 }),
      );
    await replay(0);
    await waitFor(systemClock, 2000, () => events.length >= 3 || undefined);
    await replay(3);
    await waitFor(systemClock, 2000, () => events.length >= 6 || undefined);
    await call(edge, 'POST', '/ring/contract-1/acknowledge', { through: 6 });
    await replay(2);
    await waitFor(systemClock, 2000, () => events.length >= 7 || undefined);
    const seen = events.map(({ event: { rxInfo } }) => [
      Number(rxInfo.metadata['previousSeq']),
      Number(rxInfo.metadata['seq']),
    ]);
    // after the owner's acknowledgement nothing up to 6 is given any more
    expect(seen).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
      [3, 4],
      [4, 5],
      [5, 6],
      [2, 7],
    ]);
    await edge.bus.publish(
      'eu868/gateway/all/command/replay',
      JSON.stringify({ ring: 'contract-1', after: 0, limit: 3 }),
    );
    await edge.bus.publish('contract/contract-1/eu868/gateway/all/command/replay', 'nonsense');
    expect(events).toHaveLength(7);
  });

  test('the root is that of the PHYPayloads in arrival order; neighbours reach only what is theirs', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    await putRing(edge, 'contract-1', { owner: 'customer' });
    const payloads = [1, 2, 3].map((fcnt) => uplink(ONE, fcnt));
    for (const [i, payload] of payloads.entries()) await edge.gateway.push([rxpkOf(payload, i)]);
    expect(await call(edge, 'GET', '/ring/own/root')).toEqual({
      root: toHex(merkleRoot(payloads)),
      count: 3,
      through: 3,
    });
    expect(await call(edge, 'GET', '/ring/own/root?through=2')).toMatchObject({
      root: toHex(merkleRoot(payloads.slice(0, 2))),
    });
    const statusFor = async (path: string, peer: string, method: 'GET' | 'DELETE' = 'GET'): Promise<number> =>
      (await edge.http.call({ method, path: `/api/v3${path}`, headers: { 'x-antirio-peer': peer } })).status;
    expect(await statusFor('/ring/contract-1/offers', 'customer')).toBe(200);
    expect(await statusFor('/ring/contract-1/offers', 'stranger')).toBe(403);
    expect(await statusFor('/ring/own/offers', 'customer')).toBe(403);
    expect(await statusFor('/ring/contract-1', 'customer', 'DELETE')).toBe(403);
    expect(await statusFor('/fence', 'customer')).toBe(403);
  });

  test('input that is wrong gets a clear error', async () => {
    const edge = await startEdge('a');
    await expect(call(edge, 'PUT', '/ring/..', {})).rejects.toThrow();
    await expect(call(edge, 'PUT', '/ring/own', { devAddrs: ['x'], budgetBytes: 5 })).rejects.toThrow(
      /devAddrs.0: a DevAddr/,
    );
    await expect(call(edge, 'PUT', '/ring/own', { devAddrs: [ONE], budgetBytes: 2 ** 40 })).rejects.toThrow(
      /does not fit/,
    );
    await expect(call(edge, 'GET', '/ring/none/frames')).rejects.toThrow(/no ring none/);
    await putRing(edge, 'own');
    await expect(call(edge, 'GET', '/ring/own/offers?limit=100000')).rejects.toThrow(/limit/);
    await expect(call(edge, 'GET', '/ring/own/root?through=5')).rejects.toThrow(/ends at 0/);
    await call(edge, 'DELETE', '/ring/own');
    await expect(call(edge, 'GET', '/ring/own')).rejects.toThrow(/no ring/);
  });
});

test('a contract ring goes on with the frames of the trial that led to it', async () => {
  const edge = await startEdge('a');
  await putRing(edge, 'match-1', { deliver: false });
  await edge.gateway.push([rxpkOf(uplink(ONE, 1), 1)]);
  await putRing(edge, 'contract-1', { adopt: 'match-1', prefix: 'contract/contract-1/' });
  await putRing(edge, 'contract-1', { adopt: 'match-1', prefix: 'contract/contract-1/' });
  await edge.gateway.push([rxpkOf(uplink(ONE, 2), 2)]);
  expect(await framesOf(edge, 'contract-1')).toHaveLength(2);
  await expect(call(edge, 'GET', '/ring/match-1')).rejects.toThrow(/no ring/);
  expect(await call(edge, 'GET', '/ring/contract-1')).toMatchObject({ acknowledged: 0, last: 2, next: 3 });
  const [offer] = (
    (await call(edge, 'GET', '/ring/contract-1/offers')) as { offers: Record<string, unknown>[] }
  ).offers;
  const { devAddr, fcnt, mic, digest } = offer ?? {};
  expect(
    await call(edge, 'POST', '/ring/contract-1/find', { frames: [{ devAddr, fcnt, mic, digest }] }),
  ).toMatchObject({
    frames: [{ seq: 1, phyPayload: Buffer.from(uplink(ONE, 1)).toString('base64') }],
  });
});

describe('downlinks', () => {
  const lora = { bandwidth: 125_000, spreadingFactor: 7, codeRate: 'CR_4_5', polarizationInversion: true };
  const command = (phyPayload: Uint8Array, delays: readonly number[], context: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(context);
    const item = (seconds: number) => ({
      phyPayload: Buffer.from(phyPayload).toString('base64'),
      txInfo: {
        frequency: 868_100_000,
        power: 14,
        modulation: { lora },
        timing: { delay: { delay: `${String(seconds)}s` } },
        context: bytes.toString('base64'),
      },
    });
    return JSON.stringify({ downlinkId: 7, gatewayId: GATEWAY, items: delays.map(item) });
  };
  interface Ack {
    items: { status: string; refused?: string }[];
  }
  const sendOn = async (edge: Edge, json: string, prefix = ''): Promise<Ack['items']> => {
    const acks: Ack[] = [];
    const subscription = await edge.bus.subscribe(
      `${prefix}eu868/gateway/${GATEWAY}/event/ack`,
      (_, payload) => {
        acks.push(JSON.parse(Buffer.from(payload).toString()) as Ack);
      },
    );
    await edge.bus.publish(`${prefix}eu868/gateway/${GATEWAY}/command/down`, json);
    await waitFor(systemClock, 3000, () => acks.length > 0 || undefined);
    await subscription.close();
    return acks[0]?.items ?? [];
  };
  const heard = async (edge: Edge, tmst: number): Promise<void> => {
    await edge.gateway.push([rxpkOf(uplink(ONE, tmst & 0xffff), tmst)]);
  };

  test('a downlink goes out timed on the gateway, and its outcome comes back; RX2 where RX1 is too late', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    await edge.gateway.pull();
    await heard(edge, 4_294_900_000);
    expect(await sendOn(edge, command(downlink(1), [1, 2], 4_294_900_000))).toEqual([
      { status: 'OK' },
      { status: 'IGNORED' },
    ]);
    expect(edge.gateway.downlinks[0]?.txpk).toMatchObject({
      imme: false,
      tmst: 932_704,
      data: Buffer.from(downlink(1)).toString('base64'),
    });
    edge.gateway.answers = ['TOO_LATE', 'NONE'];
    expect(await sendOn(edge, command(downlink(2), [1, 2], 4_294_900_000))).toEqual([
      { status: 'TOO_LATE' },
      { status: 'OK' },
    ]);
    edge.gateway.answers = [undefined];
    expect(await sendOn(edge, command(downlink(3), [1, 2], 4_294_900_000))).toEqual([
      { status: 'INTERNAL_ERROR', refused: 'noTxAck' },
      { status: 'IGNORED' },
    ]);
  });

  test('a gateway is found at its newest address, and not at all before it asks', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    await heard(edge, 1000);
    expect(await sendOn(edge, command(downlink(1), [1], 1000))).toEqual([
      { status: 'INTERNAL_ERROR', refused: 'gatewayUnreachable' },
    ]);
    await edge.gateway.pull();
    await edge.gateway.move();
    await edge.gateway.pull();
    expect(await sendOn(edge, command(downlink(1), [1], 1000))).toEqual([{ status: 'OK' }]);
  });

  test('the fence refuses, and says why', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    await edge.gateway.pull();
    await heard(edge, 1000);
    const now = systemClock.monotonic();
    const set = { devAddrs: [ONE], epoch: 5, slot: 0, actFrom: now, actUntil: now + 60_000 };
    await call(edge, 'PUT', '/fence/set-1', set);
    const reasonOf = async (fcnt: number, delays = [1], text = 'down') =>
      (await sendOn(edge, command(downlink(fcnt, text), delays, 1000)))[0]?.refused;
    expect(await reasonOf(1)).toBe('noBlock');
    await call(edge, 'PUT', '/fence/set-1/block', { devAddr: ONE, first: 0, last: 15 });
    expect(await reasonOf(1)).toBeUndefined();
    expect(await reasonOf(1, [1], 'other bytes')).toBe('counterReused');
    expect(await reasonOf(1)).toBeUndefined();
    expect(await reasonOf(2, [9])).toBe('tooFarAhead');
    await call(edge, 'POST', '/fence/set-1/close');
    expect(await reasonOf(2)).toBe('shut');
    await expect(call(edge, 'PUT', '/fence/set-1', { ...set, epoch: 4 })).rejects.toThrow(/epoch 4 is over/);
    expect(await call(edge, 'GET', '/fence')).toMatchObject({
      refused: { noBlock: 1, counterReused: 1, tooFarAhead: 1, shut: 1 },
      sets: [{ setId: 'set-1', epoch: 5, open: false }],
    });
    expect(edge.gateway.downlinks).toHaveLength(2);
  });

  test('a service sends only to the devices of the rings behind its prefix, and only data downlinks', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own', { devAddrs: [ONE] });
    await putRing(edge, 'contract-1', { devAddrs: [TWO], prefix: 'contract/contract-1/' });
    await edge.gateway.pull();
    await heard(edge, 1000);
    const foreign = await sendOn(edge, command(downlink(1), [1], 1000), 'contract/contract-1/');
    expect(foreign).toEqual([{ status: 'INTERNAL_ERROR', refused: 'foreignDevAddr' }]);
    expect(await sendOn(edge, command(uplink(ONE, 1), [1], 1000))).toEqual([
      { status: 'INTERNAL_ERROR', refused: 'notDataDownlink' },
    ]);
    expect(edge.gateway.downlinks).toHaveLength(0);
  });
});

/** Passes requests on as edge2edge does, unsigned; can be cut. */
async function startEdge2Edge(
  edges: Record<string, () => Edge>,
  from: string,
): Promise<{ peer: HttpPeer; cut: (is: boolean) => void }> {
  let isCut = false;
  const server: Server = createServer((request, response) => {
    void (async () => {
      const [, , , edgeId = '', service, ...path] = (request.url ?? '').split('/');
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const target = edges[edgeId];
      if (isCut || target === undefined || service !== 'gateway-bridge') {
        response.writeHead(503).end('{}');
        return;
      }
      const answer = await target().http.call({
        method: request.method as 'GET' | 'POST',
        path: `/${path.join('/')}`,
        headers: { 'x-antirio-peer': from, 'content-type': 'application/json' },
        body: Buffer.concat(chunks),
      });
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
    })().catch(() => response.writeHead(502).end('{}')); // one of the edges is gone
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const peer = httpPeer({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  onEnd(() => {
    peer.close();
    server.closeAllConnections();
    server.close();
  });
  return { peer, cut: (is) => void (isCut = is) };
}

describe('gap filling', () => {
  test('two edges end with the same frames, whatever each heard alone, and the source may forget them', async () => {
    const edges: Record<string, () => Edge> = {};
    const link = await startEdge2Edge(edges, 'edge-a');
    const a = await startEdge('a', link.peer);
    const b = await startEdge('b', link.peer);
    edges['edge-b'] = () => b;
    await putRing(a, 'own', { devAddrs: [ONE] });
    await putRing(b, 'contract-1', { deliver: false, owner: 'edge-a', retainS: 0 });
    const events = await collect(a.bus, 'eu868/gateway/+/event/up');
    await a.gateway.push([rxpkOf(uplink(ONE, 1), 1)]);
    // the forgery has the MIC of the true frame, which only the neighbour heard
    const forged = uplink(ONE, 2);
    forged[9] = (forged[9] ?? 0) ^ 1;
    await a.gateway.push([rxpkOf(forged, 2)]);
    link.cut(true);
    await call(a, 'PUT', '/ring/own/source', { edgeId: 'edge-b', ringId: 'contract-1' });
    for (const fcnt of [1, 2, 3]) await b.gateway.push([rxpkOf(uplink(ONE, fcnt), fcnt)]);
    await b.gateway.push([rxpkOf(uplink(TWO, 1), 9)]);
    link.cut(false);
    const status = async () =>
      (await call(a, 'GET', '/ring/own/source')) as { pulledThrough: number; fetched: number };
    await waitFor(systemClock, 5000, async () => (await status()).pulledThrough === 4 || undefined);
    expect(await status()).toMatchObject({ edgeId: 'edge-b', pulledThrough: 4, remoteNext: 5, fetched: 2 });
    const frames = await framesOf(a, 'own');
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
    expect(frames.map(({ phyPayload, via }) => [phyPayload, via])).toEqual([
      [text(uplink(ONE, 1)), 'radio'],
      [text(forged), 'radio'],
      [text(uplink(ONE, 2)), 'edge-b'],
      [text(uplink(ONE, 3)), 'edge-b'],
    ]);
    await waitFor(systemClock, 2000, () => events.length >= 4 || undefined);
    expect(events.map(({ event }) => event.rxInfo.metadata['via'])).toEqual([
      'radio',
      'radio',
      'edge-b',
      'edge-b',
    ]);
    const atSource = async () =>
      (await call(b, 'GET', '/ring/contract-1')) as { acknowledged: number; count: number };
    await waitFor(systemClock, 5000, async () => (await atSource()).count === 0 || undefined);
    expect(await atSource()).toMatchObject({ acknowledged: 4, count: 0 });
  });

  test('what does not fit is not acknowledged: the source keeps it', async () => {
    const edges: Record<string, () => Edge> = {};
    const link = await startEdge2Edge(edges, 'edge-a');
    const a = await startEdge('a', link.peer);
    const b = await startEdge('b', link.peer);
    edges['edge-b'] = () => b;
    await putRing(a, 'own', { devAddrs: [ONE], budgetBytes: 1024 });
    await putRing(b, 'contract-1', { deliver: false });
    for (let fcnt = 1; fcnt <= 14; fcnt++) await b.gateway.push([rxpkOf(uplink(ONE, fcnt), fcnt)]);
    await call(a, 'PUT', '/ring/own/source', { edgeId: 'edge-b', ringId: 'contract-1' });
    const waiting = async () => ((await call(a, 'GET', '/ring/own/source')) as { waiting?: string }).waiting;
    await waitFor(systemClock, 5000, async () => (await waiting()) ?? undefined);
    expect(await waiting()).toMatch(/full/);
    expect(await call(b, 'GET', '/ring/contract-1')).toMatchObject({ acknowledged: 0, count: 14 });
    await putRing(a, 'own', { devAddrs: [ONE], budgetBytes: 8192 });
    await waitFor(systemClock, 5000, async () => (await framesOf(a, 'own')).length === 14 || undefined);
    expect(await framesOf(a, 'own')).toHaveLength(14);
  });
});

describe('SIGKILL', () => {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));

  const startChild = async (
    broker: Broker,
  ): Promise<{ child: ChildProcess; httpPort: number; udpPort: number }> => {
    const config = join(folder, 'config.json');
    const udp = { port: 0, gateways: 'any' };
    const rings = { segmentBytes: 4096, burst: 10_000 };
    writeFileSync(
      config,
      JSON.stringify({
        port: 0,
        dataDir: join(folder, 'child'),
        udp,
        rings,
        broker: `mqtt://127.0.0.1:${String(broker.ports[0])}`,
      }),
    );
    const child = spawn(process.execPath, [main, config], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    onEnd(() => child.kill('SIGKILL'));
    for await (const line of createInterface({ input: child.stderr })) {
      if (!line.startsWith('{')) continue;
      const { httpPort, udpPort, msg } = JSON.parse(line) as {
        httpPort: number;
        udpPort: number;
        msg: string;
      };
      if (msg === 'listening') return { child, httpPort, udpPort };
    }
    throw new Error('the bridge did not start');
  };

  test('every frame that was acknowledged is in the ring after the next start', async () => {
    const broker = await startBroker();
    const acknowledged = new Set<string>();
    let fcnt = 0;
    for (let round = 0; round < 4; round++) {
      const { child, httpPort, udpPort } = await startChild(broker);
      const http = httpPeer({ url: `http://127.0.0.1:${httpPort}` });
      await putRing({ http }, 'own', { budgetBytes: 64 << 20 });
      const held = new Map<string, number>();
      for (let after = 0; ;) {
        const page = (await callJson(http, {
          path: `/api/v3/ring/own/frames?after=${after}&limit=500`,
        })) as Listed;
        for (const { phyPayload } of page.frames) held.set(phyPayload, (held.get(phyPayload) ?? 0) + 1);
        const last = page.frames.at(-1);
        if (last === undefined) break;
        after = last.seq;
      }
      for (const phyPayload of acknowledged) expect(held.get(phyPayload)).toBe(1);
      const gateway = await createTestGateway(GATEWAY, udpPort);
      const killAt = 30 + round * 37;
      const pushes: Promise<void>[] = [];
      for (let i = 0; i < 200; i++) {
        const batch = [ONE, TWO].map((devAddr) => uplink(devAddr, (fcnt = (fcnt + 1) & 0xffff)));
        pushes.push(
          gateway
            .push(
              batch.map((bytes) => rxpkOf(bytes, i)),
              400,
            )
            .then((is) => {
              if (is) for (const bytes of batch) acknowledged.add(Buffer.from(bytes).toString('base64'));
            }),
        );
        if (i === killAt) {
          await pushes[killAt - 20];
          child.kill('SIGKILL');
        }
      }
      await Promise.all(pushes);
      await gateway.close();
      http.close();
    }
    expect(acknowledged.size).toBeGreaterThan(50);
  });
});
