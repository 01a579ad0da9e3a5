import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createBroker, createLocalBus } from '@antirio/bus';
import { createDeviceLora, deviceLoraOptions } from '@antirio/device-lora';
import {
  callJson,
  createHttpRim,
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  type HttpPeer,
} from '@antirio/host';
import { createSessionCipher, parseDevAddr, sessionFingerprint } from '@antirio/lorawan';
import { z } from 'zod';
import { antirio } from './edges.fixture.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'antirio-'));
const NWK_S_KEY = '5e'.repeat(16);
const APP_S_KEY = '6f'.repeat(16);
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

test('where a customer’s cloud arbitrator runs a file of keys encrypts for the provider that serves', async () => {
  const [contractId, provider] = ['c-1', 'ed25519-b'];
  const keys = join(dataDir, 'keys.json');
  const nwkSKey = Buffer.from(NWK_S_KEY, 'hex');
  const devAddr = parseDevAddr('01000001');
  const session = sessionFingerprint(nwkSKey, devAddr);
  const known = { devEui: '0000000000000001', devAddr, nwkSKey: NWK_S_KEY, appSKey: APP_S_KEY };
  writeFileSync(keys, JSON.stringify({ keyVersion: 1, sessions: [known] }), { mode: 0o600 });
  const rim = createHttpRim({
    ...{ serviceKey: 'arbitrator', version: '0', clock: systemClock, log: silentLog },
    ...{ config: () => ({}), health: () => ({}) },
  });
  closers.push(() => rim.close());
  // of a contract that it only follows it knows nothing by this name
  rim.route('get', '/arbitrator/v1/speaker/:id', { summary: '' }, () => ({ provider }));
  const base = `/edge2edge/peer/${provider}/arbitrator/arbitrator/v1/speaker/${contractId}/downlink`;
  let fCntDown = 16;
  let state = 'sent';
  rim.route('post', `${base}/counter`, { summary: '' }, () => ({ counter: { session, fCntDown } }));
  const queued: Record<string, unknown>[] = [];
  rim.route('post', base, { summary: '', body: z.looseObject({}) }, ({ body }) => {
    queued.push(body);
    const shown = { id: 1, resource: 'downlink', state, fPort: 7, payload: 'xx', confirmed: false };
    return { downlink: { ...shown, attempts: 1, fCntDown, updatedAt: 1 } };
  });
  const url = `http://127.0.0.1:${await rim.listen(0, '127.0.0.1')}`;
  const cloud = {
    ...{ ANTIRIO_DATA_DIR: dataDir, ANTIRIO_SERVICES__ARBITRATOR__URL: url },
    ANTIRIO_SERVICES__EDGE2EDGE__URL: url,
  };
  const send = () =>
    antirio(
      ['lora', 'downlink', known.devEui, 'cafe', '--port', '7', '--contract', contractId, '--keys', keys],
      cloud,
    );
  const sent = await send();
  expect(sent.out).toMatch(/sent +7 /);
  expect(sent.code).toBe(0);
  expect(sent.out + sent.err).not.toContain(APP_S_KEY);
  const cipher = createSessionCipher({ nwkSKey, appSKey: Buffer.from(APP_S_KEY, 'hex') });
  const payload = Buffer.from(cipher.encryptDown(devAddr, 16, Uint8Array.of(0xca, 0xfe))).toString('hex');
  expect(queued).toEqual([
    { devEui: known.devEui, session, fCntDown: 16, payload, fPort: 7, confirmed: false },
  ]);
  // a provider that names a counter once more gets no second payload for it
  const again = await send();
  expect(again.code).not.toBe(0);
  expect(again.err).toContain('3 counters');
  expect(queued).toHaveLength(1);
  fCntDown = 17;
  state = 'failed';
  const failed = await send();
  expect(failed.out).toMatch(/failed +7 /);
  expect([failed.code, queued.length]).toEqual([1, 2]);
});
