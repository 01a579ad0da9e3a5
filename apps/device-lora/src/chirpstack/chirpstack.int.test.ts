import { join as joinPath } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { createMqttBus } from '@antirio/bus';
import { callJson, silentLog, type Bus, type HttpPeer } from '@antirio/host';
import { parseDevAddr, parseDevEui, sessionOfNetworkServer } from '@antirio/lorawan';
import {
  device,
  devEui,
  folder,
  idOf,
  LPP,
  onEnd,
  startScene,
  startService,
  until,
  uplink as frame,
} from '../test-scene.ts';
import { captured, join, txack, uplink } from './messages.fixture.ts';

const OTAA = '1112131415b74b92';
const APPLICATION = captured.up.deviceInfo.applicationId;
const theirs = { ...device, network: 'chirpStack' };
const joiner = { devEui: OTAA, name: 'joiner', activation: 'otaa', network: 'chirpStack', class: 'C' };
const of = (eui: string, change: object = {}) =>
  uplink({
    deviceInfo: { ...captured.up.deviceInfo, devEui: eui },
    ...{ devAddr: device.devAddr, data: Buffer.from(LPP).toString('base64'), ...change },
  });
const topic = (eui: string, name: string): string => `application/${APPLICATION}/device/${eui}/event/${name}`;

/** ChirpStack's own connection to the edge's broker. */
function chirpStackAt(folderOf: string): Bus {
  const bus = createMqttBus({ socketPath: joinPath(folderOf, 'bus.sock') }, silentLog);
  onEnd(() => bus.close());
  return bus;
}

const post = (http: HttpPeer, event: string, value: unknown) =>
  http.call({
    ...{ method: 'POST', path: `/api/v3/lora/chirpstack?event=${event}` },
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
  });

