import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createBroker, createLocalBus, type Broker } from '@antirio/bus';
import {
  callJson,
  httpPeer,
  silentLog,
  sleep,
  systemClock,
  systemRandom,
  waitFor,
  type Bus,
  type HttpPeer,
} from '@antirio/host';
import {
  createSessionCipher,
  eventIdOf,
  parseDataFrame,
  parseDevAddr,
  parseDevEui,
  sessionFingerprint,
  type DataFrame,
} from '@antirio/lorawan';
import { createDeviceLora, deviceLoraOptions, type DeviceLora } from './index.ts';
import { startTestCore, startTestRing, type TestCore, type TestRing } from './test-surroundings.ts';

const devEui = parseDevEui('0102030405060708');
const devAddr = parseDevAddr('01000001');
const nwkSKey = '11'.repeat(16);
const appSKey = '22'.repeat(16);
const cipher = createSessionCipher({
  nwkSKey: Buffer.from(nwkSKey, 'hex'),
  appSKey: Buffer.from(appSKey, 'hex'),
});
const session = sessionFingerprint(Buffer.from(nwkSKey, 'hex'), devAddr);
const device = { devEui, name: 'mote-1', devAddr };
const LPP = Uint8Array.of(1, 103, 0, 250, 2, 104, 90, 3, 2, 1, 104);

const uplink = (
  fcnt: number,
  more: { confirmed?: boolean; ack?: boolean; payload?: Uint8Array } = {},
): Uint8Array => {
  const { payload = LPP, confirmed = false, ack = false } = more;
  return cipher.build({ direction: 'up', confirmed, ack, devAddr, fcnt, fPort: 2 }, payload);
};
const idOf = (fcnt: number): string => eventIdOf({ devEui, session, fcnt });

interface Status {
  state: string;
  cursor: number;
  stored: number;
  parked: number;
  refused: Record<string, number>;
}

interface Scene {
  readonly broker: Broker;
  readonly bus: Bus;
  readonly core: TestCore;
  readonly ring: TestRing;
}

let folder = '';
let closers: (() => unknown)[] = [];
const onEnd = (close: () => unknown): void => void closers.push(close);

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

async function startScene(prefix = ''): Promise<Scene> {
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
  return { broker, bus, core, ring: await startTestRing(bus, prefix === '' ? 'own' : 'contract-1', prefix) };
}

async function startService(
  { bus, core }: Scene,
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
  const peers = { coreData: httpPeer({ url: core.url }), coreMetadata: httpPeer({ url: core.url }) };
  const service = createDeviceLora(options, {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    bus,
    peers,
  });
  await service.start();
  const http = httpPeer({ url: `http://127.0.0.1:${String(service.port)}` });
  onEnd(async () => {
    await service.stop();
    http.close();
    for (const peer of Object.values(peers)) peer.close();
  });
  return { service, http, status: async () => (await callJson(http, { path: '/api/v3/status' })) as Status };
}

async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const met = await waitFor(systemClock, timeoutMs, async () => ((await condition()) ? true : undefined), 10);
  expect(met).toBe(true);
}

