import { expect, test } from '@jest/globals';
import { AntirioError, generateIdentity, openIdentity } from '@antirio/kernel';
import type { HttpPeer } from '@antirio/host';
import {
  contractTerms,
  drillWordMs,
  type CustomerPhase,
  type FullDrill,
  type FullDrillLedger,
  type PartyEvent,
  type ProviderPhase,
} from '@antirio/service-contract';
import { fullDrillCustomer, fullDrillProvider, type FullDrillSidePorts } from './full-drill-parties.ts';

const [customer, provider] = [openIdentity(generateIdentity()), openIdentity(generateIdentity())];
const contractId = '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f';
const terms = contractTerms.parse({
  version: 1,
  ...{ contractId, customer: customer.edgeId, provider: provider.edgeId, central: customer.edgeId },
  set: { setId: 'bridge', service: 'lora', devices: [{ devEui: '00000000000000aa', devAddr: '0000000a' }] },
  image: { imageName: 'lora', imageCid: 'a', configCid: 'b' },
  ...{ confidentiality: 'process', opening: 'witnessed', standby: 'hot' },
  stakes: { customer: 1, provider: 1 },
  slots: { customer: 0, provider: 1 },
  drills: { full: { servesMs: 5000 } },
  expiresAt: 10_000_000,
});
const counts = { started: 0, passed: 0, failed: 0, void: 0, month: 0, thisMonth: 0 };
const quiet: FullDrillLedger = {
  ...{ epoch: 1, openings: 0, over: false, life: 'READY', now: 500_000 },
  ...{ validatedAt: 0, takenAt: 0, counts, newest: undefined },
};

function party(phase: CustomerPhase | ProviderPhase) {
  let at = phase;
  let now = 1000;
  const posted: PartyEvent[] = [];
  const sent: { type: string }[] = [];
  const documents = new Map<string, unknown>();
  const ports: FullDrillSidePorts = {
    driver: { terms, phase: () => at, post: (event) => void posted.push(event), ledgerTime: () => undefined },
    identity: customer,
    clock: { now: () => now, monotonic: () => now },
    random: { bytes: (count) => new Uint8Array(count).fill(128) },
    store: {
      document: (_id, name) => documents.get(name),
      putDocument: (_id, name, value) => void documents.set(name, value),
    },
    ledger: {
      submit(payload) {
        sent.push(payload);
        return Promise.resolve({});
      },
    },
  };
  const held = (): void => void documents.set('hold', { held: true, by: 'ann', at: 1 });
  return {
    ports,
    posted,
    sent,
    held,
    becomes: (next: typeof at) => (at = next),
    pass: (ms: number) => (now += ms),
  };
}

const heardAgo = (heardMsAgo: number | undefined) => ({
  senses: () => Promise.resolve({ storeOk: true, gateways: [{ id: 'aa', heardMsAgo }] }),
});
const more = { awaitsKeys: () => 0, acts: () => true, othersMove: () => false };

test('a customer that is told puts its word on the ledger first, gives it then, and asks for its service there', async () => {
  const { ports, posted, sent, becomes } = party({ at: 'guarded', epoch: 1 });
  const side = fullDrillCustomer({ ...ports, ...more, rooms: heardAgo(10) });
  await side.advance(quiet);
  expect(side.waits?.()).toBe('notDue');
  side.tell?.();
  await side.advance(quiet);
  expect(sent).toMatchObject([
    { type: 'drill/full', drill: 1, word: { body: { cause: 'drill', epoch: 1 } } },
  ]);
  expect(posted).toMatchObject([{ type: 'yieldAsked', word: { body: { cause: 'drill' } } }]);
  const [{ word }] = sent as unknown as [{ word: FullDrill['word'] }];
  const asked = { number: 1, word, epoch: 1, openings: 0, askedAt: 490_000, counts: false };
  becomes({ at: 'recovering', epoch: 2, waits: 'drill' });
  const served: FullDrill = { ...asked, state: 'serving', served: { epoch: 2, at: 495_000 } };
  await side.advance({ ...quiet, epoch: 2, newest: served });
  expect(sent.at(-1)).toEqual({ type: 'drill/back', contractId, epoch: 2 });
});

test('a customer whose word the ledger refuses asks ever more seldom, and at once when it is told anew', async () => {
  const { ports, pass } = party({ at: 'guarded', epoch: 1 });
  let submits = 0;
  let error = new AntirioError('conflict', 'the word is of another time', { txId: 'aa' });
  const submit = () => {
    submits++;
    return Promise.reject(error);
  };
  const side = fullDrillCustomer({ ...ports, ...more, ledger: { submit }, rooms: heardAgo(10) });
  const turns = async (count: number, everyMs = 2000): Promise<void> => {
    for (let i = 0; i < count; i++) {
      await expect(side.advance(quiet)).rejects.toThrow();
      pass(everyMs);
    }
  };
  side.tell?.();
  await turns(360, 10_000);
  expect(submits).toBeLessThan(13);
  await turns(288, 300_000);
  expect(submits).toBeLessThan(13 + 24);
  const before = submits;
  side.tell?.();
  await turns(1);
  expect(submits).toBe(before + 1);
  // what was not answered is no refusal
  error = new AntirioError('unavailable', 'the ledger does not answer');
  side.tell?.();
  await turns(20);
  expect(submits).toBe(before + 21);
});

