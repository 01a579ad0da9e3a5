import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { createBroker, createLocalBus } from '@antirio/bus';
import {
  silentLog,
  systemClock,
  systemRandom,
  waitFor,
  type Bus,
  type HttpCall,
  type HttpPeer,
} from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { eu868, newMacState, type MacState } from '@antirio/lorawan';
import type { CustomerPhase, ProviderPhase, Standing } from '@antirio/service-contract';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { contractId, customer, sealKeyOf, terms } from './escrow.fixture.ts';
import { listeningOf } from './listening.ts';
import { createMacHandback } from './mac-handback.ts';
import { cameHomeWith, createMacHome } from './mac-home.ts';

const [device] = terms.set.devices;
const devEui = device?.devEui ?? '';
const session = '0123456789abcdef';
const stateOf = (rx1DelayS: number): MacState => ({ ...newMacState(eu868), rx1DelayS });
const told = (rx1DelayS: number, more: object[] = []): Told => ({
  ...{ incarnation: 'life', serial: 4, totalCount: 1 },
  sessions: [{ session, devEui, state: stateOf(rx1DelayS) }, ...more],
});
const retaken: CustomerPhase = { at: 'retaken', epoch: 4, providerEpoch: 3 };

let folder = '';
let store: ContractStore;
let now = 1000;
const clock = { now: () => now, monotonic: () => now };
const closers: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'home-'));
  store = openContractStore(join(folder, 'contracts.db'));
  now = 1000;
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  store.close();
  rmSync(folder, { recursive: true });
});

function room(answer: (call: HttpCall) => unknown, calls: HttpCall[] = []): HttpPeer {
  return {
    call: (call) => {
      calls.push(call);
      const json = answer(call);
      return Promise.resolve({ status: 200, headers: {}, body: new Uint8Array(1), json: () => json });
    },
    close: () => undefined,
  };
}

interface Asked {
  readonly given?: object;
  readonly requestId: string;
  readonly offset?: number;
  readonly limit: number;
}
interface Told {
  readonly incarnation: string;
  readonly serial: number;
  readonly totalCount: number;
  readonly sessions: readonly object[];
}

/** A guest on the bus that answers as it is told to; undefined: not at all. */
async function openGuest(
  answers: { next: Told | undefined; given?: unknown[] },
  through = (bus: Bus): Bus => bus,
) {
  const broker = createBroker(
    { secret: new Uint8Array(32), listeners: [{ socketPath: join(folder, 'bus.sock'), anonymous: 'all' }] },
    silentLog,
  );
  await broker.start();
  closers.push(() => broker.stop());
  const bus = createLocalBus(broker, silentLog);
  closers.push(() => bus.close());
  const prefix = `contract/${contractId}/antirio/mac`;
  await bus.subscribe(`${prefix}/asked`, async (_, payload) => {
    const asked = JSON.parse(Buffer.from(payload).toString()) as Asked;
    const { requestId, offset = 0, limit, given } = asked;
    if (answers.next === undefined) return;
    const sessions = answers.next.sessions.slice(offset, offset + limit);
    if (given !== undefined) answers.given?.push(given);
    // it has no keys yet when it is asked first
    const hasTaken = given !== undefined && (answers.given?.length ?? 0) > 1;
    const answer = { requestId, ...answers.next, sessions, ...(hasTaken ? { hasTaken } : {}) };
    await bus.publish(`${prefix}/told`, JSON.stringify(answer));
  });
  const handback = createMacHandback({
    ...{ bus: through(bus), store, clock, random: systemRandom, log: silentLog },
    sealKeyOf: (edge) => Promise.resolve(sealKeyOf(edge)),
  });
  closers.push(() => handback.stop());
  return handback;
}

const standing = (phase: CustomerPhase | ProviderPhase, role: Standing['role'] = 'customer'): Standing => ({
  ...{ terms, role },
  phase: () => phase,
});

/** A customer whose provider answers with what the test says. */
function openCustomer(
  page: (call: HttpCall) => unknown,
  taken: object,
  calls: HttpCall[] = [],
  kept: Pick<ContractStore, 'document' | 'putDocument' | 'note'> = store,
) {
  const home = createMacHome({
    peers: { edge2edge: room(page), deviceLora: room(() => taken, calls) },
    ...{ identity: customer, store: kept, clock, log: silentLog },
  });
  closers.push(() => home.stop());
  return home;
}
const ALL = { taken: 1, older: 0, unknown: 0, malformed: 0 };

