import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { callJson, sleep } from '@antirio/host';
import { parseDataFrame } from '@antirio/lorawan';
import { createTestMote, type MoteSession, type TestMote } from './test-mote.ts';
import { folder, startScene, startService, until, type Scene, type Status } from './test-scene.ts';

const mote = createTestMote(0xa1);

const deviceOf = ({ devEui, joinEui }: TestMote, name = 'joiner'): object => ({
  ...{ devEui, joinEui, name, activation: 'otaa' },
});

function serviceFor(scene: Scene, motes: readonly TestMote[], more: object = {}) {
  const rootKeys = motes.map(({ devEui, appKey }) => ({ devEui, appKey }));
  const secretsFile = join(folder, 'root-keys.json');
  writeFileSync(secretsFile, JSON.stringify({ keyVersion: 1, rootKeys }));
  const devices = motes.map((one, i) => deviceOf(one, `joiner-${String(i + 1)}`));
  return startService(scene, { devices, secretsFile, deduplicationMs: 20, ...more });
}

const bytesOf = ({ ring }: Scene, index: number): Uint8Array =>
  new Uint8Array(Buffer.from(ring.downlinks[index]?.items[0]?.phyPayload ?? '', 'base64'));

/** Asks to join and waits for the JoinAccept. */
async function joined(scene: Scene, devNonce: number, one = mote): Promise<MoteSession> {
  const { ring } = scene;
  const before = ring.downlinks.length;
  await ring.join(one.joinRequest(devNonce));
  await until(() => ring.downlinks.length > before);
  const session = one.accept(bytesOf(scene, before), devNonce);
  if (session === undefined) throw new Error('a JoinAccept that the device does not take');
  return session;
}

const joinsOf = async (status: () => Promise<Status>): Promise<Record<string, number>> =>
  (await status()).joins ?? {};

describe('joins', () => {
  test('a device is answered in its windows, with an address that the ring takes, and read from then on', async () => {
    const scene = await startScene();
    const { ring, bridge, core } = scene;
    const reception = { rx1DelayS: 2, rx1DrOffset: 1, rx2: { dataRate: 3 }, channels: [867_100_000] };
    const { service } = await serviceFor(scene, [mote], { reception });
    const session = await joined(scene, 7);
    expect(session).toMatchObject({ joinNonce: 1, rxDelay: 2, dlSettings: 0x13 });
    expect(Number.parseInt(session.devAddr, 16) >>> 25).toBe(0);
    expect(bytesOf(scene, 0)).toHaveLength(33);
    expect(bridge.ring).toMatchObject({ devAddrs: [session.devAddr], devEuis: [mote.devEui] });
    const settings = ring.downlinks[0]?.items.map(({ txInfo }) => [
      txInfo.timing.delay.delay,
      txInfo.frequency,
      txInfo.modulation.lora.spreadingFactor,
    ]);
    expect(settings).toEqual([
      ['5s', 868_100_000, 7],
      ['6s', 869_525_000, 12],
    ]);
    await ring.hear(session.uplink(0));
    await until(() => core.events.has(session.idOf(0)));
    expect(core.events.get(session.idOf(0))?.tags).toMatchObject({ devEUI: mote.devEui, fCnt: 0 });
    await service.stop();
    await ring.hear(session.uplink(1), { live: false });
    await serviceFor(scene, [mote]);
    await until(() => core.events.has(session.idOf(1)));
  });

  test('a JoinRequest is good once, before and after a start; others are counted and answered by nobody', async () => {
    const scene = await startScene();
    const { ring } = scene;
    const first = await serviceFor(scene, [mote]);
    await joined(scene, 7);
    await first.service.stop();
    const { status } = await serviceFor(scene, [mote]);
    await ring.join(mote.joinRequest(7));
    await until(async () => (await joinsOf(status))['replay'] === 1);
    const forged = mote.joinRequest(8);
    forged[20] = (forged[20] ?? 0) ^ 1;
    await ring.join(forged);
    await ring.join(createTestMote(0xb2).joinRequest(1));
    await ring.join(mote.joinRequest(9), { frequency: 915_000_000 });
    await ring.join(mote.joinRequest(10).subarray(0, 22));
    await until(async () => (await joinsOf(status))['malformed'] === 1);
    expect(await joinsOf(status)).toMatchObject({ badMic: 1, unknown: 1, wrongRegion: 1, accepted: 0 });
    expect(ring.downlinks).toHaveLength(1);
    const again = await joined(scene, 11);
    expect(again.joinNonce).toBe(2);
  });

  test('heard by several gateways it is answered once, through the one that heard it best', async () => {
    const scene = await startScene();
    const { ring } = scene;
    const { status } = await serviceFor(scene, [mote], { deduplicationMs: 100 });
    const request = mote.joinRequest(1);
    await ring.join(request, { rssi: -100 });
    await ring.join(request, { gatewayId: '00000000000000b0', rssi: -50 });
    await ring.join(request, { gatewayId: '00000000000000c0', rssi: -80 });
    await until(async () => (await joinsOf(status))['answered'] === 1);
    await ring.join(request, { gatewayId: '00000000000000d0', rssi: -20 });
    await until(async () => (await joinsOf(status))['otherGateway'] === 3);
    expect(ring.downlinks.map(({ gatewayId }) => gatewayId)).toEqual(['00000000000000b0']);
  });

  test('a flood of true JoinRequests of one device is limited, and another device joins meanwhile', async () => {
    const scene = await startScene();
    const { ring } = scene;
    const other = createTestMote(0xc3);
    const { status } = await serviceFor(scene, [mote, other]);
    for (let devNonce = 0; devNonce < 30; devNonce++) await ring.join(mote.joinRequest(devNonce));
    await until(async () => ((await joinsOf(status))['flood'] ?? 0) >= 20);
    expect((await joinsOf(status))['accepted']).toBeLessThanOrEqual(10);
    await until(async () => {
      const { accepted = 0, answered = 0 } = await joinsOf(status);
      return accepted === answered;
    });
    expect((await joined(scene, 1, other)).joinNonce).toBe(1);
  });

  test('where the ring cannot take the new address no JoinAccept leaves', async () => {
    const scene = await startScene();
    const { ring, bridge } = scene;
    const { status } = await serviceFor(scene, [mote]);
    await until(() => bridge.ring.devEuis?.includes(mote.devEui) === true);
    bridge.broken = true;
    await ring.join(mote.joinRequest(1));
    await until(async () => (await joinsOf(status))['notSent'] === 1);
    expect(ring.downlinks).toHaveLength(0);
    bridge.broken = false;
    const session = await joined(scene, 2);
    expect(bridge.ring.devAddrs).toContain(session.devAddr);
  });
});

