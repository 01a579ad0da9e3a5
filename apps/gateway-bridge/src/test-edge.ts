import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from '@jest/globals';
import { createBroker, createLocalBus, type Broker } from '@antirio/bus';
import {
  callJson,
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  type Bus,
  type HttpPeer,
} from '@antirio/host';
import { createSessionCipher, parseDevAddr, type DevAddr } from '@antirio/lorawan';
import {
  createGatewayBridge,
  gatewayBridgeOptions,
  type GatewayBridge,
  type GatewayBridgeOptionsInput,
} from './index.ts';
import { createTestGateway, type TestGateway } from './test-gateway.ts';

const keys = { nwkSKey: new Uint8Array(16).fill(1), appSKey: new Uint8Array(16).fill(2) };
const cipher = createSessionCipher(keys);
export const ONE = parseDevAddr('01000001');
export const TWO = parseDevAddr('01000002');
export const GATEWAY = '00000000aabbccdd';

export const uplink = (devAddr: DevAddr, fcnt: number, payload = 'x'): Uint8Array =>
  cipher.build(
    { direction: 'up', confirmed: false, devAddr, fcnt, fPort: 2 },
    new Uint8Array(Buffer.from(payload)),
  );
export const downlink = (fcnt: number, payload = 'down', devAddr: DevAddr = ONE): Uint8Array =>
  cipher.build(
    { direction: 'down', confirmed: true, devAddr, fcnt, fPort: 2 },
    new Uint8Array(Buffer.from(payload)),
  );

export interface Edge {
  readonly bridge: GatewayBridge;
  readonly bus: Bus;
  readonly http: HttpPeer;
  readonly gateway: TestGateway;
}

/** The test's own, gone after it. */
export let folder = '';
let closers: (() => unknown)[] = [];
export const onEnd = (close: () => unknown): void => void closers.push(close);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bridge-'));
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
  rmSync(folder, { recursive: true });
});

export async function startBroker(): Promise<Broker> {
  const broker = createBroker(
    { secret: new Uint8Array(32), listeners: [{ port: 0, bind: '127.0.0.1', anonymous: 'loopback' }] },
    silentLog,
  );
  await broker.start();
  onEnd(() => broker.stop());
  return broker;
}

export async function startEdge(
  name: string,
  edge2edge?: HttpPeer,
  udp: Record<string, unknown> = {},
  more: Partial<GatewayBridgeOptionsInput> = {},
): Promise<Edge> {
  const bus = createLocalBus(await startBroker(), silentLog);
  const options = gatewayBridgeOptions.parse({
    port: 0,
    dataDir: join(folder, name),
    udp: { port: 0, gateways: [GATEWAY], txAckTimeoutMs: 200, ...udp },
    gapFilling: { intervalMs: 20 },
    ...more,
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

export const call = (
  edge: Pick<Edge, 'http'>,
  method: 'GET' | 'PUT' | 'POST' | 'DELETE',
  path: string,
  json?: unknown,
): Promise<unknown> => callJson(edge.http, { method, path: `/api/v3${path}`, json });
export const putRing = (
  edge: Pick<Edge, 'http'>,
  id: string,
  change: Record<string, unknown> = {},
): Promise<unknown> =>
  call(edge, 'PUT', `/ring/${id}`, { devAddrs: [ONE, TWO], budgetBytes: 1 << 20, ...change });

export interface Listed {
  frames: { seq: number; phyPayload: string; via: string }[];
}
export const framesOf = async (edge: Pick<Edge, 'http'>, id: string): Promise<Listed['frames']> =>
  ((await call(edge, 'GET', `/ring/${id}/frames?limit=500`)) as Listed).frames;

export interface UpEvent {
  phyPayload: string;
  rxInfo: { context: string; metadata: Record<string, string> };
}

export async function collect(bus: Bus, filter: string): Promise<{ topic: string; event: UpEvent }[]> {
  const events: { topic: string; event: UpEvent }[] = [];
  await bus.subscribe(filter, (topic, payload) => {
    events.push({ topic, event: JSON.parse(Buffer.from(payload).toString()) as UpEvent });
  });
  return events;
}
