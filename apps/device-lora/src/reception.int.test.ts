import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { callJson, sleep } from '@antirio/host';
import { createSessionCipher, eventIdOf, parseDataFrame } from '@antirio/lorawan';
import {
  appSKey,
  cipher,
  devAddr,
  devEui,
  device,
  folder,
  idOf,
  LPP,
  nwkSKey,
  session,
  startScene,
  startService,
  until,
  uplink,
} from './test-scene.ts';

const NEAR = '00000000000000aa';
const FAR = '00000000000000ff';

describe('one transmission, several gateways', () => {
  test('becomes one reading with all receptions, and its answer goes by the gateway that heard it best', async () => {
    const scene = await startScene();
    const { bus, ring, core } = scene;
    await bus.subscribe('antirio/fcntdown/request', async (_, payload) => {
      const request = JSON.parse(Buffer.from(payload).toString()) as object;
      await bus.publish('antirio/fcntdown/grant', JSON.stringify({ ...request, first: 0, last: 15 }));
    });
    const { http, status } = await startService(scene, { deduplicationMs: 400 });
    // the second gateway is known from its late copy
    await ring.hear(uplink(1), { gatewayId: FAR });
    await until(() => core.events.has(idOf(1)));
    await ring.hearAgain(1, { gatewayId: NEAR, afterMs: 20 });
    const json = { interval: 5 };
    await callJson(http, { method: 'PUT', path: '/api/v3/device/name/mote-1/interval', json });
    await ring.hear(uplink(2), { gatewayId: FAR, rssi: -110 });
    await ring.hearAgain(2, { gatewayId: NEAR, rssi: -40, afterMs: 20 });
    await until(() => core.events.has(idOf(2)) && ring.downlinks.length === 1);
    expect(core.events.get(idOf(1))?.tags['rxInfo']).toEqual([{ gatewayId: FAR, rssi: -60, snr: 7.5 }]);
    expect(core.events.get(idOf(2))?.tags).toMatchObject({
      gatewayId: NEAR,
      rssi: -40,
      rxInfo: [
        { gatewayId: NEAR, rssi: -40, snr: 7.5 },
        { gatewayId: FAR, rssi: -110, snr: 7.5 },
      ],
    });
    expect(ring.downlinks[0]?.gatewayId).toBe(NEAR);
    expect((await status()).otherGateway).toBe(2);
    // only one heard this one: it is stored when the others had their time
    await ring.hear(uplink(3), { gatewayId: FAR });
    await until(() => core.events.has(idOf(3)));
    expect(core.events.get(idOf(3))?.tags['rxInfo']).toHaveLength(1);
    expect(core.doubled).toBe(0);
  });

  test('what waits for other gateways is not done with: stopped meanwhile, it is read again', async () => {
    const scene = await startScene();
    const { ring, core } = scene;
    const { service, status } = await startService(scene, { deduplicationMs: 500 });
    await ring.hear(uplink(1), { gatewayId: FAR });
    await until(async () => (await status()).cursor === 1);
    await ring.hearAgain(1, { gatewayId: NEAR, afterMs: 20 });
    await ring.hear(uplink(2), { gatewayId: FAR });
    await sleep(50);
    expect((await status()).cursor).toBe(1);
    await service.stop();
    expect(core.events.has(idOf(2))).toBe(false);
    const again = await startService(scene);
    await until(async () => (await again.status()).cursor === 2);
    expect(core.events.has(idOf(2))).toBe(true);
  });
});

test('by settings that the region does not have a frame is a reading still, counted, and answered by nobody', async () => {
  const scene = await startScene();
  const { ring, core } = scene;
  const { http, status } = await startService(scene);
  const json = { interval: 5 };
  await callJson(http, { method: 'PUT', path: '/api/v3/device/name/mote-1/interval', json });
  await ring.hear(uplink(1, { confirmed: true }), { frequency: 915_000_000 });
  await until(() => core.events.has(idOf(1)));
  expect(await status()).toMatchObject({ stored: 1, wrongRegion: 1 });
  expect(ring.downlinks).toHaveLength(0);
});

