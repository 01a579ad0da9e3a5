import { expect, test } from '@jest/globals';
import { silentLog, systemClock, waitFor, type HttpCall } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { contractId, customer, terms } from './escrow.fixture.ts';
import { cameHomeWith, createMacHome } from './mac-home.ts';
import {
  ALL,
  devEui,
  MacScene,
  retaken,
  room,
  session,
  standing,
  stateOf,
  told,
} from './mac-home.fixture.ts';

const scene = new MacScene();

test('what does not come, or is none, leaves what the owner knew, is counted, and opens its fence all the same', async () => {
  let page: () => unknown = () => {
    throw new AntirioError('conflict', 'this epoch is not handed back');
  };
  const home = scene.openCustomer(() => page(), ALL);
  const contract = standing(retaken);
  expect(home.holdsFence(contract)).toBe(true);
  // it is asked again for some seconds
  scene.now += 3000;
  expect(home.holdsFence(contract)).toBe(true);
  scene.now += 1500;
  await waitFor(systemClock, 5000, () => !home.holdsFence(contract));
  expect(home.counts()).toEqual({ taken: 0, behind: 0, older: 0, unknown: 0, malformed: 0, missing: 1 });
  expect(cameHomeWith(scene.store, contractId)).toMatchObject({
    epoch: 3,
    why: expect.stringContaining('not handed'),
  });
  // the next handback is another matter: a provider of an older version, or one that sends nonsense
  page = () => ({ totalCount: 1, box: { to: 'x', ephemeral: 'y', sealed: 'z' } });
  const next = standing({ at: 'retaken', epoch: 8, providerEpoch: 7 });
  expect(home.holdsFence(next)).toBe(true);
  await waitFor(systemClock, 5000, () => !home.holdsFence(next));
  expect(home.counts().missing).toBe(2);
});

test('what did not come in time is fetched when its provider is back, and no fence waits for it', async () => {
  let isBack = false;
  const handback = await scene.openGuest({ next: told(3) });
  await handback.handBack(terms, 3);
  const page = await handback.pageOf(terms, 3, 0);
  const reading = { ...terms, confidentiality: 'process' } as const;
  const calls: HttpCall[] = [];
  const home = scene.openCustomer(
    () => {
      if (!isBack) throw new AntirioError('unavailable', 'no way there');
      return page;
    },
    { ...ALL, behind: 0 },
    calls,
  );
  const contract = { ...standing(retaken), terms: reading };
  expect(home.holdsFence(contract)).toBe(true);
  scene.now += 4500;
  await waitFor(systemClock, 5000, () => !home.holdsFence(contract));
  const goesOn = { ...standing({ at: 'stated', epoch: 4 }), terms: reading };
  isBack = true;
  expect(home.holdsFence(goesOn)).toBe(false);
  scene.now += 29_000;
  expect(home.holdsFence(goesOn)).toBe(false);
  // what that provider was given to send it may have sent
  expect(calls.splice(0).map(({ json }) => json)).toMatchObject([{ sessions: [], untold: [devEui] }]);
  scene.now += 2000;
  expect(home.holdsFence(goesOn)).toBe(false);
  await waitFor(systemClock, 5000, () => cameHomeWith(scene.store, contractId)?.why === undefined);
  // our own devices were told something since: what has no number is not taken
  expect(calls.map(({ json }) => json)).toMatchObject([{ epoch: 3, until: 0 }]);
  expect(home.counts()).toMatchObject({ taken: 1, missing: 1 });
  scene.now += 60_000;
  expect(home.holdsFence(goesOn)).toBe(false);
  expect(calls).toHaveLength(1);
});

test('how a device listens in a session that is not known here yet is asked for again, so often and no more', async () => {
  const handback = await scene.openGuest({ next: told(3) });
  await handback.handBack(terms, 3);
  const page = await handback.pageOf(terms, 3, 0);
  const calls: HttpCall[] = [];
  const answers = { ...ALL, taken: 0, unknown: 1 };
  const home = scene.openCustomer(() => page, answers, calls);
  const contract = standing(retaken);
  const goesOn = standing({ at: 'stated', epoch: 4 });
  expect(home.holdsFence(contract)).toBe(true);
  await waitFor(systemClock, 5000, () => !home.holdsFence(contract));
  expect(cameHomeWith(scene.store, contractId)?.why).toMatch(/not known here/);
  const again = async (): Promise<void> => {
    const { length } = calls;
    scene.now += 31_000;
    home.holdsFence(goesOn);
    await waitFor(systemClock, 200, () => (calls.length > length ? true : undefined), 2);
    await new Promise((done) => setTimeout(done, 5));
  };
  await again();
  await again();
  expect([calls.length, scene.store.notes(contractId).length]).toEqual([3, 1]);
  // the join has come home
  Object.assign(answers, ALL);
  await again();
  expect(cameHomeWith(scene.store, contractId)?.why).toBeUndefined();
  await again();
  expect([calls.length, home.counts()]).toMatchObject([4, { taken: 1, unknown: 1 }]);
  // of another handback it never comes
  Object.assign(answers, { taken: 0, unknown: 1 });
  const next = standing({ at: 'retaken', epoch: 8, providerEpoch: 3 });
  scene.store.putDocument(contractId, 'listeningHome', { epoch: 2, counts: {} });
  const later = scene.openCustomer(() => page, answers, calls);
  expect(later.holdsFence(next)).toBe(true);
  await waitFor(systemClock, 5000, () => !later.holdsFence(next));
  const { length } = calls;
  const tryAgain = async (): Promise<void> => {
    scene.now += 31_000;
    later.holdsFence(goesOn);
    await new Promise((done) => setTimeout(done, 20));
  };
  for (let i = 0; i < 30; i++) await tryAgain();
  expect(calls.length - length).toBe(20);
  expect(cameHomeWith(scene.store, contractId)).toMatchObject({ isOver: true });
});

