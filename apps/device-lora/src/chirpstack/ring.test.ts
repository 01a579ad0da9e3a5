import { afterEach, expect, test } from '@jest/globals';
import { AntirioError } from '@antirio/kernel';
import { createHttpRim, httpPeer, silentLog, systemClock, waitFor } from '@antirio/host';
import { deviceLoraOptions } from '../options.ts';
import { openChirpStackRing, RING } from './ring.ts';

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

/** The gateway-bridge's ring of that name, as it is put. */
async function startBridge() {
  const state: { ring?: Record<string, unknown>; acknowledged: unknown[] } = { acknowledged: [] };
  const common = { version: '0', config: () => ({}), health: () => ({}), log: silentLog, clock: systemClock };
  const rim = createHttpRim({ serviceKey: 'gateway-bridge', ...common });
  const path = `/api/v3/ring/${RING}`;
  rim.route('get', path, { summary: 'the ring' }, () => {
    if (state.ring === undefined) throw new AntirioError('notFound', 'no such ring');
    return { ...state.ring, last: 7, acknowledged: 5, incarnation: 'life' };
  });
  rim.route('put', path, { summary: 'put it' }, ({ request }) => {
    state.ring = request.body as Record<string, unknown>;
    return {};
  });
  rim.route('post', `${path}/acknowledge`, { summary: 'told' }, ({ request }) => {
    state.acknowledged.push(request.body);
    return {};
  });
  const bridge = httpPeer({ url: `http://127.0.0.1:${await rim.listen(0, '127.0.0.1')}` });
  endings.push(async () => {
    bridge.close();
    await rim.close();
  });
  return { state, bridge };
}

test("ChirpStack's devices are in a ring of their own, which waits for nobody", async () => {
  const { state, bridge } = await startBridge();
  const { devices } = deviceLoraOptions.parse({
    ...{ dataDir: '/d', chirpStack: {} },
    devices: [
      { devEui: '0000000000000001', name: 'a', devAddr: '01000002', network: 'chirpStack' },
      { devEui: '0000000000000002', name: 'b', activation: 'otaa', network: 'chirpStack' },
      { devEui: '0000000000000003', name: 'c', activation: 'otaa', network: 'chirpStack' },
    ],
  });
  const open = (range?: object) => {
    const ring = openChirpStackRing({
      ...{ bridge, devices, range, log: silentLog, clock: systemClock, told: () => 0 },
      deviceOf: ({ name }) =>
        name === 'b' ? { devAddr: '01000001', applicationId: undefined, fcnt: 1 } : undefined,
    } as Parameters<typeof openChirpStackRing>[0]);
    endings.push(() => ring.stop());
    return ring;
  };
  const ring = open();
  expect(ring.check().ok).toBe(false);
  const until = async (condition: () => boolean): Promise<void> => {
    expect(await waitFor(systemClock, 5000, () => Promise.resolve(condition() || undefined), 10)).toBe(true);
  };
  await until(() => ring.check().ok);
  expect(state.ring).toMatchObject({
    ...{ devAddrs: ['01000001', '01000002'], prefix: 'chirpstack/', deliver: true, encoding: 'protobuf' },
  });
  const put = state.ring;
  const second = open();
  await until(() => state.acknowledged.length > 0);
  await until(() => second.handedOver().frames === 2);
  expect(state.acknowledged[0]).toEqual({ through: 7, incarnation: 'life' });
  expect(state.ring).toBe(put);
  // those that join are heard asking, and with whatever they are given
  open({ first: '01000004', last: '01000006' });
  await until(() => state.ring !== put);
  expect(state.ring).toMatchObject({
    devAddrs: ['01000001', '01000002', '01000004', '01000005', '01000006'],
    devEuis: ['0000000000000002', '0000000000000003'],
  });
});
