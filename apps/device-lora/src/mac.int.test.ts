import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { callJson } from '@antirio/host';
import {
  encodeMacCommands,
  parseDataFrame,
  parseMacCommands,
  type DataFrame,
  type DownlinkMacCommand,
  type UplinkMacCommand,
} from '@antirio/lorawan';
import { createTestMote } from './test-mote.ts';
import {
  cipher,
  devAddr,
  device,
  folder,
  idOf,
  startScene,
  startService,
  until,
  type Scene,
} from './test-scene.ts';

interface Told {
  readonly commands?: readonly UplinkMacCommand[];
  readonly adr?: boolean;
  readonly confirmed?: boolean;
}

const heardAs = (fcnt: number, { commands = [], adr = false, confirmed = false }: Told = {}): Uint8Array =>
  cipher.build(
    { direction: 'up', confirmed, adr, devAddr, fcnt, fPort: 2, fOpts: encodeMacCommands(commands) },
    Uint8Array.of(1, 103, 0, 250),
  );

const frameOf = ({ ring }: Scene, index: number): DataFrame =>
  parseDataFrame(Buffer.from(ring.downlinks[index]?.items[0]?.phyPayload ?? '', 'base64'));
const commandsIn = (scene: Scene, index: number): readonly DownlinkMacCommand[] =>
  parseMacCommands(frameOf(scene, index).fOpts, 'down').commands;

async function openScene(): Promise<Scene> {
  const scene = await startScene();
  const { bus } = scene;
  let first = 0;
  await bus.subscribe('antirio/fcntdown/request', async (_, payload) => {
    const request = JSON.parse(Buffer.from(payload).toString()) as object;
    await bus.publish('antirio/fcntdown/grant', JSON.stringify({ ...request, first, last: first + 15 }));
    first += 64;
  });
  return scene;
}

describe('MAC commands', () => {
  test('questions are answered in FOpts, beside what waits; those of a backlog are not', async () => {
    const scene = await openScene();
    const { ring, core } = scene;
    const { http } = await startService(scene);
    await ring.hear(heardAs(1, { commands: [{ type: 'linkCheckReq' }] }), { live: false });
    await ring.hear(heardAs(2, { commands: [{ type: 'linkCheckReq' }] }));
    await until(() => ring.downlinks.length === 1 && core.events.has(idOf(2)));
    // SF7 needs -7.5 dB, and 7.5 dB were heard
    expect(commandsIn(scene, 0)).toEqual([{ type: 'linkCheckAns', margin: 15, gatewayCount: 1 }]);
    expect(frameOf(scene, 0)).toMatchObject({ adr: true, confirmed: false, fPort: undefined });
    const json = { interval: 60 };
    await callJson(http, { method: 'PUT', path: '/api/v3/device/name/mote-1/interval', json });
    const port0 = encodeMacCommands([{ type: 'deviceTimeReq' }]);
    await ring.hear(cipher.build({ direction: 'up', confirmed: true, devAddr, fcnt: 3, fPort: 0 }, port0));
    await until(() => ring.downlinks.length === 2);
    const [time] = commandsIn(scene, 1);
    expect(time).toMatchObject({ type: 'deviceTimeAns' });
    const gpsNow = (Date.now() - 315_964_800_000) / 1000 + 18;
    expect(Math.abs((time?.type === 'deviceTimeAns' ? time.seconds : 0) - gpsNow)).toBeLessThan(60);
    expect(frameOf(scene, 1)).toMatchObject({ ack: true, confirmed: true, fPort: 10 });
    expect([...cipher.decrypt(frameOf(scene, 1), frameOf(scene, 1).fcnt16)]).toEqual([0, 60]);
  });

  test('a device with margin to spare is made faster, asked until it answers, also by the next process', async () => {
    const scene = await openScene();
    const { ring } = scene;
    const first = await startService(scene);
    for (let fcnt = 1; fcnt <= 20; fcnt++) await ring.hear(heardAs(fcnt, { adr: true }), { snr: 20 });
    await until(() => ring.downlinks.length === 1);
    const [asked] = commandsIn(scene, 0);
    // heard at SF7 already: power alone is left to be spared, (20 + 7.5 - 10) / 3 steps of it
    expect(asked).toMatchObject({ type: 'linkADRReq', dataRate: 5, txPower: 5, nbTrans: 1 });
    await first.service.stop();
    await startService(scene);
    await ring.hear(heardAs(21, { adr: true }));
    await until(() => ring.downlinks.length === 2);
    expect(commandsIn(scene, 1)).toEqual([asked]);
    const answer = { type: 'linkADRAns', powerAck: true, dataRateAck: true, channelMaskAck: true } as const;
    await ring.hear(heardAs(22, { adr: true, commands: [answer] }));
    await ring.hear(heardAs(23, { adr: true, confirmed: true }));
    await until(() => ring.downlinks.length === 3);
    expect(frameOf(scene, 2)).toMatchObject({ ack: true });
    expect(commandsIn(scene, 2)).toEqual([]);
  });

  test('a device is asked for its battery now and then', async () => {
    const scene = await openScene();
    const { ring, core } = scene;
    await startService(scene, { devStatusIntervalS: 1 });
    await ring.hear(heardAs(1));
    await until(() => core.events.has(idOf(1)));
    let fcnt = 1;
    await until(async () => {
      await ring.hear(heardAs((fcnt += 1)));
      return ring.downlinks.length > 0;
    });
    expect(commandsIn(scene, 0)).toEqual([{ type: 'devStatusReq' }]);
  });
});