test('a customer begins none whose gateways are silent, whose other contract over the set moves, or that does not act yet', async () => {
  const { ports, sent } = party({ at: 'guarded', epoch: 1 });
  for (const [why, one] of [
    ['gateways', { ...more, rooms: heardAgo(undefined) }],
    ['gateways', { ...more, rooms: heardAgo(10), othersMove: () => true }],
    ['notActing', { ...more, rooms: heardAgo(10), acts: () => false }],
  ] as const) {
    const side = fullDrillCustomer({ ...ports, ...one });
    side.tell?.();
    await side.advance(quiet);
    expect(side.waits?.()).toBe(why);
  }
  expect(sent).toEqual([]);
});

test('a customer whose device service or core-data is dead begins no drill, and asks for nothing back', async () => {
  for (const dead of ['deviceLora', 'coreData'] as const) {
    const { ports, sent, becomes } = party({ at: 'guarded', epoch: 1 });
    const { senses } = heardAgo(10);
    const states = { gatewayBridge: 'well', deviceLora: 'well', coreData: 'well', [dead]: 'silent' } as const;
    const rooms = { senses: async () => ({ ...(await senses()), rooms: states }) };
    const side = fullDrillCustomer({ ...ports, ...more, rooms });
    side.tell?.();
    await side.advance(quiet);
    expect(side.waits?.()).toBe('gateways');
    becomes({ at: 'recovering', epoch: 2, waits: 'drill' });
    const word = { body: { epoch: 1 } } as FullDrill['word'];
    const asked = { number: 1, word, epoch: 1, openings: 0, askedAt: 490_000, counts: false };
    const served: FullDrill = { ...asked, state: 'serving', served: { epoch: 2, at: 495_000 } };
    await side.advance({ ...quiet, epoch: 2, newest: served });
    expect(sent).toEqual([]);
  }
});

const aRing = {
  rooms: {
    ring: () => Promise.resolve({ from: 1, next: 8, incarnation: 'life' }),
    ringRoot: () => Promise.resolve({ root: 'a'.repeat(64), count: 7, incarnation: 'life' }),
  },
};

test('a provider that the centre opens nothing for asks on the ledger, with its root, and not at once', async () => {
  const { ports, posted, sent } = party({ at: 'opening', from: 1 } as ProviderPhase);
  const side = fullDrillProvider({ ...ports, ...aRing, coreData: undefined });
  const word = { body: { epoch: 1 } } as FullDrill['word'];
  const newest: FullDrill = {
    ...{ number: 1, state: 'asked', word, epoch: 1, openings: 0, askedAt: 499_000, counts: true },
  };
  await side.advance({ ...quiet, newest });
  expect(sent).toEqual([]);
  const waited = 499_000 + drillWordMs(terms) / 4;
  await side.advance({ ...quiet, now: waited, newest });
  const root = { by: customer.edgeId, body: { contractId, through: 7, count: 7, incarnation: 'life' } };
  expect(sent).toMatchObject([{ type: 'drill/full-open', contractId, drill: 1, root }]);
  const openAsked = { at: waited, root: { root: '', count: 7, through: 7 }, signature: '' };
  await side.advance({ ...quiet, now: waited, newest: { ...newest, openAsked } });
  await side.advance({ ...quiet, now: waited, openings: 1, newest });
  expect(sent).toHaveLength(1);
  expect(posted).toEqual([]);
});

test('a provider hears the word by the ledger, or declines, and tells when its core-data had a reading', async () => {
  const { ports, posted, sent, held, becomes, pass } = party({ at: 'ready' });
  const names = [`${contractId}.mote`];
  const json = () => ({ events: names.map((deviceName) => ({ deviceName })) });
  const coreData = {
    call: () => Promise.resolve({ status: 200, body: 'there', json }),
  } as unknown as HttpPeer;
  const side = fullDrillProvider({ ...ports, ...aRing, coreData });
  const word = { body: { epoch: 1 } } as FullDrill['word'];
  const newest: FullDrill = {
    ...{ number: 1, state: 'asked', word, epoch: 1, openings: 0, askedAt: 499_000, counts: true },
  };
  await side.advance({ ...quiet, newest });
  expect(posted).toEqual([{ type: 'takeOverAsked', word }]);
  pass(700);
  becomes({ at: 'active', from: 1, epoch: 2 });
  const serving = { ...newest, state: 'serving', served: { epoch: 2, at: 499_500 } } as const;
  await side.advance({ ...quiet, epoch: 2, newest: serving });
  expect(sent).toEqual([{ type: 'drill/first-reading', contractId, drill: 1, firstReadingMs: 0 }]);
  expect(posted).toHaveLength(1);
  await side.advance({ ...quiet, epoch: 2, newest: { ...serving, askedBackAt: 499_900 } });
  expect(posted.at(-1)).toEqual({ type: 'returnAsked', epoch: 2 });
  held();
  becomes({ at: 'ready' });
  await side.advance({ ...quiet, newest: { ...newest, number: 2 } });
  expect(sent.at(-1)).toEqual({ type: 'drill/decline', contractId, drill: 2 });
});
