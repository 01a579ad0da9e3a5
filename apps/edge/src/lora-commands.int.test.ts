import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createBroker, createLocalBus } from '@antirio/bus';
import { createDeviceLora, deviceLoraOptions } from '@antirio/device-lora';
import { callJson, httpPeer, silentLog, systemClock, systemRandom, type HttpPeer } from '@antirio/host';
import { antirio } from './edges.fixture.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'antirio-'));
const NWK_S_KEY = '5e'.repeat(16);
const closers: (() => unknown)[] = [];
let env: Record<string, string>;
let ask: HttpPeer;

beforeAll(async () => {
  const secretsFile = join(dataDir, 'secrets.json');
  const session = { devEui: '0000000000000001', devAddr: '01000001', nwkSKey: NWK_S_KEY, appSKey: NWK_S_KEY };
  writeFileSync(secretsFile, JSON.stringify({ keyVersion: 1, sessions: [session] }));
  const broker = createBroker(
    { secret: new Uint8Array(32), listeners: [{ socketPath: join(dataDir, 'bus.sock'), anonymous: 'all' }] },
    silentLog,
  );
  await broker.start();
  closers.push(() => broker.stop());
  const bus = createLocalBus(broker, silentLog);
  closers.push(() => bus.close());
  const devices = [
    { devEui: '0000000000000001', name: 'cellar', devAddr: '01000001' },
    { devEui: '0000000000000002', name: 'roof', activation: 'otaa' },
    { devEui: '0000000000000003', name: 'quay', devAddr: '01000003', network: 'chirpStack' },
  ];
  const options = deviceLoraOptions.parse({ port: 0, dataDir, devices, secretsFile, chirpStack: {} });
  // nobody answers there: it goes on trying to register meanwhile
  const nobody = httpPeer({ url: 'http://127.0.0.1:9' });
  const peers = { coreData: nobody, coreMetadata: nobody };
  const ports = { clock: systemClock, random: systemRandom, log: silentLog, bus, peers };
  const service = createDeviceLora(options, ports);
  await service.start();
  closers.push(async () => {
    await service.stop();
    nobody.close();
  });
  ask = httpPeer({ url: `http://127.0.0.1:${String(service.port)}` });
  closers.push(() => ask.close());
  const url = `http://127.0.0.1:${String(service.port)}`;
  env = { ANTIRIO_DATA_DIR: dataDir, ANTIRIO_SERVICES__DEVICE_LORA__URL: url };
});
afterAll(async () => {
  for (const close of closers.reverse()) await close();
  rmSync(dataDir, { recursive: true });
});

test('devices and sessions as tables for people and as JSON for programs, without keys', async () => {
  const devices = await antirio(['lora', 'devices'], env);
  expect(devices.out).toMatch(/DEVICE +DEVEUI +BY +DEVADDR/);
  expect(devices.out).toMatch(/cellar +0000000000000001 +abp +01000001 +never/);
  expect(devices.out).toMatch(/roof +0000000000000002 +otaa/);
  const sessions = await antirio(['lora', 'sessions'], env);
  expect(sessions.out).toMatch(/cellar +[0-9a-f]{16} +01000001 +given +yes/);
  const asJson = await antirio(['lora', 'sessions', '--json'], env);
  expect(JSON.parse(asJson.out)).toMatchObject([{ device: 'cellar', devAddr: '01000001' }]);
  expect(JSON.parse((await antirio(['lora', 'devices', '--json'], env)).out)).toHaveLength(3);
  expect(devices.out + sessions.out + asJson.out).not.toContain(NWK_S_KEY);
});

test('a downlink is queued and shown; what cannot be is told', async () => {
  const queued = await antirio(['lora', 'downlink', 'cellar', 'cafe', '--port', '7', '--confirmed'], env);
  expect(queued.out).toMatch(/queued +7 +cafe +yes/);
  const shown = await antirio(['lora', 'downlink', 'cellar', '--json'], env);
  expect(JSON.parse(shown.out)).toMatchObject([{ state: 'queued', payload: 'cafe', confirmed: true }]);
  // no arbitrator here
  const table = await antirio(['lora', 'downlink', 'cellar'], env);
  expect(table.out).toMatch(
    /waits for downlink counters: no answer of the arbitrator on antirio\/fcntdown\/request since 2/,
  );
  for (const flags of [[], ['--seen']])
    expect((await antirio(['lora', 'conflicts', 'cellar', ...flags], env)).out).toContain('no conflicts');
  const nobody = await antirio(['lora', 'downlink', 'attic', 'cafe'], env);
  expect(nobody.code).not.toBe(0);
  expect(nobody.err).toContain('no device attic');
  expect((await antirio(['lora', 'downlink', 'cellar', 'xyz'], env)).err).toContain('bytes in hex');
});

test('conflicts alarm until they are said to have been seen, also of a device of ChirpStack’s', async () => {
  const unseen = () => callJson(ask, { path: '/api/v3/lora/conflict' });
  for (const data of ['AQ==', 'Ag==']) {
    const json = { deviceInfo: { devEui: '0000000000000003' }, devAddr: '01000003', fCnt: 4, fPort: 2, data };
    await callJson(ask, { method: 'POST', path: '/api/v3/lora/chirpstack?event=up', json });
  }
  const newest = { device: 'quay', session: null, fCnt: 4, unseen: 1 };
  const shown = await antirio(['lora', 'conflicts', 'quay'], env);
  expect(shown.out).toMatch(/TOLD +BY CHIRPSTACK\n.*"Ag=="/);
  expect(await unseen()).toMatchObject({ devices: [newest] });
  expect(
    JSON.parse((await antirio(['lora', 'conflicts', 'quay', '--seen', '--json'], env)).out),
  ).toHaveLength(1);
  expect(await unseen()).toMatchObject({ devices: [] });
});