describe('receive windows', () => {
  const settingsOf = ({ ring }: Scene, index: number) =>
    ring.downlinks[index]?.items.map(({ txInfo }) => [
      txInfo.timing.delay.delay,
      txInfo.modulation.lora.spreadingFactor,
    ]);

  test('are those that the device was made with, or was told at its join', async () => {
    const scene = await openScene();
    const { ring } = scene;
    const mote = createTestMote(0xa1);
    const secretsFile = join(folder, 'both.json');
    const secrets = JSON.stringify({
      keyVersion: 1,
      sessions: [{ devEui: device.devEui, devAddr, nwkSKey: '11'.repeat(16) }],
      rootKeys: [{ devEui: mote.devEui, appKey: mote.appKey }],
    });
    writeFileSync(secretsFile, secrets);
    const joiner = { devEui: mote.devEui, name: 'joiner', activation: 'otaa' };
    const made = { ...device, reception: { rx1DelayS: 5, rx1DrOffset: 2, rx2: { dataRate: 3 } } };
    const reception = { rx1DelayS: 3, rx2: { dataRate: 1 } };
    const options = { devices: [made, joiner], reception, secretsFile, deduplicationMs: 10 };
    const { service } = await startService(scene, options);
    await ring.hear(heardAs(1, { confirmed: true }));
    await until(() => ring.downlinks.length === 1);
    expect(settingsOf(scene, 0)).toEqual([
      ['5s', 9],
      ['6s', 9],
    ]);
    await ring.join(mote.joinRequest(1));
    await until(() => ring.downlinks.length === 2);
    const accept = Buffer.from(ring.downlinks[1]?.items[0]?.phyPayload ?? '', 'base64');
    const session = mote.accept(new Uint8Array(accept), 1);
    await service.stop();
    // its keys are here, so its settings must be
    await startService(scene, { ...options, reception: {} });
    await ring.hear(session?.uplink(0, { confirmed: true }) ?? new Uint8Array());
    await until(() => ring.downlinks.length === 3);
    expect(settingsOf(scene, 2)).toEqual([
      ['3s', 7],
      ['4s', 11],
    ]);
  });

  test('closed by the duty cycle, the downlink waits for the next uplink', async () => {
    const scene = await openScene();
    const { ring } = scene;
    const { http } = await startService(scene);
    const path = '/api/v3/device/name/mote-1';
    await callJson(http, { method: 'PUT', path: `${path}/interval`, json: { interval: 60 } });
    const refused = { status: 'DUTY_CYCLE_OVERFLOW', refused: 'dutyCycle' };
    ring.outcomes = [[refused, refused]];
    await ring.hear(heardAs(1));
    const newest = async (): Promise<unknown> => {
      const { event } = (await callJson(http, { path: `${path}/downlinkState` })) as {
        event: { readings: { objectValue: { downlinks: unknown[] } }[] };
      };
      return event.readings[0]?.objectValue.downlinks[0];
    };
    await until(async () => JSON.stringify(await newest()).includes('dutyCycle'));
    expect(await newest()).toMatchObject({ state: 'sending', attempts: 0 });
    await ring.hear(heardAs(2));
    await until(async () => JSON.stringify(await newest()).includes('"sent"'));
    expect(ring.downlinks[1]?.items[0]?.phyPayload).toBe(ring.downlinks[0]?.items[0]?.phyPayload);
  });
});
