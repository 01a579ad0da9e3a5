import { expect, test } from '@jest/globals';
import { AntirioError } from '@antirio/kernel';
import { httpPeer, silentLog, systemClock } from '@antirio/host';
import { eu868, newMacState } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { createJoinStore } from '../join/store.ts';
import { createPoster } from '../north/poster.ts';
import { newStateOf } from '../mac/mac-layer.ts';
import { deviceLoraOptions, secretsSchema, type DeviceOptions } from '../options.ts';
import { loraEnvironmentSensor } from '../profile.ts';
import { createUplinkStore } from '../store.ts';
import {
  appSKey,
  devAddr,
  device,
  devEui,
  idOf,
  nwkSKey,
  onEnd,
  startScene,
  until,
  uplink,
} from '../test-scene.ts';
import { openReader } from './reader.ts';
import { openSessions } from './session-book.ts';

const options = deviceLoraOptions.parse({ dataDir: '/nowhere', devices: [device], deduplicationMs: 20 });
const secrets = secretsSchema.parse({
  keyVersion: 1,
  sessions: [{ devEui, devAddr, nwkSKey, appSKey }],
});

/** A reader whose disk, and whose listener, fail when they are told to. */
async function startReader() {
  const { bus, core, ring } = await startScene();
  const failing = { book: false, marks: false, listener: false };
  const fail = (): never => {
    throw new AntirioError('unavailable', 'database or disk is full');
  };
  const db = openStore(':memory:');
  const stored = createUplinkStore(db);
  const store: typeof stored = {
    ...stored,
    remembered: (...of) => (failing.marks ? fail() : stored.remembered(...of)),
  };
  const newMac = (device: DeviceOptions) => newStateOf(options, device);
  const ports = { devices: options.devices, store, newMac, joins: createJoinStore(db) };
  const coreData = httpPeer({ url: core.url });
  const heard: number[] = [];
  const reader = await openReader({
    ...{ options, bus, store, clock: systemClock, log: silentLog },
    poster: createPoster({ coreData, concurrency: 4, refusalsBeforeParking: 2 }),
    profileOf: () => loraEnvironmentSensor,
    onJoin: () => undefined,
    onReset: () => newMacState(eu868),
    onHeard: ({ fcnt }) => (failing.listener ? fail() : void heard.push(fcnt)),
    onStored: () => undefined,
    onCursor: () => undefined,
  });
  onEnd(async () => {
    await reader.close();
    coreData.close();
    db.close();
  });
  /** As a service does that has just been started: what it has stored is on the disk alone. */
  const begin = (): void => {
    const book = openSessions(secrets, { ...ports, confidentiality: 'process' });
    reader.begin({ ...book, heard: (session) => (failing.book ? fail() : book.heard(session)) });
  };
  begin();
  return { reader, begin, failing, heard, core, ring };
}

test('frames that cannot be read while the disk fails are read when it does not, with no start between', async () => {
  const { reader, begin, failing, core, ring } = await startReader();
  failing.book = true;
  for (const fcnt of [1, 2, 3, 4]) await ring.hear(uplink(fcnt));
  await until(() => !reader.check().ok);
  expect([core.events.size, reader.cursor]).toEqual([0, 0]);
  failing.book = false;
  await until(() => reader.cursor === 4);
  expect([...core.events.keys()].sort()).toEqual([1, 2, 3, 4].map(idOf).sort());
  expect(reader.check()).toEqual({ ok: true });
  // a known frame once more: what it was is asked of the disk
  await reader.end();
  begin();
  failing.marks = true;
  await ring.hear(uplink(1));
  await ring.hear(uplink(5));
  await until(() => core.events.has(idOf(5)) && !reader.check().ok);
  expect(reader.cursor).toBe(4);
  failing.marks = false;
  await until(() => reader.cursor === 6);
  expect(core.doubled).toBe(0);
});

test('who listens and fails takes no reading away, and nothing else either', async () => {
  const { reader, failing, heard, core, ring } = await startReader();
  failing.listener = true;
  // two gateways: a frame waits for the other one's reception
  await ring.hear(uplink(1));
  await ring.hear(uplink(2), { gatewayId: '00000000000000b0' });
  await ring.hear(uplink(3));
  await until(() => reader.cursor === 3);
  failing.listener = false;
  await ring.hear(uplink(4));
  await until(() => reader.cursor === 4);
  expect(heard).toEqual([4]);
  expect(core.events.size).toBe(4);
});

test('a frame that another gateway heard better is tried again as well, and keeps the time of its first reception', async () => {
  const { reader, failing, core, ring } = await startReader();
  const better = { gatewayId: '00000000000000b0', rssi: -40 };
  await ring.hear(uplink(1));
  await until(() => reader.cursor === 1);
  await ring.hearAgain(1, { ...better, afterMs: 10 });
  failing.book = true;
  await ring.hear(uplink(2), { rssi: -110 });
  const heardBy = Date.now();
  await ring.hearAgain(2, { ...better, afterMs: 500 });
  await until(() => !reader.check().ok);
  failing.book = false;
  await until(() => reader.cursor === 2);
  expect(Number(core.events.get(idOf(2))?.origin) / 1e6).toBeLessThanOrEqual(heardBy);
});
