import { expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import { parseDevAddr, parseDevEui } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { createDownlinkStore, type NewDownlink } from '../downlink/store.ts';
import { deviceLoraOptions } from '../options.ts';
import { directoryOf } from '../directory.ts';
import { createRejoins, leftBehind } from './rejoin.ts';

const devEui = parseDevEui('00000000000000a1');
const devAddr = parseDevAddr('01000001');
const device = { devEui, name: 'able', activation: 'otaa', rejoinCommand: { fPort: 9, payload: 'ff00' } };
const options = (devices: readonly object[]) => deviceLoraOptions.parse({ dataDir: '/nowhere', devices });

test('a device whose keys were seen is told to join anew, once, by its own command', () => {
  const db = openStore(':memory:');
  const store = createDownlinkStore(db);
  let now = 1_000_000;
  let inUse = devAddr;
  const sender = { queue: (one: NewDownlink) => store.add(one, now) };
  const rejoins = createRejoins({
    devices: options([device, { devEui: '00000000000000a2', name: 'unable', activation: 'otaa' }]).devices,
    sessions: () => ({ currentOf: () => ({ id: `of ${inUse}`, devAddr: inUse }) }) as never,
    ...{ sender, store, clock: { now: () => now, monotonic: () => now }, log: silentLog },
  });
  const told = (): number => store.latest(devEui, 10).length;
  const seen = [{ devEui, devAddr }];
  rejoins([]);
  rejoins([{ devEui, devAddr: '01000002' }]);
  expect(told()).toBe(0);
  rejoins(seen);
  rejoins(seen);
  const [first] = store.latest(devEui, 10);
  expect([told(), first?.resource, first?.fPort, first?.payload]).toEqual([
    1,
    'rejoin',
    9,
    Uint8Array.of(0xff, 0),
  ]);
  // it waits for the device's next uplink for as long as that takes
  now += 7_200_000;
  rejoins(seen);
  expect(told()).toBe(1);
  // it went, and the device goes on as before: once more after an hour
  store.update(first?.id ?? 0, { state: 'acknowledged' }, now);
  rejoins(seen);
  expect(told()).toBe(2);
  store.update(store.latest(devEui, 1)[0]?.id ?? 0, { state: 'acknowledged' }, now);
  now += 60_000;
  rejoins(seen);
  expect(told()).toBe(2);
  // it has followed at last
  const last = store.latest(devEui, 1)[0]?.id ?? 0;
  store.update(last, { session: `of ${inUse}` as never }, now);
  inUse = parseDevAddr('01000009');
  now += 60_000;
  rejoins(seen);
  expect(told()).toBe(2);
  // and its new keys are seen as well: of those it knows nothing
  rejoins([...seen, { devEui, devAddr: inUse }]);
  rejoins([...seen, { devEui, devAddr: inUse }]);
  expect(told()).toBe(3);
  db.close();
});

test('only devices that join have such a command', () => {
  const abp = { devEui, name: 'fixed', devAddr, rejoinCommand: { fPort: 1, payload: '' } };
  expect(() => options([abp])).toThrow('only devices with `otaa` join');
});

test('a session is left behind once its device is heard in another one', () => {
  const directory = directoryOf(options([device]).devices);
  const seen = [
    { devEui, devAddr },
    { devEui: '00000000000000a9', devAddr },
  ];
  const goesOnIn = (current: string | undefined) =>
    leftBehind(
      directory,
      { currentOf: () => (current === undefined ? undefined : { devAddr: current }) } as never,
      seen,
    );
  expect(goesOnIn(devAddr)).toEqual([]);
  expect(goesOnIn(undefined)).toEqual([]);
  expect(goesOnIn('01000009')).toEqual([{ devEui, devAddr }]);
  expect(leftBehind(directory, undefined, seen)).toEqual([]);
});
