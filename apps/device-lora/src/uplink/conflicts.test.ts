import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import type { DevEui, SessionId } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { createConflictStore, type ConflictStore } from './conflicts.ts';

const folder = mkdtempSync(join(tmpdir(), 'antirio-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const [first, second] = ['00000000000000a1', '00000000000000a2'] as [DevEui, DevEui];

function put(store: ConflictStore, devEui: DevEui, fcnt: number): void {
  const frame = { phyPayload: Uint8Array.of(fcnt), receivedAt: 1000 - fcnt, gatewayId: 'g' };
  store.put({ devEui, session: 'ab' as SessionId, fcnt, digest: `${devEui}/${fcnt}`, ...frame });
}
const told = (store: ConflictStore): unknown[] =>
  store.unseen().map(({ newest: { devEui, fcnt }, count }) => [devEui, fcnt, count]);
const newestOf = (store: ConflictStore, devEui: DevEui): number => store.latest(devEui, 1)[0]?.id ?? 0;

test('conflicts are unseen until somebody says so, over a start, and what comes later is news', () => {
  const path = join(folder, 'device-lora.db');
  const db = openStore(path);
  const store = createConflictStore(db);
  expect(told(store)).toEqual([]);
  for (const fcnt of [1, 2]) put(store, first, fcnt);
  put(store, second, 9);
  expect(told(store)).toEqual([
    [second, 9, 1],
    [first, 2, 2],
  ]);
  // one came after the list was shown
  const shown = newestOf(store, first);
  put(store, first, 3);
  store.see(first, shown);
  store.see(second, newestOf(store, first));
  expect(told(store)).toEqual([[first, 3, 1]]);
  db.close();
  const again = openStore(path);
  const kept = createConflictStore(again);
  expect(told(kept)).toEqual([[first, 3, 1]]);
  // an id from the future hides nothing that is to come, an old one brings nothing back
  kept.see(first, 1_000_000);
  kept.see(first, 1);
  expect(told(kept)).toEqual([]);
  put(kept, second, 9);
  expect(told(kept)).toEqual([]);
  put(kept, second, 10);
  put(kept, first, 4);
  expect(told(kept)).toEqual([
    [first, 4, 1],
    [second, 10, 1],
  ]);
  again.close();
});