test('a fence waits no longer where there is more than comes home in time: what has come counts', async () => {
  const devices = Array.from({ length: 450 }, (_, i) => {
    const name = i.toString(16);
    return { devEui: name.padStart(16, '0'), devAddr: name.padStart(8, '0') };
  });
  const many = { ...terms, set: { ...terms.set, devices } };
  const sessions = devices.map(({ devEui: eui }) => ({ session, devEui: eui, state: stateOf(2) }));
  const handback = await scene.openGuest({
    next: { incarnation: 'life', serial: 1, totalCount: 450, sessions },
  });
  await handback.handBack(many, 3);
  const paths: string[] = [];
  const home = createMacHome({
    peers: {
      edge2edge: {
        async call({ path }) {
          paths.push(path.slice(path.indexOf('?')));
          scene.now += 2500;
          const offset = Number(/offset=(\d+)/.exec(path)?.[1]);
          const json = await handback.pageOf(many, 3, offset);
          return { status: 200, headers: {}, body: new Uint8Array(1), json: () => json };
        },
        close: () => undefined,
      },
      deviceLora: room(() => ({ ...ALL, taken: 200 })),
    },
    ...{ identity: customer, store: scene.store, clock: scene.clock, log: silentLog },
  });
  scene.closers.push(() => home.stop());
  const contract = { ...standing(retaken), terms: many };
  expect(home.holdsFence(contract)).toBe(true);
  await waitFor(systemClock, 5000, () => !home.holdsFence(contract));
  expect(paths).toEqual(['?epoch=3&offset=0', '?epoch=3&offset=200']);
  expect(await handback.pageOf(many, 3, 400)).toMatchObject({ totalCount: 450 });
  expect(cameHomeWith(scene.store, contractId)).toMatchObject({
    counts: { taken: 400 },
    why: expect.stringContaining('400'),
  });
});

test('the fence waits for what is on its way, however far the contract is, and is not opened by an end', async () => {
  const coming = Promise.withResolvers<undefined>();
  const home = createMacHome({
    peers: {
      edge2edge: {
        call: () => coming.promise.then(() => Promise.reject(new AntirioError('unavailable', 'gone'))),
        close: () => undefined,
      },
      deviceLora: room(() => ALL),
    },
    ...{ identity: customer, store: scene.store, clock: scene.clock, log: silentLog },
  });
  expect(home.holdsFence(standing(retaken))).toBe(true);
  const goesOn = standing({ at: 'guarded', epoch: 4 });
  expect(home.holdsFence(goesOn)).toBe(true);
  const stopping = home.stop();
  coming.resolve(undefined);
  await stopping;
  expect(home.holdsFence(goesOn)).toBe(true);
  expect(home.holdsFence(standing(retaken))).toBe(true);
  expect(cameHomeWith(scene.store, contractId)).toBeUndefined();
});

test('a disk on which nothing can be written keeps no fence shut: each epoch is tried once', async () => {
  const full = {
    document: () => undefined,
    note: () => undefined,
    putDocument: () => {
      throw new AntirioError('storageFull', 'no room');
    },
  };
  const none = (): never => {
    throw new AntirioError('notFound', 'no such contract');
  };
  const home = scene.openCustomer(none, ALL, [], full);
  const contract = standing(retaken);
  expect(home.holdsFence(contract)).toBe(true);
  await waitFor(systemClock, 5000, () => !home.holdsFence(contract));
  expect(home.counts().missing).toBe(1);
  expect(home.holdsFence(standing({ at: 'retaken', epoch: 8, providerEpoch: 7 }))).toBe(true);
});

test('a set without sensors, or whose provider has no keys, waits for nothing', () => {
  const home = scene.openCustomer(() => ({}), ALL);
  const none = { ...terms, set: { ...terms.set, devices: [] } };
  for (const one of [none, { ...terms, confidentiality: 'relay' as const }])
    expect(home.holdsFence({ ...standing(retaken), terms: one })).toBe(false);
});