test('what a guest made of its devices is its customer’s once the epoch is sealed off, sealed to it alone', async () => {
  const stranger = { session, devEui: 'ff'.repeat(8), state: stateOf(9) };
  const guest = {
    next: told(3, [stranger, { session, devEui, state: { rx1DelayS: 99 } }]) as Told | undefined,
  };
  const handback = await openGuest(guest);
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
  const home = openCustomer(() => page, ALL, calls);
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
  expect(cameHomeWith(store, contractId)).toMatchObject({ epoch: 3, counts: { taken: 1, missing: 0 } });
  expect(store.notes(contractId)).toMatchObject([{ milestone: 'listeningHome' }]);
});

test.each([
  ['told so lately', 60_000, 2],
  ['went on acting', 60_001, 0],
])('a guest is given, until it has it, what waited at an edge that %s', async (_, ageMs, times) => {
  now = 1_000_000;
  const state = stateOf(3);
  store.putDocument(contractId, `mac/${devEui}`, { session, state, queue: 'sealed' });
  store.putDocument(contractId, 'macQueuesAt', now - ageMs);
  const outcome = { session, devEui, state, queue: 'what became of it' };
  const guest = { next: { ...told(3), sessions: [outcome] }, given: [] as unknown[] };
  const handback = await openGuest(guest);
  handback.drive(standing({ at: 'active', from: 1, epoch: 3 }, 'provider'));
  await waitFor(systemClock, 10_000, () => (guest.given.length >= times ? true : undefined));
  await waitFor(systemClock, 10_000, () => store.documents(contractId, 'macAfter').size === 1);
  const given = { under: 'bridge/3', queues: [{ session, queue: 'sealed' }] };
  expect(guest.given).toEqual(Array<unknown>(times).fill(given));
  await handback.handBack(terms, 3);
  const calls: HttpCall[] = [];
  const page = await handback.pageOf(terms, 3, 0);
  const home = openCustomer(() => page, ALL, calls);
  expect(home.holdsFence(standing(retaken))).toBe(true);
  await waitFor(systemClock, 5000, () => !home.holdsFence(standing(retaken)));
  expect(calls.map(({ json }) => json)).toMatchObject([
    { isFinal: true, sessions: [{ queue: 'what became of it' }] },
  ]);
});

test('a guest that does not answer holds up no handback for long, and hands back what it said before', async () => {
  const guest = { next: told(3) as Told | undefined };
  const handback = await openGuest(guest);
  handback.drive(standing({ at: 'active', from: 1, epoch: 3 }, 'provider'));
  await waitFor(systemClock, 5000, () => store.documents(contractId, 'macAfter').size === 1);
  guest.next = undefined;
  await handback.handBack(terms, 3);
  const page = await handback.pageOf(terms, 3, 0);
  expect(page).toMatchObject({ totalCount: 1, isAll: false });
  // its customer takes what there is, and says that it is not all
  const home = openCustomer(() => page, ALL);
  expect(home.holdsFence(standing(retaken))).toBe(true);
  await waitFor(systemClock, 5000, () => !home.holdsFence(standing(retaken)));
  expect(home.counts()).toMatchObject({ taken: 1, missing: 1 });
  expect(cameHomeWith(store, contractId)?.why).toContain('did not tell all');
  await handback.leave(contractId);
  expect(store.documents(contractId, 'macAfter').size).toBe(0);
});

