import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parseDevAddr, parseDevEui, sessionOfNetworkServer } from '@antirio/lorawan';
import { openChirpStackStore, type ChirpStackStore, type Taken } from './store.ts';

const first = parseDevEui('0102030405060708');
const other = parseDevEui('1112131415161718');
const addresses = [parseDevAddr('01000001'), parseDevAddr('01000002')] as const;

function taking(store: ChirpStackStore) {
  return (devEui: typeof first, fcnt: number, digest = 'd', devAddr = addresses[0]): Promise<Taken> =>
    store.take(
      {
        ...{ eventId: `${devEui}/${devAddr}/${fcnt}`, path: '/p', body: '{}', digest },
        counter: { session: sessionOfNetworkServer(devEui, devAddr), fcnt },
      },
      { devEui, at: 1, message: Uint8Array.of(fcnt & 255) },
    );
}

test('a device that counts anew is told, however long ago it was there, and however much others sent', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'chirpstack-store-'));
  const path = join(folder, 'chirpstack.db');
  let store = openChirpStackStore(path);
  const counters = Array.from({ length: 1200 }, (_, fcnt) => fcnt).filter((fcnt) => fcnt !== 1190);
  const many = (devEui: typeof first): Promise<Taken[]> =>
    Promise.all(counters.map((fcnt) => taking(store)(devEui, fcnt)));
  await taking(store)(other, 7);
  expect(new Set(await many(first))).toEqual(new Set(['new']));
  // the device's own are remembered, whatever others send
  expect([await taking(store)(other, 7), await taking(store)(other, 7, 'else')]).toEqual([
    'known',
    'conflict',
  ]);
  await store.close();
  store = openChirpStackStore(path);
  const take = taking(store);
  const waited = store.waitingCount;
  // long gone: what was under it is at core-data, which would let a second one fall
  expect(await take(first, 3, 'else')).toBe('conflict');
  expect(store.conflicts(first, 9)).toMatchObject([{ at: 1, message: Uint8Array.of(3) }]);
  expect(store.waitingCount).toBe(waited);
  // late, and never there; or in another session
  expect([await take(first, 1190), await take(first, 1199), await take(first, 1200)]).toEqual([
    ...['new', 'known', 'new'],
  ]);
  expect(await take(first, 3, 'else', addresses[1])).toBe('new');
  // told apart by what is never another's
  const resetting = { eventId: 'r', path: '/p', body: '{}', digest: 'd', counter: undefined };
  expect(await store.take(resetting, { devEui: first, at: 1, message: new Uint8Array() })).toBe('new');
  await store.close();
  rmSync(folder, { recursive: true });
});

test('conflicts are unseen until somebody says so, over a start; what a fault of ours did not read is none', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'chirpstack-store-'));
  const path = join(folder, 'chirpstack.db');
  let store = openChirpStackStore(path);
  const told = (): unknown[] => store.unseen().map(({ newest, count }) => [newest.devEui, newest.at, count]);
  const conflict = async (devEui: typeof first, fcnt: number): Promise<void> => {
    for (const digest of ['d', 'else']) await taking(store)(devEui, fcnt, digest);
  };
  await store.keep({ devEui: other, at: 5, message: Uint8Array.of(1) });
  expect(told()).toEqual([]);
  for (const fcnt of [1, 2]) await conflict(first, fcnt);
  expect(told()).toEqual([[first, 1, 2]]);
  await conflict(other, 1);
  await store.see(first, 1_000_000);
  await store.close();
  store = openChirpStackStore(path);
  expect(told()).toEqual([[other, 1, 1]]);
  await conflict(first, 3);
  expect(told()).toEqual([
    [first, 1, 1],
    [other, 1, 1],
  ]);
  await store.close();
  rmSync(folder, { recursive: true });
});
