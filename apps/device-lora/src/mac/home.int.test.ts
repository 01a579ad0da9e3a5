import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { callJson, type HttpPeer } from '@antirio/host';
import { encodeMacCommands, newMacState, eu868, parseDataFrame, type MacState } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import {
  cipher,
  devAddr,
  devEui,
  device,
  folder,
  session,
  startScene,
  startService,
  until,
  uplink,
  type Scene,
} from '../test-scene.ts';
import { startTestRing } from '../test-surroundings.ts';
import { createMacStore } from './store.ts';

/** RX1 comes 3 s after the uplink, two data rates below it; RX2 is elsewhere. */
const moved: MacState = {
  ...newMacState(eu868, {}),
  ...{ rx1DelayS: 3, rx1DrOffset: 2, rx2: { frequency: 868_100_000, dataRate: 3 }, fcntUp: 40, dataRate: 5 },
};
const reading = Uint8Array.of(1, 103, 0, 250);
const confirmed = (fcnt: number): Uint8Array =>
  cipher.build({ direction: 'up', confirmed: true, devAddr, fcnt, fPort: 2 }, reading);

async function grantCounters({ bus }: Scene, prefix = ''): Promise<void> {
  let first = 0;
  await bus.subscribe(`${prefix}antirio/fcntdown/request`, async (_, payload) => {
    const request = JSON.parse(Buffer.from(payload).toString()) as object;
    const grant = JSON.stringify({ ...request, first, last: first + 15 });
    first += 16;
    await bus.publish(`${prefix}antirio/fcntdown/grant`, grant);
  });
}

const bringHome = (
  http: HttpPeer,
  state: unknown,
  epoch: number,
  id: string = session,
  until?: number,
): Promise<unknown> => {
  const json = {
    setId: 'pier',
    epoch,
    ...(until === undefined ? {} : { until }),
    sessions: [{ session: id, devEui, state }],
  };
  return callJson(http, { method: 'POST', path: '/api/v3/lora/mac', json });
};
const counted = (what: string): object => ({
  taken: 0,
  behind: 0,
  older: 0,
  unknown: 0,
  malformed: 0,
  [what]: 1,
});

test('an edge that has its device back answers it where the one that served it had told it to listen', async () => {
  const scene = await startScene();
  const { bus, ring } = scene;
  await grantCounters(scene);
  const first = await startService(scene);
  // what came out of the provider's ring: the device answers what this edge never asked
  await ring.hear(uplink(40), { via: 'ring' });
  await until(async () => (await first.status()).stored === 1);
  expect(await bringHome(first.http, { ...moved, rx1DelayS: 99 }, 3)).toEqual(counted('malformed'));
  expect(await bringHome(first.http, { ...moved, rx2: { frequency: 1, dataRate: 3 } }, 3)).toEqual(
    counted('malformed'),
  );
  // the device could never be heard again
  expect(await bringHome(first.http, { ...moved, fcntUp: 2 ** 32 - 1 }, 3)).toEqual(counted('malformed'));
  expect(await bringHome(first.http, moved, 3, '00'.repeat(8))).toEqual(counted('unknown'));
  // its edge has sent to it again meanwhile, and nothing says what it answered when
  expect(await bringHome(first.http, moved, 3, session, Date.now() - 1)).toEqual(counted('older'));
  expect(await bringHome(first.http, moved, 3, session, Date.now() + 60_000)).toEqual(counted('taken'));
  // the same again, or what is older, changes nothing
  expect(await bringHome(first.http, { ...moved, rx1DelayS: 9 }, 3)).toEqual(counted('older'));
  // somebody who began from an older state comes later, with what the device answered to it alone
  const late: MacState = {
    ...{ ...newMacState(eu868), number: 0, fcntUp: 39 },
    taken: [{ command: { type: 'dutyCycleReq', maxDutyCycle: 3 }, sentAt: 38, fcnt: 39 }],
  };
  expect(await bringHome(first.http, late, 2, session, Date.now() - 1)).toEqual(counted('behind'));
  expect(await bringHome(first.http, late, 2)).toEqual(counted('older'));
  const told = (await callJson(first.http, { path: '/api/v3/lora/mac' })) as { sessions: object[] };
  expect(told.sessions).toMatchObject([{ state: { ...{ rx1DelayS: 3, maxDutyCycle: 3 }, number: 3 } }]);
  await bus.publish('antirio/service/device-lora/control', '{"type":"standdown"}');
  await until(async () => (await first.status()).state === 'shadow');
  // it is asked again
  await expect(bringHome(first.http, moved, 4)).rejects.toMatchObject({ code: 'unavailable' });
  await first.service.stop();

  const { http } = await startService(scene);
  expect(await bringHome(http, { ...moved, rx1DelayS: 9 }, 2)).toEqual(counted('older'));
  await ring.hear(confirmed(41));
  await until(() => ring.downlinks.length === 1);
  // SF7 went up: two data rates below is SF9
  expect(ring.downlinks[0]?.items).toMatchObject([
    { txInfo: { modulation: { lora: { spreadingFactor: 9 } }, timing: { delay: { delay: '3s' } } } },
    { txInfo: { frequency: 868_100_000, timing: { delay: { delay: '4s' } } } },
  ]);
});