test('what does not come, or is none, leaves what the owner knew, is counted, and opens its fence all the same', async () => {
  let page: () => unknown = () => {
    throw new AntirioError('conflict', 'this epoch is not handed back');
  };
  const home = openCustomer(() => page(), ALL);
  const contract = standing(retaken);
  expect(home.holdsFence(contract)).toBe(true);
  // it is asked again for some seconds
  now += 3000;
  expect(home.holdsFence(contract)).toBe(true);
  now += 1500;
  await waitFor(systemClock, 5000, () => !home.holdsFence(contract));
  expect(home.counts()).toEqual({ taken: 0, behind: 0, older: 0, unknown: 0, malformed: 0, missing: 1 });
  expect(cameHomeWith(store, contractId)).toMatchObject({
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
  const handback = await openGuest({ next: told(3) });
  await handback.handBack(terms, 3);
  const page = await handback.pageOf(terms, 3, 0);
  const reading = { ...terms, confidentiality: 'process' } as const;
  const calls: HttpCall[] = [];
  const home = openCustomer(
    () => {
      if (!isBack) throw new AntirioError('unavailable', 'no way there');
      return page;
    },
    { ...ALL, behind: 0 },
    calls,
  );
  const contract = { ...standing(retaken), terms: reading };
  expect(home.holdsFence(contract)).toBe(true);
  now += 4500;
  await waitFor(systemClock, 5000, () => !home.holdsFence(contract));
  const goesOn = { ...standing({ at: 'stated', epoch: 4 }), terms: reading };
  isBack = true;
  expect(home.holdsFence(goesOn)).toBe(false);
  now += 29_000;
  expect(home.holdsFence(goesOn)).toBe(false);
  // what that provider was given to send it may have sent
  expect(calls.splice(0).map(({ json }) => json)).toMatchObject([{ sessions: [], untold: [devEui] }]);
  now += 2000;
  expect(home.holdsFence(goesOn)).toBe(false);
  await waitFor(systemClock, 5000, () => cameHomeWith(store, contractId)?.why === undefined);
  // our own devices were told something since: what has no number is not taken
  expect(calls.map(({ json }) => json)).toMatchObject([{ epoch: 3, until: 0 }]);
  expect(home.counts()).toMatchObject({ taken: 1, missing: 1 });
  now += 60_000;
  expect(home.holdsFence(goesOn)).toBe(false);
  expect(calls).toHaveLength(1);
});

test('how a device listens in a session that is not known here yet is asked for again, so often and no more', async () => {
  const handback = await openGuest({ next: told(3) });
  await handback.handBack(terms, 3);
  const page = await handback.pageOf(terms, 3, 0);
  const calls: HttpCall[] = [];
  const answers = { ...ALL, taken: 0, unknown: 1 };
  const home = openCustomer(() => page, answers, calls);
  const contract = standing(retaken);
  const goesOn = standing({ at: 'stated', epoch: 4 });
  expect(home.holdsFence(contract)).toBe(true);
  await waitFor(systemClock, 5000, () => !home.holdsFence(contract));
  expect(cameHomeWith(store, contractId)?.why).toMatch(/not known here/);
  const again = async (): Promise<void> => {
    const { length } = calls;
    now += 31_000;
    home.holdsFence(goesOn);
    await waitFor(systemClock, 200, () => (calls.length > length ? true : undefined), 2);
    await new Promise((done) => setTimeout(done, 5));
  };
  await again();
  await again();
  expect([calls.length, store.notes(contractId).length]).toEqual([3, 1]);
  // the join has come home
  Object.assign(answers, ALL);
  await again();
  expect(cameHomeWith(store, contractId)?.why).toBeUndefined();
  await again();
  expect([calls.length, home.counts()]).toMatchObject([4, { taken: 1, unknown: 1 }]);
  // of another handback it never comes
  Object.assign(answers, { taken: 0, unknown: 1 });
  const next = standing({ at: 'retaken', epoch: 8, providerEpoch: 3 });
  store.putDocument(contractId, 'listeningHome', { epoch: 2, counts: {} });
  const later = openCustomer(() => page, answers, calls);
  expect(later.holdsFence(next)).toBe(true);
  await waitFor(systemClock, 5000, () => !later.holdsFence(next));
  const { length } = calls;
  const tryAgain = async (): Promise<void> => {
    now += 31_000;
    later.holdsFence(goesOn);
    await new Promise((done) => setTimeout(done, 20));
  };
  for (let i = 0; i < 30; i++) await tryAgain();
  expect(calls.length - length).toBe(20);
  expect(cameHomeWith(store, contractId)).toMatchObject({ isOver: true });
});

test('a fence waits no longer where there is more than comes home in time: what has come counts', async () => {
  const devices = Array.from({ length: 450 }, (_, i) => {
    const name = i.toString(16);
    return { devEui: name.padStart(16, '0'), devAddr: name.padStart(8, '0') };
  });
  const many = { ...terms, set: { ...terms.set, devices } };
  const sessions = devices.map(({ devEui: eui }) => ({ session, devEui: eui, state: stateOf(2) }));
  const handback = await openGuest({ next: { incarnation: 'life', serial: 1, totalCount: 450, sessions } });
  await handback.handBack(many, 3);
  const paths: string[] = [];
  const home = createMacHome({
    peers: {
      edge2edge: {
        async call({ path }) {
          paths.push(path.slice(path.indexOf('?')));
          now += 2500;
          const offset = Number(/offset=(\d+)/.exec(path)?.[1]);
          const json = await handback.pageOf(many, 3, offset);
          return { status: 200, headers: {}, body: new Uint8Array(1), json: () => json };
        },
        close: () => undefined,
      },
      deviceLora: room(() => ({ ...ALL, taken: 200 })),
    },
    ...{ identity: customer, store, clock, log: silentLog },
  });
  closers.push(() => home.stop());
  const contract = { ...standing(retaken), terms: many };
  expect(home.holdsFence(contract)).toBe(true);
  await waitFor(systemClock, 5000, () => !home.holdsFence(contract));
  expect(paths).toEqual(['?epoch=3&offset=0', '?epoch=3&offset=200']);
  expect(await handback.pageOf(many, 3, 400)).toMatchObject({ totalCount: 450 });
  expect(cameHomeWith(store, contractId)).toMatchObject({
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
    ...{ identity: customer, store, clock, log: silentLog },
  });
  expect(home.holdsFence(standing(retaken))).toBe(true);
  const goesOn = standing({ at: 'guarded', epoch: 4 });
  expect(home.holdsFence(goesOn)).toBe(true);
  const stopping = home.stop();
  coming.resolve(undefined);
  await stopping;
  expect(home.holdsFence(goesOn)).toBe(true);
  expect(home.holdsFence(standing(retaken))).toBe(true);
  expect(cameHomeWith(store, contractId)).toBeUndefined();
});

test('what several customers fetch at once is read once for each, and not kept for one that does not go on', async () => {
  const handback = await openGuest({ next: undefined });
  const ids = [contractId, '11111111-2222-4333-8444-555555555555'];
  const state = stateOf(2);
  for (const id of ids) {
    const named = Array.from(
      { length: 450 },
      (_, i) => [`macAfter/${i.toString(16).padStart(16, '0')}`, { epoch: 3, session, state }] as const,
    );
    store.putDocuments(id, named);
    store.putDocument(id, 'macSealedOff', { epoch: 3, isAll: true });
  }
  const reads = jest.spyOn(store, 'documents');
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
  const home = openCustomer(none, ALL, [], full);
  const contract = standing(retaken);
  expect(home.holdsFence(contract)).toBe(true);
  await waitFor(systemClock, 5000, () => !home.holdsFence(contract));
  expect(home.counts().missing).toBe(1);
  expect(home.holdsFence(standing({ at: 'retaken', epoch: 8, providerEpoch: 7 }))).toBe(true);
});

test('a broker that was away at the first question is asked by the next one', async () => {
  let isAway = true;
  const handback = await openGuest({ next: told(3) }, (bus) => ({
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

test('a set without sensors, or whose provider has no keys, waits for nothing', () => {
  const home = openCustomer(() => ({}), ALL);
  const none = { ...terms, set: { ...terms.set, devices: [] } };
  for (const one of [none, { ...terms, confidentiality: 'relay' as const }])
    expect(home.holdsFence({ ...standing(retaken), terms: one })).toBe(false);
});

test('READY waits for how the devices listen, but not for ever for a customer that never says', () => {
  const ports = {
    store,
    clock,
    drivers: new Map<string, Standing>(),
    macs: { sendNow: () => Promise.resolve() },
  };
  const others = { macHome: { holdsFence: () => false }, handback: { handBack: () => Promise.resolve() } };
  const listening = listeningOf({ ...ports, ...others }, terms);
  expect(listening.isAwaited('preparing', 'loading')).toBe(false);
  expect(listening.isAwaited('preparing', 'standby')).toBe(true);
  expect(listening.isAwaited('ready', 'standby')).toBe(false);
  now += 9000;
  expect(listening.isAwaited('preparing', 'standby')).toBe(true);
  now += 1500;
  expect(listening.isAwaited('preparing', 'standby')).toBe(false);
  const again = listeningOf({ ...ports, ...others }, terms);
  expect(again.isAwaited('preparing', 'standby')).toBe(true);
  store.putDocument(contractId, 'macToldAll', true);
  expect(again.isAwaited('preparing', 'standby')).toBe(false);
  const relay = listeningOf({ ...ports, ...others }, { ...terms, confidentiality: 'relay' });
  expect(relay.isAwaited('preparing', 'standby')).toBe(false);
});
