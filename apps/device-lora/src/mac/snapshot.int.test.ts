import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { callJson, silentLog } from '@antirio/host';
import { newMacState, eu868, type MacState, type SessionId } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import {
  appSKey,
  cipher,
  devAddr,
  devEui,
  device,
  folder,
  nwkSKey,
  session,
  startScene,
  startService,
  until,
} from '../test-scene.ts';
import { packSnapshots, takeSnapshots } from './snapshot.ts';
import { createMacStore } from './store.ts';

/** RX1 comes 3 s after the uplink, two data rates below it; RX2 is elsewhere. */
const moved: MacState = {
  ...newMacState(eu868, {}),
  ...{ rx1DelayS: 3, rx1DrOffset: 2, rx2: { frequency: 868_100_000, dataRate: 3 }, fcntUp: 40 },
};
const confirmed = (fcnt: number): Uint8Array =>
  cipher.build({ direction: 'up', confirmed: true, devAddr, fcnt, fPort: 2 }, Uint8Array.of(1, 103, 0, 250));

interface Told {
  readonly incarnation: string;
  readonly serial: number;
  readonly sessions: { session: string; devEui: string; state: MacState }[];
}

test.each([40, 2 ** 32 - 2])(
  'a service that takes over answers a device that has counted to %d as the one before it had told it to listen',
  async (fcntUp) => {
    const db = openStore(join(folder, 'device-lora', 'device-lora.db'));
    createMacStore(db).put(session, { ...moved, fcntUp });
    db.close();
    const scene = await startScene('contract/c1/');
    const before = await startService(scene);
    const told = (await callJson(before.http, { path: '/api/v3/lora/mac' })) as Told;
    expect(told.sessions).toMatchObject([{ session, devEui, state: { rx1DelayS: 3, fcntUp } }]);
    // nothing has changed since
    const { incarnation, serial } = told;
    const again = `/api/v3/lora/mac?incarnation=${incarnation}&since=${serial}`;
    expect(((await callJson(before.http, { path: again })) as Told).sessions).toEqual([]);
    await before.service.stop();

    const { bus, ring } = scene;
    await bus.subscribe('contract/c1/antirio/fcntdown/request', async (_, payload) => {
      const request = JSON.parse(Buffer.from(payload).toString()) as object;
      const grant = JSON.stringify({ ...request, first: 16, last: 31 });
      await bus.publish('contract/c1/antirio/fcntdown/grant', grant);
    });
    const secretsFile = join(folder, 'opened.json');
    const keys = { keyVersion: 1, sessions: [{ devEui, devAddr, nwkSKey, appSKey }] };
    writeFileSync(secretsFile, JSON.stringify({ ...keys, mac: packSnapshots(told.sessions) }));
    const place = { dataDir: join(folder, 'guest'), ring: 'contract-1', prefix: 'contract/c1/', secretsFile };
    await startService(scene, { ...place, devices: [device] });
    await ring.hear(confirmed(fcntUp + 1));
    await until(() => ring.downlinks.length === 1);
    const [rx1, rx2] = ring.downlinks[0]?.items ?? [];
    // SF7 went up: two data rates below is SF9
    expect([rx1, rx2]).toMatchObject([
      { txInfo: { modulation: { lora: { spreadingFactor: 9 } }, timing: { delay: { delay: '3s' } } } },
      {
        txInfo: {
          frequency: 868_100_000,
          modulation: { lora: { spreadingFactor: 9 } },
          timing: { delay: { delay: '4s' } },
        },
      },
    ]);
  },
);

test('what is known here of later uplinks stands, and what is no snapshot keeps nobody from reading', () => {
  const db = openStore(':memory:');
  const store = createMacStore(db);
  const take = (state: unknown): number =>
    takeSnapshots(store, packSnapshots([{ session, state }]), silentLog);
  expect(take(moved)).toBe(1);
  // this service has served the device meanwhile
  store.put(session, { ...moved, fcntUp: 60, rx1DelayS: 5 });
  expect(take(moved)).toBe(0);
  expect(store.load(session)?.rx1DelayS).toBe(5);
  // and the device's own edge after it
  expect(take({ ...moved, fcntUp: 61, rx1DelayS: 1 })).toBe(1);
  expect(take({ ...moved, fcntUp: 99, rx1DelayS: 77 })).toBe(0);
  // a number says so by itself, also where no uplink was heard in between
  expect(take({ ...moved, number: 4, fcntUp: 61, rx1DelayS: 2 })).toBe(1);
  expect(take({ ...moved, number: 4, fcntUp: 99 })).toBe(0);
  expect(store.load(session)).toMatchObject({ number: 4, rx1DelayS: 2 });
  // what the device answered here alone is not lost by it
  const here = [{ command: { type: 'dutyCycleReq' as const, maxDutyCycle: 2 }, sentAt: 61, fcnt: 62 }];
  store.put(session, { ...moved, number: 4, fcntUp: 62, maxDutyCycle: 2, taken: here, spokenTo: true });
  const next = [{ command: { type: 'rxTimingSetupReq' as const, delay: 1 }, sentAt: 70, fcnt: 71 }];
  expect(take({ ...moved, number: 5, fcntUp: 71, rx1DelayS: 1, taken: next })).toBe(1);
  expect(store.load(session)).toMatchObject({ number: 5, rx1DelayS: 1, maxDutyCycle: 2, spokenTo: true });
  expect(takeSnapshots(store, 'bm9uc2Vuc2U=', silentLog)).toBe(0);
  expect(takeSnapshots(store, undefined, silentLog)).toBe(0);
  expect(store.load(session)?.rx1DelayS).toBe(1);
  db.close();
});

test('one device whose state cannot be merged, or read, leaves the others of the list what they are told', () => {
  const db = openStore(':memory:');
  const store = createMacStore(db);
  const [other, third] = ['00000000000000bb', '00000000000000cc'] as [SessionId, SessionId];
  store.put(session, { ...moved, number: 3, fcntUp: 100, rx1DelayS: 1, spokenTo: true });
  // it has counted more than a frame's 16 bits since this service knew it
  const news = { ...moved, number: 50, fcntUp: 70_000, rx1DelayS: 5 };
  const list = [
    { session, state: news },
    { session: 'no session', state: moved },
    { session: other, state: { ...moved, rx1DelayS: 77 } },
    { session: third, state: { ...news, rx1DelayS: 6 } },
  ];
  expect(takeSnapshots(store, packSnapshots(list), silentLog)).toBe(2);
  expect(store.load(session)).toMatchObject({ number: 50, fcntUp: 70_000, rx1DelayS: 5 });
  expect(store.load(other)).toBeUndefined();
  expect(store.load(third)).toMatchObject({ rx1DelayS: 6 });
  db.close();
});
