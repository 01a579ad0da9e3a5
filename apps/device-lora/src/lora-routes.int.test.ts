import { expect, test } from '@jest/globals';
import { callJson, sleep } from '@antirio/host';
import { parseDataFrame } from '@antirio/lorawan';
import { createTestMote } from './test-mote.ts';
import {
  appSKey,
  cipher,
  devAddr,
  devEui,
  device,
  idOf,
  nwkSKey,
  session,
  startScene,
  startService,
  until,
  uplink,
} from './test-scene.ts';

test('devices, sessions and downlinks are told and queued over HTTP, and no key with them', async () => {
  const scene = await startScene();
  const { bus, ring, core } = scene;
  await bus.subscribe('antirio/fcntdown/request', async (_, payload) => {
    const request = JSON.parse(Buffer.from(payload).toString()) as object;
    await bus.publish('antirio/fcntdown/grant', JSON.stringify({ ...request, first: 16, last: 31 }));
  });
  const never = { devEui: createTestMote(5).devEui, name: 'never-joined', activation: 'otaa' };
  const { http } = await startService(scene, { devices: [device, never] });
  const get = (path: string) => callJson(http, { path: `/api/v3/lora/${path}` });
  const queue = (name: string, json: unknown) =>
    callJson(http, { method: 'POST', path: `/api/v3/lora/device/${name}/downlink`, json });

  expect(await get('device/mote-1')).toMatchObject({ device: { devAddr, heard: null, fCntUp: null } });
  const first = await queue('mote-1', { payload: 'cafe', fPort: 9, confirmed: true });
  expect(first).toMatchObject({ statusCode: 202, downlink: { state: 'queued', fPort: 9, payload: 'cafe' } });
  await queue('mote-1', { payload: 'babe' });
  await ring.hear(uplink(7), { rssi: -99, snr: -3 });
  await until(() => core.events.has(idOf(7)) && ring.downlinks.length === 1);
  await sleep(50);
  const frame = parseDataFrame(Buffer.from(ring.downlinks[0]?.items[0]?.phyPayload ?? '', 'base64'));
  expect(frame).toMatchObject({ confirmed: true, fPort: 9, fPending: true });
  expect([...cipher.decrypt(frame, 16)]).toEqual([0xca, 0xfe]);
  expect(await get('device/mote-1/downlink')).toMatchObject({
    downlinks: [
      { state: 'queued', payload: 'babe', fPort: 1 },
      { state: 'sent', payload: 'cafe', attempts: 1, fCntDown: 16 },
    ],
  });
  const heard = { gatewayId: '00000000aabbccdd', rssi: -99, snr: -3, gateways: 1, dataRate: 'SF7BW125' };
  expect(await get('device')).toMatchObject({
    totalCount: 2,
    devices: [
      { name: 'mote-1', devEui, activation: 'abp', session, fCntUp: 7, fCntDown: 16, heard, downlinks: 2 },
      { name: 'never-joined', activation: 'otaa', devAddr: null, session: null, heard: null },
    ],
  });
  expect(await get('device?offset=1&limit=1')).toMatchObject({ devices: [{ name: 'never-joined' }] });
  const sessions = await get('session');
  const mac = { dataRate: 5, rx1DelayS: 1, channels: [868_100_000, 868_300_000, 868_500_000], pending: [] };
  expect(sessions).toMatchObject({
    totalCount: 1,
    sessions: [{ session, device: 'mote-1', standing: 'given', inUse: true, fCntUp: 7, fCntDown: 16, mac }],
  });
  const told = JSON.stringify([
    sessions,
    await get('device'),
    await callJson(http, { path: '/api/v3/config' }),
  ]);
  for (const key of [nwkSKey, appSKey]) expect(told).not.toContain(key);

  await expect(queue('nobody', { payload: '00' })).rejects.toThrow(/no device/);
  await expect(queue('never-joined', { payload: '00' })).rejects.toThrow(/no keys/);
  await expect(queue('mote-1', { payload: '0' })).rejects.toThrow(/bytes in hex/);
  await expect(queue('mote-1', { payload: '00', fPort: 0 })).rejects.toThrow(/fPort/);
  await expect(queue('mote-1', { payload: 'ff'.repeat(230) })).rejects.toThrow(/at most 222/);
  const document = (await callJson(http, { path: '/api/v3/openapi.json' })) as { paths: object };
  expect(Object.keys(document.paths)).toEqual(
    expect.arrayContaining([
      '/api/v3/lora/device',
      '/api/v3/lora/session',
      '/api/v3/lora/device/{name}/downlink',
    ]),
  );
});