describe('from the ring to core-data', () => {
  test('a genuine frame becomes one event with its identity; everything else is counted and passed', async () => {
    const scene = await startScene();
    const { status, http } = await startService(scene);
    const { ring, core } = scene;
    await ring.hear(uplink(1));
    await ring.hear(uplink(2), { via: '12D3KooWneighbour' });
    const flipped = uplink(3);
    flipped[9] = (flipped[9] ?? 0) ^ 1;
    await ring.hear(flipped);
    const foreign = createSessionCipher({ nwkSKey: new Uint8Array(16) });
    await ring.hear(foreign.build({ direction: 'up', confirmed: false, devAddr, fcnt: 4 }));
    await ring.hear(
      foreign.build({ direction: 'up', confirmed: false, devAddr: parseDevAddr('05000005'), fcnt: 4 }),
    );
    await ring.hear(uplink(1));
    await until(async () => (await status()).cursor === 6);
    await ring.hearAgain(1, '0000000000000001');
    await sleep(3200);
    await ring.hearAgain(2);
    await until(async () => (await status()).refused['replay'] === 1);
    expect(await status()).toMatchObject({
      state: 'reading',
      stored: 2,
      refused: { badMic: 2, unknown: 1, retransmission: 1, replay: 1, conflict: 0 },
      otherGateway: 1,
    });
    expect([...core.events.keys()]).toEqual([idOf(1), idOf(2)]);
    const event = core.events.get(idOf(1));
    expect(event).toMatchObject({
      deviceName: 'mote-1',
      profileName: 'lora-environment-sensor',
      sourceName: 'uplink',
    });
    expect(event?.tags).toMatchObject({
      devEUI: devEui,
      devAddr,
      fCnt: 1,
      session,
      gatewayId: '00000000aabbccdd',
      rssi: -60,
      snr: 7.5,
      via: 'radio',
      fPort: 2,
    });
    expect(event?.tags['phyPayload']).toBe(Buffer.from(uplink(1)).toString('base64'));
    expect(core.events.get(idOf(2))?.tags['via']).toBe('12D3KooWneighbour');
    expect(event?.readings.map(({ resourceName, value }) => [resourceName, Number(value)])).toEqual([
      ['temperature_1', 25],
      ['relative_humidity_2', 45],
      ['analog_in_3', 3.6],
    ]);
    const answer = (await callJson(http, { path: '/api/v3/device/name/mote-1/uplink' })) as {
      event: { readings: unknown[] };
    };
    expect(answer.event.readings).toHaveLength(3);
    await until(() => core.registered.has('device/mote-1'));
    expect([...core.registered.keys()]).toEqual([
      'deviceservice/device-lora',
      'deviceprofile/lora-environment-sensor',
      'device/mote-1',
    ]);
  });

  test('the cursor waits for core-data, and nothing is lost while it fails; it is found again after a start', async () => {
    const scene = await startScene();
    const { ring, core } = scene;
    const { service, status } = await startService(scene);
    core.verdict = ({ tags }) => (tags['fCnt'] === 2 ? 503 : undefined);
    for (const fcnt of [1, 2, 3]) await ring.hear(uplink(fcnt));
    await until(() => core.events.size === 2);
    await sleep(200);
    expect((await status()).cursor).toBe(1);
    expect((await service.health())['coreData']?.ok).toBe(false);
    await service.stop();
    core.verdict = undefined;
    await ring.hear(uplink(4));
    const again = await startService(scene);
    await until(async () => (await again.status()).cursor === 4);
    expect([...core.events.keys()].sort()).toEqual([1, 2, 3, 4].map(idOf).sort());
    expect((await again.status()).stored).toBe(4);
  });

  test('frames that were missed live are asked for, in windows, and the newest are served meanwhile', async () => {
    const scene = await startScene();
    const { ring, core } = scene;
    const { status } = await startService(scene, { reading: { window: 32 } });
    for (let fcnt = 1; fcnt <= 300; fcnt++) await ring.hear(uplink(fcnt), { live: false });
    await ring.hear(uplink(301));
    await until(() => core.events.has(idOf(301)));
    expect(core.events.size).toBeLessThan(301);
    await until(async () => (await status()).cursor === 301);
    expect(core.events.size).toBe(301);
    expect(core.doubled).toBe(0);
  });

  test('an event that core-data refuses for good is put aside, shown, and stored once it may be', async () => {
    const scene = await startScene();
    const { ring, core } = scene;
    const { service, status } = await startService(scene);
    core.verdict = ({ tags }) => (tags['fCnt'] === 1 ? 400 : undefined);
    for (const fcnt of [1, 2]) await ring.hear(uplink(fcnt));
    await until(async () => (await status()).cursor === 2);
    expect(await status()).toMatchObject({ stored: 1, parked: 1 });
    expect((await service.health())['parked']?.ok).toBe(false);
    core.verdict = undefined;
    await until(() => core.events.has(idOf(1)));
    await until(async () => (await service.health())['parked']?.ok === true);
  });

  test('in `forward` the payload is stored as it came', async () => {
    const scene = await startScene();
    await startService(scene, { secretsFile: join(folder, 'forward.json') });
    await scene.ring.hear(uplink(1));
    await until(() => scene.core.events.size === 1);
    const [event] = scene.core.events.values();
    expect(event?.sourceName).toBe('payload');
    const encrypted = Buffer.from(parseDataFrame(uplink(1)).frmPayload).toString('base64');
    expect(event?.readings).toMatchObject([{ resourceName: 'payload', binaryValue: encrypted }]);
  });

  test('in shadow nothing is read; activated, the whole ring is; standing down, nothing again', async () => {
    const scene = await startScene('contract/contract-1/');
    const { bus, ring, core } = scene;
    const { status } = await startService(scene, {
      prefix: 'contract/contract-1/',
      ring: 'contract-1',
      startState: 'shadow',
      secretsFile: undefined,
    });
    const states: string[] = [];
    await bus.subscribe('contract/contract-1/antirio/service/device-lora/status', (_, payload) => {
      const { state } = JSON.parse(Buffer.from(payload).toString()) as Status;
      if (states.at(-1) !== state) states.push(state);
    });
    const tell = (message: unknown) =>
      bus.publish('contract/contract-1/antirio/service/device-lora/control', JSON.stringify(message));
    for (const fcnt of [1, 2]) await ring.hear(uplink(fcnt));
    await tell({ type: 'activate', secretsFile: join(folder, 'nothing.json') });
    await tell({ type: 'nonsense' });
    expect(await status()).toMatchObject({ state: 'shadow', stored: 0 });
    await tell({ type: 'activate', secretsFile: join(folder, 'secrets.json') });
    await until(() => core.events.size === 2);
    await tell({ type: 'standdown' });
    await until(async () => (await status()).state === 'shadow');
    await ring.hear(uplink(3));
    await tell({ type: 'activate', secretsFile: join(folder, 'secrets.json') });
    await until(() => core.events.size === 3);
    expect(core.doubled).toBe(0);
    expect(states).toEqual(['shadow', 'reading', 'shadow', 'reading']);
  });
});

