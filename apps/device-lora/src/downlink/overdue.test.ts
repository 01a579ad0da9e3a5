import { expect, test } from '@jest/globals';
import { parseDevEui } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { createDesk } from './desk.ts';
import { endOverdue, OVERDUE } from './overdue.ts';
import { createDownlinkStore } from './store.ts';

const devEui = parseDevEui('0102030405060708');
const other = parseDevEui('0102030405060709');
const START = 1_800_000_000_000;

function setting() {
  const store = createDownlinkStore(openStore(':memory:'));
  const clock = { at: START, now: () => clock.at };
  const desk = createDesk(store, clock);
  const add = (of: typeof devEui, confirmed = true) =>
    store.add({ devEui: of, resource: 'valve', fPort: 1, payload: new Uint8Array([1]), confirmed }, clock.at);
  return { store, clock, desk, add };
}

test('what was told while it served before is not done at the next takeover, and says why', () => {
  const { store, clock, desk, add } = setting();
  add(devEui);
  store.update(add(devEui).id, { state: 'sent', attempts: 1, fcnt: 3, bytes: new Uint8Array([2]) }, clock.at);
  add(other, false);
  clock.at += 600_001;
  const newest = add(devEui);
  expect(endOverdue({ store, desk, clock })).toBe(3);
  expect(store.open(devEui).map(({ id }) => id)).toEqual([newest.id]);
  expect(store.open(other)).toEqual([]);
  expect(store.latest(other, 1)).toMatchObject([{ state: 'failed', error: OVERDUE }]);
  expect(desk.counts()).toMatchObject({ failed: 3 });
});

test('a restart in between takes nothing away', () => {
  const { store, clock, desk, add } = setting();
  add(devEui);
  clock.at += 600_000;
  expect(endOverdue({ store, desk, clock })).toBe(0);
  expect(store.openCount()).toBe(1);
});