describe('ChirpStack as the network server', () => {
  test('an uplink that was acknowledged is stored, though core-data was away and we were restarted; once, though our gateway heard it too', async () => {
    const scene = await startScene();
    const settings = { devices: [theirs, joiner], chirpStack: { mqtt: {} } };
    const first = await startService(scene, settings);
    const chirpStack = chirpStackAt(folder);
    scene.core.verdict = () => 503;
    const publish = (name: string, value: unknown, eui = devEui as string): Promise<void> =>
      chirpStack.publish(topic(eui, name), JSON.stringify(value), { qos: 1 });
    await publish('up', of(devEui, { fCnt: 7 }));
    await publish('up', of(devEui, { fCnt: 7 }));
    await publish('join', join());
    await publish('up', of(OTAA, { fCnt: 0, devAddr: '017d351b' }), OTAA);
    // what is wrong is acknowledged, and stands in nobody's way
    await chirpStack.publish(topic(devEui, 'up'), '{', { qos: 1 });
    await publish('up', of(devEui, { fCnt: 8 }), OTAA);
    await first.service.stop();
    scene.core.verdict = undefined;
    expect(scene.core.events.size).toBe(0);

    const { http } = await startService(scene, settings);
    await until(() => scene.core.events.size === 2);
    const stored = scene.core.events.get(idOf(7));
    expect(stored).toMatchObject({
      ...{ deviceName: 'mote-1', sourceName: 'uplink', origin: Date.UTC(2026, 10, 21, 7, 59, 57, 884) * 1e6 },
      tags: { fCnt: 7, via: 'chirpstack', gatewayId: '000000006b12933d', rxInfo: [{ rssi: -60, snr: 7.5 }] },
    });
    expect(stored?.readings).toMatchObject([{ resourceName: 'temperature_1', value: '2.5e+01' }, {}, {}]);
    const session = sessionOfNetworkServer(parseDevEui(OTAA), parseDevAddr('017d351b'));
    expect([...scene.core.events.values()].map(({ tags }) => tags['session'])).toContain(session);
    // heard by a gateway of ours as well: the same reading, and nothing is answered
    await scene.ring.hear(frame(7, { confirmed: true }));
    await until(() => scene.core.doubled === 1);
    expect([scene.core.events.size, scene.ring.downlinks.length]).toEqual([2, 0]);
    const listed = await callJson(http, { path: '/api/v3/lora/device/joiner' });
    expect(listed).toMatchObject({ device: { network: 'chirpStack', devAddr: '017d351b', fCntUp: 0 } });
  });

  test('its HTTP integration is answered when the event is on the disk, and told why not', async () => {
    const scene = await startScene();
    const own = { devEui: '0000000000000009', name: 'ours', devAddr: '01000009' };
    const { http } = await startService(scene, { devices: [theirs, own], chirpStack: {} });
    const outcome = async (event: string, value: unknown): Promise<unknown> => {
      const { status, body } = await post(http, event, value);
      const { outcome: what, message } = JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>;
      return `${status} ${String(what ?? message)}`;
    };
    expect(await outcome('up', of(devEui, { fCnt: 1 }))).toBe('200 new');
    expect(await outcome('up', of(devEui, { fCnt: 1, deduplicationId: undefined }))).toBe('200 known');
    expect(await outcome('up', of(devEui, { fCnt: 1, data: 'AQI=' }))).toBe('200 conflict');
    expect(await outcome('location', of(devEui))).toBe('200 noted');
    expect(await outcome('up', '{')).toMatch(/^400/);
    expect(await outcome('up', of(devEui, { fCnt: 'x' }))).toMatch(/^400 .*fCnt/);
    expect(await outcome('up', of('00000000000000aa'))).toMatch(
      /^404 no device with the DevEUI 00000000000000aa/,
    );
    expect(await outcome('up', of(own.devEui))).toMatch(/^409 ours is of this edge's own network/);
    await until(() => scene.core.events.has(idOf(1)));
    expect(await callJson(http, { path: '/api/v3/lora/chirpstack' })).toMatchObject({
      ...{ mayAct: false, why: expect.stringContaining('its own way'), gateways: ['000000006b12933d'] },
      events: {
        new: 1,
        known: 1,
        conflict: 1,
        refused_invalidInput: 1,
        refused_notFound: 1,
        refused_conflict: 1,
      },
    });
    const kept = await callJson(http, { path: '/api/v3/lora/chirpstack/conflict/mote-1' });
    expect(kept).toMatchObject({ conflicts: [{ message: expect.stringContaining('"AQI="') }] });
    const unseen = (): Promise<unknown> => callJson(http, { path: '/api/v3/lora/conflict' });
    expect(await unseen()).toMatchObject({ devices: [{ device: 'mote-1', devEui, fCnt: 1, unseen: 1 }] });
    const [{ id } = { id: 0 }] = (kept as { conflicts: { id: number }[] }).conflicts;
    const seen = { path: '/api/v3/lora/chirpstack/conflict/mote-1', json: { seenUpTo: id } };
    await callJson(http, { method: 'POST', ...seen });
    expect(await unseen()).toMatchObject({ devices: [] });
    // without its MQTT integration nothing can be sent
    const path = '/api/v3/lora/device/mote-1/downlink';
    const refused = await http.call({ method: 'POST', path, json: { payload: '01' } });
    expect([refused.status, Buffer.from(refused.body).toString()]).toEqual([
      423,
      expect.stringContaining('chirpStack.mqtt'),
    ]);
  });

  test('downlinks go as its commands, and end by what it tells', async () => {
    const scene = await startScene();
    const { http } = await startService(scene, {
      devices: [theirs],
      chirpStack: { mqtt: {} },
      secretsFile: undefined,
    });
    const chirpStack = chirpStackAt(folder);
    const commands: { topic: string; command: Record<string, unknown> }[] = [];
    await chirpStack.subscribe('application/+/device/+/command/down', (at, payload) => {
      commands.push({
        topic: at,
        command: JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>,
      });
    });
    const path = '/api/v3/lora/device/mote-1/downlink';
    const newest = async (): Promise<Record<string, unknown>> => {
      const { downlinks } = (await callJson(http, { path })) as { downlinks: Record<string, unknown>[] };
      return downlinks[0] ?? {};
    };
    await callJson(http, { method: 'POST', path, json: { payload: '0a0b', fPort: 3, confirmed: true } });
    expect(await newest()).toMatchObject({
      state: 'queued',
      waitingFor: expect.stringContaining('first event'),
    });
    await post(http, 'up', of(devEui));
    await until(() => commands.length === 1);
    expect(commands[0]).toMatchObject({
      topic: `application/${APPLICATION}/device/${devEui}/command/down`,
      command: { devEui, confirmed: true, fPort: 3, data: 'Cgs=' },
    });
    await until(async () => (await newest())['state'] === 'sending');
    const id = String(commands[0]?.command['id']);
    const tell = (name: string, value: unknown): Promise<void> =>
      chirpStack.publish(topic(devEui, name), JSON.stringify(value), { qos: 1 });
    await tell('txack', txack('ffffffff-0000-4000-8000-000000000000', 4, devEui));
    await tell('txack', txack(id, 5, devEui));
    expect(await newest()).toMatchObject({ state: 'sent', fCntDown: 5 });
    await tell('ack', { ...txack(id, 5, devEui), acknowledged: true });
    expect(await newest()).toMatchObject({ state: 'acknowledged' });
    expect(commands).toHaveLength(1);
  });
});