test('with other keys the service goes on with these; the same ones again change nothing', async () => {
  const scene = await startScene();
  const { bus, ring, core } = scene;
  const { status } = await startService(scene);
  const newKeys = { nwkSKey: '33'.repeat(16), appSKey };
  const renewed = createSessionCipher({ nwkSKey: Buffer.from(newKeys.nwkSKey, 'hex') });
  writeFileSync(
    join(folder, 'renewed.json'),
    JSON.stringify({
      keyVersion: 2,
      sessions: [
        { devEui, devAddr, nwkSKey, appSKey },
        { devEui, devAddr, ...newKeys },
      ],
    }),
  );
  const tell = (secretsFile: string) =>
    bus.publish(
      'antirio/service/device-lora/control',
      JSON.stringify({ type: 'activate', secretsFile: join(folder, secretsFile) }),
    );
  await ring.hear(uplink(1));
  await tell('secrets.json');
  await ring.hear(renewed.build({ direction: 'up', confirmed: false, devAddr, fcnt: 0 }));
  await until(async () => (await status()).refused['badMic'] === 1);
  await tell('renewed.json');
  await ring.hear(renewed.build({ direction: 'up', confirmed: false, devAddr, fcnt: 1 }));
  await ring.hear(uplink(2));
  await until(() => core.events.size === 3);
  const sessions = new Set([...core.events.values()].map(({ tags }) => tags['session']));
  expect(sessions.size).toBe(2);
});

