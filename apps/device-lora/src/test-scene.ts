import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from '@jest/globals';
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
import {
  createSessionCipher,
  eventIdOf,
  parseDevAddr,
  parseDevEui,
  sessionFingerprint,
} from '@antirio/lorawan';
import { createDeviceLora, deviceLoraOptions, type DeviceLora } from './index.ts';
import {
  startTestBridge,
  startTestCore,
  startTestRing,
  type TestBridge,
  type TestCore,
  type TestRing,
} from './test-surroundings.ts';

export const devEui = parseDevEui('0102030405060708');
export const devAddr = parseDevAddr('01000001');
export const nwkSKey = '11'.repeat(16);
export const appSKey = '22'.repeat(16);
export const cipher = createSessionCipher({
  nwkSKey: Buffer.from(nwkSKey, 'hex'),
  appSKey: Buffer.from(appSKey, 'hex'),
});
export const session = sessionFingerprint(Buffer.from(nwkSKey, 'hex'), devAddr);
export const device = { devEui, name: 'mote-1', devAddr };
export const LPP = Uint8Array.of(1, 103, 0, 250, 2, 104, 90, 3, 2, 1, 104);

export const uplink = (
  fcnt: number,
  more: { confirmed?: boolean; ack?: boolean; payload?: Uint8Array } = {},
): Uint8Array => {
  const { payload = LPP, confirmed = false, ack = false } = more;
  return cipher.build({ direction: 'up', confirmed, ack, devAddr, fcnt, fPort: 2 }, payload);
};
export const idOf = (fcnt: number): string => eventIdOf({ devEui, session, fcnt });

export interface Status {
  state: string;
  cursor: number;
  stored: number;
  parked: number;
  refused: Record<string, number>;
  otherGateway: number;
  wrongRegion: number;
  reset: number;
  joins?: Record<string, number>;
}

export interface Scene {
  readonly broker: Broker;
  readonly bus: Bus;
  readonly core: TestCore;
  readonly ring: TestRing;
  /** Where the service finds its ring's settings. */
  readonly bridge: TestBridge;
}

export let folder = '';
let closers: (() => unknown)[] = [];
export const onEnd = (close: () => unknown): void => void closers.push(close);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lora-'));
  writeFileSync(
    join(folder, 'secrets.json'),
    JSON.stringify({ keyVersion: 1, sessions: [{ devEui, devAddr, nwkSKey, appSKey }] }),
  );
  writeFileSync(
    join(folder, 'forward.json'),
    JSON.stringify({ keyVersion: 1, sessions: [{ devEui, devAddr, nwkSKey }] }),
  );
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
  rmSync(folder, { recursive: true });
});

export async function startScene(prefix = ''): Promise<Scene> {
  const broker = createBroker(
    { secret: new Uint8Array(32), listeners: [{ socketPath: join(folder, 'bus.sock'), anonymous: 'all' }] },
    silentLog,
  );
  await broker.start();
  onEnd(() => broker.stop());
  const bus = createLocalBus(broker, silentLog);
  onEnd(() => bus.close());
  const core = await startTestCore();
  onEnd(() => core.close());
  const bridge = await startTestBridge();
  onEnd(() => bridge.close());
  const ring = await startTestRing(bus, prefix === '' ? 'own' : 'contract-1', prefix);
  return { broker, bus, core, bridge, ring };
}

export async function startService(
  { bus, core, bridge }: Scene,
  change: Record<string, unknown> = {},
): Promise<{ service: DeviceLora; http: HttpPeer; status: () => Promise<Status> }> {
  const options = deviceLoraOptions.parse({
    port: 0,
    dataDir: folder,
    devices: [device],
    secretsFile: join(folder, 'secrets.json'),
    ...change,
    reading: {
      retransmissionMs: 3000,
      parkedRetryMs: 100,
      refusalsBeforeParking: 2,
      ...(change['reading'] as object | undefined),
    },
  });
  const peers = {
    coreData: httpPeer({ url: core.url }),
    coreMetadata: httpPeer({ url: core.url }),
    gatewayBridge: httpPeer({ url: bridge.url }),
  };
  const service = createDeviceLora(options, {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    bus,
    peers,
  });
  await service.start();
  await until(async () => (await service.health())['core-metadata']?.ok === true);
  const http = httpPeer({ url: `http://127.0.0.1:${String(service.port)}` });
  onEnd(async () => {
    await service.stop();
    http.close();
    for (const peer of Object.values(peers)) peer.close();
  });
  return { service, http, status: async () => (await callJson(http, { path: '/api/v3/status' })) as Status };
}

export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const met = await waitFor(systemClock, timeoutMs, async () => ((await condition()) ? true : undefined), 10);
  expect(met).toBe(true);
}