describe('a device that counts from the beginning again', () => {
  const withPayload = (fcnt: number, last: number): Uint8Array =>
    uplink(fcnt, { payload: Uint8Array.of(...LPP.subarray(0, 10), last) });

  test('is believed where it may: new readings, no old ones, and FCntDown goes on', async () => {
    const scene = await startScene();
    const { bus, ring, core } = scene;
    await bus.subscribe('antirio/fcntdown/request', async (_, payload) => {
      const request = JSON.parse(Buffer.from(payload).toString()) as object;
      await bus.publish('antirio/fcntdown/grant', JSON.stringify({ ...request, first: 0, last: 15 }));
    });
    const options = { devices: [{ ...device, mayReset: true }], reading: { retransmissionMs: 0 } };
    const { http, service, status } = await startService(scene, options);
    const put = () => {
      const json = { downlink: { payload: '01' } };
      return callJson(http, { method: 'PUT', path: '/api/v3/device/name/mote-1/downlink', json });
    };
    const idWith = (frame: Uint8Array, fcnt: number): string =>
      eventIdOf({ devEui, session, fcnt, mic: parseDataFrame(frame).mic });
    await put();
    for (const fcnt of [70_000, 70_001]) await ring.hear(withPayload(fcnt, 1));
    await until(() => core.events.size === 2 && ring.downlinks.length === 1);
    await put();
    await sleep(50);
    await ring.hear(withPayload(0, 2));
    await until(() => core.events.size === 3 && ring.downlinks.length === 2);
    const downs = ring.downlinks.map(({ items }) => Buffer.from(items[0]?.phyPayload ?? '', 'base64'));
    expect(downs.map((bytes) => parseDataFrame(bytes).fcnt16)).toEqual([0, 1]);
    for (let fcnt = 1; fcnt <= 3; fcnt++) await ring.hear(withPayload(fcnt, 2));
    await ring.hear(withPayload(70_000, 1));
    await ring.hear(withPayload(1, 2));
    await until(async () => (await status()).cursor === 8);
    expect(await status()).toMatchObject({ stored: 6, reset: 1, refused: { replay: 2, conflict: 0 } });
    await service.stop();
    // the same count, after another start, twice begun anew
    const again = await startService(scene, options);
    await ring.hear(withPayload(2, 2));
    for (const fcnt of [0, 1]) await ring.hear(withPayload(fcnt, 3));
    await until(async () => (await again.status()).cursor === 11);
    expect(await again.status()).toMatchObject({ stored: 8, reset: 2, refused: { replay: 3 } });
    for (const [fcnt, last] of [
      [0, 2],
      [1, 2],
      [0, 3],
      [1, 3],
    ] as const)
      expect(core.events.has(idWith(withPayload(fcnt, last), fcnt))).toBe(true);
    expect(core.doubled).toBe(0);
  });

  test('is not taken for one whose frame came late by a slow gateway', async () => {
    const scene = await startScene();
    const { ring, core } = scene;
    const { status } = await startService(scene, { devices: [{ ...device, mayReset: true }] });
    const heard = async (fcnts: readonly number[], last: number): Promise<void> => {
      const cursor = (await status()).cursor + fcnts.length;
      for (const fcnt of fcnts) await ring.hear(withPayload(fcnt, last));
      await until(async () => (await status()).cursor === cursor);
    };
    await heard([0, 2, 3, 1, 450, 500, 498, 499, 437], 1);
    expect(await status()).toMatchObject({ stored: 9, reset: 0 });
    // far below: single frames of a gateway that is slower still, until one goes on where another was
    await heard([300, 501, 301, 502], 1);
    expect((await status()).reset).toBe(0);
    await heard([20, 21], 2);
    expect((await status()).reset).toBe(1);
    // near the beginning
    await heard([5, 6], 3);
    expect((await status()).reset).toBe(2);
    await heard([7], 3);
    // a counter that is there already, with other bytes
    await heard([6], 4);
    expect(await status()).toMatchObject({ stored: 19, reset: 3, refused: { conflict: 0, replay: 0 } });
    expect(core.doubled).toBe(0);
  });

  test('goes on with its new count where a slow gateway brings frames of the old one', async () => {
    const scene = await startScene();
    const { ring, core } = scene;
    const { status } = await startService(scene, { devices: [{ ...device, mayReset: true }] });
    const frames = [
      withPayload(70_000, 1),
      withPayload(0, 2),
      // beyond what was heard before, and of another half of the counter
      withPayload(70_002, 1),
      withPayload(1, 2),
      withPayload(70_001, 1),
      withPayload(2, 2),
    ];
    for (const frame of frames) await ring.hear(frame);
    await until(async () => (await status()).cursor === frames.length);
    expect(await status()).toMatchObject({ stored: 6, reset: 1, refused: { badMic: 0, conflict: 0 } });
    expect(core.doubled).toBe(0);
  });

  test('is not where it may not: its frames are conflicts, and none is lost from before', async () => {
    const scene = await startScene();
    const { ring, core } = scene;
    const { status, service } = await startService(scene);
    for (const fcnt of [0, 1]) await ring.hear(withPayload(fcnt, 1));
    for (const fcnt of [0, 1]) await ring.hear(withPayload(fcnt, 2));
    await until(async () => (await status()).cursor === 4);
    expect(await status()).toMatchObject({ stored: 2, reset: 0, refused: { conflict: 2 } });
    expect([...core.events.keys()]).toEqual([idOf(0), idOf(1)]);
    await ring.hearAgain(4);
    await until(async () => (await status()).refused['conflict'] === 3);
    // each once, and over a start
    await service.stop();
    const { http } = await startService(scene);
    const path = '/api/v3/lora/device/mote-1';
    const { conflicts } = (await callJson(http, { path: `${path}/conflict` })) as { conflicts: unknown[] };
    const payloadOf = (last: number): string => Buffer.from([...LPP.subarray(0, 10), last]).toString('hex');
    expect(conflicts).toMatchObject([
      { fCnt: 1, session, payload: payloadOf(2), phyPayload: Buffer.from(withPayload(1, 2)).toString('hex') },
      { fCnt: 0, session, payload: payloadOf(2) },
    ]);
    expect(await callJson(http, { path })).toMatchObject({ device: { conflicts: 2 } });
    // who raises alarms is told until an operator has seen them
    const unseen = (): Promise<unknown> => callJson(http, { path: '/api/v3/lora/conflict' });
    expect(await unseen()).toMatchObject({
      devices: [{ device: 'mote-1', devEui, session, fCnt: 1, unseen: 2 }],
    });
    const [newest] = conflicts as { id: number }[];
    const see = (seenUpTo: unknown): Promise<unknown> =>
      callJson(http, { method: 'POST', path: `${path}/conflict`, json: { seenUpTo } });
    await expect(see('all')).rejects.toMatchObject({ code: 'invalidInput' });
    await see(newest?.id);
    expect(await unseen()).toMatchObject({ devices: [] });
    expect(await callJson(http, { path: '/api/v3/status' })).toMatchObject({ refused: { conflict: 3 } });
  });
});

test('two devices with one DevAddr are told apart by their MICs', async () => {
  const scene = await startScene();
  const { ring, core } = scene;
  const other = { devEui: '0102030405060709', name: 'mote-2', devAddr };
  const keys = { nwkSKey: '77'.repeat(16), appSKey: '88'.repeat(16) };
  const secretsFile = join(folder, 'both.json');
  const sessions = [
    { devEui, devAddr, nwkSKey, appSKey },
    { devEui: other.devEui, devAddr, ...keys },
  ];
  writeFileSync(secretsFile, JSON.stringify({ keyVersion: 1, sessions }));
  const { status } = await startService(scene, { devices: [device, other], secretsFile });
  const twin = createSessionCipher({
    nwkSKey: Buffer.from(keys.nwkSKey, 'hex'),
    appSKey: Buffer.from(keys.appSKey, 'hex'),
  });
  for (const one of [cipher, twin])
    await ring.hear(one.build({ direction: 'up', confirmed: false, devAddr, fcnt: 7, fPort: 2 }, LPP));
  await until(async () => (await status()).cursor === 2);
  expect([...core.events.values()].map(({ deviceName }) => deviceName).sort()).toEqual(['mote-1', 'mote-2']);
});