describe('downlinks', () => {
  const grantFrom = async (bus: Bus, start: number): Promise<{ asked: { above: number }[] }> => {
    const asked: { above: number }[] = [];
    let first = start;
    await bus.subscribe('antirio/fcntdown/request', async (_, payload) => {
      const request = JSON.parse(Buffer.from(payload).toString()) as {
        requestId: string;
        devAddr: string;
        above: number;
      };
      asked.push(request);
      await bus.publish('antirio/fcntdown/grant', JSON.stringify({ ...request, first, last: first + 15 }));
      first += 64;
    });
    return { asked };
  };
  const sentBy = (ring: TestRing): DataFrame[] =>
    ring.downlinks.map(({ items }) => parseDataFrame(Buffer.from(items[0]?.phyPayload ?? '', 'base64')));
  const put = (http: HttpPeer, command: string, json: unknown) =>
    callJson(http, { method: 'PUT', path: `/api/v3/device/name/mote-1/${command}`, json });
  const states = async (http: HttpPeer): Promise<string[]> => {
    const answer = (await callJson(http, { path: '/api/v3/device/name/mote-1/downlinkState' })) as {
      event: { readings: { objectValue: { downlinks: { state: string }[] } }[] };
    };
    return answer.event.readings[0]?.objectValue.downlinks.map(({ state }) => state) ?? [];
  };

  test('a confirmed downlink goes at the next live uplink, again with the same bytes until it is acknowledged', async () => {
    const scene = await startScene();
    const { ring, bus, core } = scene;
    await grantFrom(bus, 64);
    const { http } = await startService(scene);
    await put(http, 'interval', { interval: '300' });
    expect(await states(http)).toEqual(['queued']);
    // a backlog frame is answered by nobody
    await ring.hear(uplink(1), { live: false });
    await ring.hear(uplink(2), { via: 'neighbour' });
    await until(() => core.events.size === 2);
    expect(ring.downlinks).toHaveLength(0);
    await ring.hear(uplink(3));
    await until(async () => (await states(http))[0] === 'sent');
    const [frame] = sentBy(ring);
    expect(frame).toMatchObject({ direction: 'down', confirmed: true, devAddr, fcnt16: 64, fPort: 10 });
    expect(frame && cipher.verifies(frame, 64)).toBe(true);
    expect(frame && [...cipher.decrypt(frame, 64)]).toEqual([1, 44]);
    expect(ring.downlinks[0]?.items.map(({ txInfo }) => [txInfo.frequency, txInfo.context])).toEqual([
      [868_100_000, 'AQIDBA=='],
      [869_525_000, 'AQIDBA=='],
    ]);
    await ring.hear(uplink(4));
    await until(() => ring.downlinks.length === 2);
    expect(ring.downlinks[1]?.items[0]?.phyPayload).toBe(ring.downlinks[0]?.items[0]?.phyPayload);
    await sleep(50);
    await ring.hear(uplink(5, { ack: true }));
    await until(async () => (await states(http))[0] === 'acknowledged');
    await ring.hear(uplink(6));
    await until(() => core.events.size === 6);
    expect(ring.downlinks).toHaveLength(2);
  });

  test('after three times on air it is given up; a new value replaces an old one; the bridge’s refusal asks for other counters', async () => {
    const scene = await startScene();
    const { ring, bus } = scene;
    const { asked } = await grantFrom(bus, 0);
    const { http } = await startService(scene);
    await put(http, 'interval', { interval: 1 });
    await put(http, 'interval', { interval: 2 });
    expect(await states(http)).toEqual(['queued', 'failed']);
    for (let fcnt = 1; fcnt <= 3; fcnt++) {
      await ring.hear(uplink(fcnt));
      await until(() => ring.downlinks.length === fcnt);
      await sleep(50);
    }
    await ring.hear(uplink(4));
    await until(async () => (await states(http))[0] === 'failed');
    expect(ring.downlinks).toHaveLength(3);
    await put(http, 'downlink', { downlink: { payload: 'ff', fPort: 7 } });
    ring.outcomes = [[{ status: 'INTERNAL_ERROR', refused: 'noBlock' }]];
    await ring.hear(uplink(5));
    await until(() => ring.downlinks.length === 4);
    await sleep(50);
    await ring.hear(uplink(6));
    await until(async () => (await states(http))[0] === 'sent');
    expect(sentBy(ring).map(({ fcnt16 }) => fcnt16)).toEqual([0, 0, 0, 1, 64]);
    expect(asked.map(({ above }) => above)).toEqual([-1, 1]);
  });

  test('a confirmed uplink is acknowledged while its windows are open, also when it is repeated', async () => {
    const scene = await startScene();
    const { ring, bus, core } = scene;
    const { http } = await startService(scene);
    await ring.hear(uplink(1, { confirmed: true }));
    await until(() => core.events.size === 1);
    expect(ring.downlinks).toHaveLength(0);
    await grantFrom(bus, 16);
    await sleep(1100);
    await ring.hear(uplink(2, { confirmed: true }));
    await until(() => ring.downlinks.length === 1);
    const [frame] = sentBy(ring);
    expect(frame).toMatchObject({ ack: true, confirmed: false, fcnt16: 16, fPort: undefined });
    await sleep(300);
    await ring.hearAgain(2);
    await until(() => ring.downlinks.length === 2);
    expect(ring.downlinks[1]?.items[0]?.phyPayload).toBe(ring.downlinks[0]?.items[0]?.phyPayload);
    await expect(put(http, 'nothing', {})).rejects.toThrow(/no command/);
    await expect(put(http, 'temperature_1', { temperature_1: 1 })).rejects.toThrow(/cannot be written/);
    await expect(put(http, 'interval', { interval: 'x' })).rejects.toThrow(/not a Uint16/);
    await expect(put(http, 'interval', {})).rejects.toThrow(/no value/);
  });

  test('a counter that was used is never used again, whatever the next start is granted', async () => {
    const scene = await startScene();
    const { ring, bus } = scene;
    await bus.subscribe('antirio/fcntdown/request', async (_, payload) => {
      const request = JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>;
      await bus.publish('antirio/fcntdown/grant', JSON.stringify({ ...request, first: 0, last: 15 }));
    });
    for (let round = 1; round <= 3; round++) {
      const { service, http } = await startService(scene);
      await put(http, 'downlink', { downlink: `0${String(round)}` });
      await ring.hear(uplink(round));
      await until(() => ring.downlinks.length === round);
      await service.stop();
    }
    expect(sentBy(ring).map(({ fcnt16 }) => fcnt16)).toEqual([0, 1, 2]);
  });
});

