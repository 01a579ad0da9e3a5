import { expect, jest, test } from '@jest/globals';
import { systemClock, waitFor, type HttpCall } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { contractId, terms } from './escrow.fixture.ts';
import { cameHomeWith } from './mac-home.ts';
import {
  ALL,
  devEui,
  MacScene,
  retaken,
  session,
  standing,
  stateOf,
  told,
  type Told,
} from './mac-home.fixture.ts';

const scene = new MacScene();

test('what a guest made of its devices is its customer’s once the epoch is sealed off, sealed to it alone', async () => {
  const stranger = { session, devEui: 'ff'.repeat(8), state: stateOf(9) };
  const guest = {
    next: told(3, [stranger, { session, devEui, state: { rx1DelayS: 99 } }]) as Told | undefined,
  };
  const handback = await scene.openGuest(guest);
  await expect(handback.pageOf(terms, 3, 0)).rejects.toThrow('not handed back');
  await handback.handBack(terms, 3);
  // it says what was so then, whatever the guest says later, or does not say
  guest.next = told(7);
  await handback.handBack(terms, 3);
  const page = await handback.pageOf(terms, 3, 0);
  expect(page).toMatchObject({ totalCount: 1, isAll: true });
  expect(JSON.stringify(page)).not.toContain('rx1DelayS');
  await expect(handback.pageOf(terms, 4, 0)).rejects.toThrow('not handed back');

  const calls: HttpCall[] = [];
  const home = scene.openCustomer(() => page, ALL, calls);
  expect(home.holdsFence(standing({ at: 'guarded', epoch: 4 }))).toBe(false);
  const contract = standing(retaken);
  expect(home.holdsFence(contract)).toBe(true);
  await waitFor(systemClock, 5000, () => !home.holdsFence(contract));
  expect(calls.map(({ method, path, json }) => ({ method, path, json }))).toMatchObject([
    {
      ...{ method: 'POST', path: '/api/v3/lora/mac' },
      json: {
        setId: 'bridge',
        epoch: 3,
        until: 2500,
        sessions: [{ session, devEui, state: { rx1DelayS: 3 } }],
      },
    },
  ]);
  expect(cameHomeWith(scene.store, contractId)).toMatchObject({ epoch: 3, counts: { taken: 1, missing: 0 } });
  expect(scene.store.notes(contractId)).toMatchObject([{ milestone: 'listeningHome' }]);
});

test.each([
  ['told so lately', 60_000, 2],
  ['went on acting', 60_001, 0],
])('a guest is given, until it has it, what waited at an edge that %s', async (_, ageMs, times) => {
  scene.now = 1_000_000;
  const state = stateOf(3);
  scene.store.putDocument(contractId, `mac/${devEui}`, { session, state, queue: 'sealed' });
  scene.store.putDocument(contractId, 'macQueuesAt', scene.now - ageMs);
  const outcome = { session, devEui, state, queue: 'what became of it' };
  const guest = { next: { ...told(3), sessions: [outcome] }, given: [] as unknown[] };
  const handback = await scene.openGuest(guest);
  handback.drive(standing({ at: 'active', from: 1, epoch: 3 }, 'provider'));
  await waitFor(systemClock, 10_000, () => (guest.given.length >= times ? true : undefined));
  await waitFor(systemClock, 10_000, () => scene.store.documents(contractId, 'macAfter').size === 1);
  const given = { under: 'bridge/3', queues: [{ session, queue: 'sealed' }] };
  expect(guest.given).toEqual(Array<unknown>(times).fill(given));
  await handback.handBack(terms, 3);
  const calls: HttpCall[] = [];
  const page = await handback.pageOf(terms, 3, 0);
  const home = scene.openCustomer(() => page, ALL, calls);
  expect(home.holdsFence(standing(retaken))).toBe(true);
  await waitFor(systemClock, 5000, () => !home.holdsFence(standing(retaken)));
  expect(calls.map(({ json }) => json)).toMatchObject([
    { isFinal: true, sessions: [{ queue: 'what became of it' }] },
  ]);
});

test('a guest that does not answer holds up no handback for long, and hands back what it said before', async () => {
  const guest = { next: told(3) as Told | undefined };
  const handback = await scene.openGuest(guest);
  handback.drive(standing({ at: 'active', from: 1, epoch: 3 }, 'provider'));
  await waitFor(systemClock, 5000, () => scene.store.documents(contractId, 'macAfter').size === 1);
  guest.next = undefined;
  await handback.handBack(terms, 3);
  const page = await handback.pageOf(terms, 3, 0);
  expect(page).toMatchObject({ totalCount: 1, isAll: false });
  // its customer takes what there is, and says that it is not all
  const home = scene.openCustomer(() => page, ALL);
  expect(home.holdsFence(standing(retaken))).toBe(true);
  await waitFor(systemClock, 5000, () => !home.holdsFence(standing(retaken)));
  expect(home.counts()).toMatchObject({ taken: 1, missing: 1 });
  expect(cameHomeWith(scene.store, contractId)?.why).toContain('did not tell all');
  await handback.leave(contractId);
  expect(scene.store.documents(contractId, 'macAfter').size).toBe(0);
});

test('what several customers fetch at once is read once for each, and not kept for one that does not go on', async () => {
  const handback = await scene.openGuest({ next: undefined });
  const ids = [contractId, '11111111-2222-4333-8444-555555555555'];
  const state = stateOf(2);
  for (const id of ids) {
    const named = Array.from(
      { length: 450 },
      (_, i) => [`macAfter/${i.toString(16).padStart(16, '0')}`, { epoch: 3, session, state }] as const,
    );
    scene.store.putDocuments(id, named);
    scene.store.putDocument(id, 'macSealedOff', { epoch: 3, isAll: true });
  }
  const reads = jest.spyOn(scene.store, 'documents');
  for (const offset of [0, 200, 400])
    for (const id of ids)
      expect(await handback.pageOf({ ...terms, contractId: id }, 3, offset)).toMatchObject({
        totalCount: 450,
      });
  expect(reads).toHaveBeenCalledTimes(2);
  // let go of with the last page
  await handback.pageOf(terms, 3, 400);
  expect(reads).toHaveBeenCalledTimes(3);
});

test('a broker that was away at the first question is asked by the next one', async () => {
  let isAway = true;
  const handback = await scene.openGuest({ next: told(3) }, (bus) => ({
    ...bus,
    publish: (topic, payload) => bus.publish(topic, payload),
    subscribe: (filter, handler) =>
      isAway
        ? Promise.reject(new AntirioError('unavailable', 'the broker is gone'))
        : bus.subscribe(filter, handler),
  }));
  await handback.handBack(terms, 3);
  await expect(handback.pageOf(terms, 3, 0)).rejects.toThrow('not handed back');
  isAway = false;
  await handback.handBack(terms, 3);
  expect(await handback.pageOf(terms, 3, 0)).toMatchObject({ totalCount: 1 });
});
