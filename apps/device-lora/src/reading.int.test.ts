import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { callJson, sleep } from '@antirio/host';
import { createSessionCipher, parseDataFrame, parseDevAddr } from '@antirio/lorawan';
import {
  appSKey,
  devAddr,
  devEui,
  folder,
  idOf,
  nwkSKey,
  session,
  startScene,
  startService,
  until,
  uplink,
  type Status,
} from './test-scene.ts';

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
    await ring.hearAgain(1, { gatewayId: '0000000000000001', afterMs: 20 });
    // by its first frame: the newest one may be repeated for much longer
    await ring.hearAgain(1, { afterMs: 60_000 });
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
    expect(await status()).toMatchObject({ stored: 1, parked: 1, waiting: { downlinks: 0, parked: 1 } });
    expect((await service.health())['parked']?.ok).toBe(false);
    core.verdict = undefined;
    await until(() => core.events.has(idOf(1)));
    await until(async () => (await service.health())['parked']?.ok === true);
  });

  test('however many events core-data refuses, those that it takes by now are stored', async () => {
    const scene = await startScene();
    const { ring, core } = scene;
    const { status } = await startService(scene, { reading: { refusalsBeforeParking: 1 } });
    core.verdict = () => 400;
    for (let fcnt = 1; fcnt <= 110; fcnt++) await ring.hear(uplink(fcnt));
    await until(async () => (await status()).cursor === 110);
    core.verdict = ({ tags }) => (Number(tags['fCnt']) <= 105 ? 400 : undefined);
    await until(() => core.events.size === 5);
    expect([...core.events.keys()].sort()).toEqual([106, 107, 108, 109, 110].map(idOf).sort());
    // it goes round
    core.verdict = undefined;
    await until(() => core.events.size === 110);
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