describe('as the image of a customer', () => {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const startChild = ({ core }: Scene): ChildProcess => {
    const run = join(folder, 'run');
    mkdirSync(run, { recursive: true });
    const config = {
      bus: { socket: join(folder, 'bus.sock') },
      north: { coreData: { url: core.url }, coreMetadata: { url: core.url } },
      listen: { socket: join(run, 'svc.sock') },
      dataDir: join(folder, 'child'),
      devices: [device],
      secretsFile: join(folder, 'secrets.json'),
    };
    writeFileSync(join(run, 'config.json'), JSON.stringify(config));
    const env = { ...process.env, NODE_OPTIONS: '', ANTIRIO_RUN_DIR: run };
    const child = spawn(process.execPath, [main], { stdio: ['pipe', 'ignore', 'ignore'], env });
    onEnd(() => child.kill('SIGKILL'));
    return child;
  };
  const ended = (child: ChildProcess): Promise<number | null> =>
    new Promise((resolve) => {
      child.once('exit', (code) => resolve(code));
    });

  test('killed at any moment it goes on from its disk: every frame of the ring is stored, once', async () => {
    const scene = await startScene();
    const { ring, core } = scene;
    let fcnt = 0;
    for (let round = 0; round < 3; round++) {
      const child = startChild(scene);
      const before = core.events.size;
      await until(async () => {
        fcnt += 1;
        await ring.hear(uplink(fcnt));
        await sleep(5);
        return core.events.size > before + 20 + round * 7;
      }, 15_000);
      const exit = ended(child);
      child.kill('SIGKILL');
      await exit;
      for (let i = 0; i < 5; i++) await ring.hear(uplink((fcnt += 1)));
    }
    const child = startChild(scene);
    await until(() => core.events.size === fcnt, 15_000);
    expect([...core.events.keys()].sort()).toEqual(
      Array.from({ length: fcnt }, (_, i) => idOf(i + 1)).sort(),
    );
    const socket = httpPeer({ socketPath: join(folder, 'run', 'svc.sock') });
    onEnd(() => socket.close());
    await until(
      async () => ((await callJson(socket, { path: '/api/v3/status' })) as Status).cursor === ring.last,
    );
    const exit = ended(child);
    child.stdin?.end();
    expect(await exit).toBe(0);
  });

  test('SIGTERM ends it in order; a wrong configuration ends it at once', async () => {
    const scene = await startScene();
    const child = startChild(scene);
    await scene.ring.hear(uplink(1));
    await until(() => scene.core.events.size === 1, 10_000);
    const exit = ended(child);
    child.kill('SIGTERM');
    expect(await exit).toBe(0);
    const run = join(folder, 'wrong');
    mkdirSync(run);
    writeFileSync(join(run, 'config.json'), JSON.stringify({ dataDir: folder, nonsense: 1 }));
    const wrong = spawn(process.execPath, [main], {
      stdio: 'ignore',
      env: { ...process.env, NODE_OPTIONS: '', ANTIRIO_RUN_DIR: run },
    });
    expect(await ended(wrong)).toBe(1);
  });
});