test('a service that stands in for another edge tells its own how the devices listen that it has spoken to', async () => {
  const prefix = 'contract/c1/';
  const scene = await startScene(prefix);
  const db = openStore(join(folder, 'device-lora', 'device-lora.db'));
  const pending = [{ command: { type: 'devStatusReq' as const }, attempts: 1, inFlight: true }];
  createMacStore(db).put(session, { ...newMacState(eu868), fcntUp: 3, pending });
  db.close();
  const { bus, ring } = scene;
  const told: { requestId: string; sessions: object[] }[] = [];
  await bus.subscribe(`${prefix}antirio/mac/told`, (_, payload) => {
    told.push(JSON.parse(Buffer.from(payload).toString()) as (typeof told)[number]);
  });
  const { status } = await startService(scene, { prefix, ring: 'contract-1', devices: [device] });
  await bus.publish(`${prefix}antirio/mac/asked`, '{"requestId":7}');
  await bus.publish(`${prefix}antirio/mac/asked`, JSON.stringify({ requestId: 'one' }));
  await until(() => told.length > 0);
  // its own edge may know something newer of it
  expect(told).toMatchObject([{ requestId: 'one', totalCount: 1, sessions: [] }]);
  const fOpts = encodeMacCommands([{ type: 'devStatusAns', battery: 90, margin: 3 }]);
  await ring.hear(
    cipher.build({ direction: 'up', confirmed: false, devAddr, fcnt: 5, fPort: 2, fOpts }, reading),
  );
  await until(async () => (await status()).stored === 1);
  await bus.publish(`${prefix}antirio/mac/asked`, JSON.stringify({ requestId: 'two' }));
  await until(() => told.length > 1);
  expect(told[1]).toMatchObject({
    sessions: [{ session, devEui, state: { fcntUp: 5, rx1DelayS: 1, devStatus: { battery: 90 } } }],
  });
  expect(told[1]?.sessions[0]).not.toHaveProperty('state.spokenTo');
});

test('what waits at its own edge is sent by the one in its place, and never again by its own', async () => {
  const prefix = 'contract/c1/';
  const scene = await startScene();
  await grantCounters(scene, prefix);
  const own = await startService(scene);
  const path = `/api/v3/lora/device/${device.name}/downlink`;
  for (const payload of ['aa', 'bb'])
    await callJson(own.http, { method: 'POST', path, json: { payload, fPort: 7, confirmed: true } });
  interface Told {
    readonly sessions: readonly { session: string; state: unknown; queue?: string }[];
  }
  expect(((await callJson(own.http, { path: '/api/v3/lora/mac' })) as Told).sessions[0]).not.toHaveProperty(
    'queue',
  );
  const [listed] = ((await callJson(own.http, { path: '/api/v3/lora/mac?queues=true' })) as Told).sessions;
  const queues = [{ session, queue: listed?.queue }];

  const ring = await startTestRing(scene.bus, 'contract-1', prefix);
  const place = { prefix, ring: 'contract-1', devices: [device], dataDir: join(folder, 'guest') };
  await startService(scene, place);
  const told: (Told & { requestId: string; hasTaken?: boolean })[] = [];
  await scene.bus.subscribe(`${prefix}antirio/mac/told`, (_, payload) => {
    told.push(JSON.parse(Buffer.from(payload).toString()) as (typeof told)[number]);
  });
  const ask = (about: object): Promise<void> =>
    scene.bus.publish(`${prefix}antirio/mac/asked`, JSON.stringify({ requestId: 'one', ...about }));
  const given = { under: 'pier/4', queues };
  for (let times = 1; times < 3; times++) {
    await ask({ given });
    await until(() => told.length === times);
  }
  expect(told.map(({ hasTaken }) => hasTaken)).toEqual([true, true]);
  // its edge may not act yet
  await ring.hear(uplink(1), { tenure: '' });
  await ring.hear(uplink(2), { tenure: 'pier/4' });
  await until(() => ring.downlinks.length === 1);
  await ring.hear(uplink(3, { ack: true }), { tenure: 'pier/4' });
  await until(() => ring.downlinks.length === 2);
  const payloads = ring.downlinks.map(({ items }) => {
    const frame = parseDataFrame(Buffer.from(items[0]?.phyPayload ?? '', 'base64'));
    return Buffer.from(cipher.decrypt(frame, frame.fcnt16)).toString('hex');
  });
  expect(payloads).toEqual(['aa', 'bb']);
  await ask({});
  await until(() => told.length === 3);

  const sessions = told[2]?.sessions.map((one) => ({ ...one, devEui }));
  const json = { setId: 'pier', epoch: 4, isFinal: true, sessions };
  await callJson(own.http, { method: 'POST', path: '/api/v3/lora/mac', json });
  const { downlinks } = (await callJson(own.http, { path })) as { downlinks: { state: string }[] };
  expect(downlinks.map(({ state }) => state)).toEqual(['failed', 'acknowledged']);
});