test('after another join both sessions are read until the new one is heard; downlinks then go by the new one', async () => {
  const scene = await startScene();
  const { bus, ring, core } = scene;
  await bus.subscribe('antirio/fcntdown/request', async (_, payload) => {
    const request = JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>;
    await bus.publish('antirio/fcntdown/grant', JSON.stringify({ ...request, first: 0, last: 15 }));
  });
  const { http } = await serviceFor(scene, [mote]);
  // before the first join too
  const path = '/api/v3/device/name/joiner-1/interval';
  await callJson(http, { method: 'PUT', path, json: { interval: 60 } });
  const old = await joined(scene, 1);
  await ring.hear(old.uplink(0));
  await until(() => ring.downlinks.length === 2);
  const first = parseDataFrame(bytesOf(scene, 1));
  expect(first).toMatchObject({ devAddr: old.devAddr, confirmed: true, fcnt16: 0 });
  const renewed = await joined(scene, 2);
  expect(renewed.devAddr).not.toBe(old.devAddr);
  await ring.hear(old.uplink(1));
  await until(() => ring.downlinks.length === 4);
  expect(bytesOf(scene, 3)).toEqual(bytesOf(scene, 1));
  await sleep(50);
  // the first frame of the new session: the downlink is made anew with its keys
  await ring.hear(renewed.uplink(0));
  await until(() => ring.downlinks.length === 5);
  const second = parseDataFrame(bytesOf(scene, 4));
  expect(second).toMatchObject({ devAddr: renewed.devAddr, confirmed: true, fcnt16: 0, fPort: 10 });
  expect(renewed.cipher.verifies(second, 0)).toBe(true);
  expect([...renewed.cipher.decrypt(second, 0)]).toEqual([0, 60]);
  await sleep(50);
  // a late frame of the old session is a reading still, and answered by nobody
  await ring.hear(old.uplink(2, { confirmed: true }));
  await until(() => core.events.has(old.idOf(2)));
  await ring.hear(renewed.uplink(1));
  await until(() => ring.downlinks.length === 6);
  expect(parseDataFrame(bytesOf(scene, 5)).devAddr).toBe(renewed.devAddr);
  const ids = [old.idOf(0), old.idOf(1), renewed.idOf(0), renewed.idOf(1)];
  await until(() => ids.every((id) => core.events.has(id)));
});
