import { expect, test } from '@jest/globals';
import type { HttpPeer } from '@antirio/host';
import { utf8 } from '@antirio/kernel';
import type { ContractTerms } from '@antirio/service-contract';
import { findTroubles } from './alarm-rules.ts';
import { nightFacts } from './night-facts.ts';

type Ports = Parameters<typeof nightFacts>[0];

const customer = {
  terms: {
    ...{ contractId: 'C', set: { setId: 'S' }, expiresAt: 100_000_000 },
    downlinkDrills: { degradedBelow: 0 },
  } as ContractTerms,
  role: 'customer',
  phase: () => ({ at: 'guarded', epoch: 1 }),
  desires: () => ({ fence: { state: 'shut' } }),
  seen: { onPromises: () => [] },
  activeLeftMs: () => undefined,
  record: () => undefined,
};

interface Sight {
  readonly driver: object;
  readonly ledger?: Readonly<Record<string, unknown>>;
  readonly unsealed?: readonly object[];
  readonly told?: object;
  readonly deviceLora?: HttpPeer | undefined;
  readonly monotonic?: () => number;
}

function factsAt(sight: Sight): ReturnType<typeof nightFacts> {
  const { driver, ledger = {}, unsealed = [], told = {}, deviceLora, monotonic = () => 0 } = sight;
  const json = () => ({ rings: [], ...told });
  const bridge = {
    call: () => Promise.resolve({ status: 200, headers: {}, body: utf8('{'), json }),
  } as unknown as HttpPeer;
  return nightFacts({
    clock: { now: () => 0, monotonic },
    contracts: {
      drivers: new Map([['C', driver]]),
      sealing: () => ({ unsealed }),
      drills: { view: () => undefined },
      fullDrills: { view: () => undefined },
      disclosures: { look: () => undefined },
    },
    store: { document: () => undefined },
    counterGaps: { found: () => [] },
    ledger: { read: (key: string) => Promise.resolve(ledger[key]) },
    bridge,
    ...{ coreData: undefined, orchestrator: undefined, deviceLora },
    protects: true,
  } as unknown as Ports);
}

async function troubles(
  ledger: Readonly<Record<string, unknown>>,
  silentMs: number,
  unsealed: readonly object[] = [],
  looks = 1,
  told: object = {},
  deviceLora?: HttpPeer,
): Promise<string[]> {
  const driver = { ...customer, seen: { ...customer.seen, providerSilentMs: () => silentMs } };
  const facts = factsAt({ driver, ledger, unsealed, told, deviceLora });
  for (let look = 1; look < looks; look++) await facts.gather();
  return findTroubles(await facts.gather()).map(({ name }) => name);
}

const contract = { life: { state: 'READY' }, openings: 1 };

test('keys are exposed until newer ones are in use, by the ledger', async () => {
  const seen = { version: 1, state: 'unconfirmed', exposedAt: 5, exposedBy: 1 };
  expect(await troubles({ 'contract/C': contract, 'keys/C': seen }, 0)).toEqual(['exposed']);
  const renewed = { version: 2, state: 'unconfirmed' };
  expect(await troubles({ 'contract/C': contract, 'keys/C': renewed }, 0)).toEqual([]);
  expect(await troubles({ 'contract/C': { ...contract, openings: 0 } }, 0)).toEqual([]);
});

test('the time in which a provider stood by is none in which it lacked a lease', async () => {
  let now = 0;
  let phase = 'ready';
  const driver = { ...customer, role: 'provider', phase: () => ({ at: phase }) };
  const facts = factsAt({ driver, monotonic: () => now });
  const look = async (at: number): Promise<string[]> => {
    now = at;
    return findTroubles(await facts.gather()).map(({ name }) => name);
  };
  await look(0);
  await look(3_600_000);
  phase = 'active';
  expect(await look(3_602_000)).not.toContain('leaseLost');
  expect(await look(3_625_000)).toContain('leaseLost');
});

test('a provider that has gone is none, whatever the ledger says of it', async () => {
  expect(await troubles({ 'contract/C': { ...contract, openings: 0 } }, 3_600_000)).toEqual([
    'noReadyProvider',
  ]);
});

test('a device that joined is unsealed where its provider lacks its session for two looks in a row', async () => {
  const lacks = [{ contractId: 'C', devEui: 'aa', devAddr: '02000001', waits: true, why: 'on its way' }];
  const ready = { 'contract/C': { ...contract, openings: 0 } };
  expect(await troubles(ready, 0, lacks)).toEqual([]);
  expect(await troubles(ready, 0, lacks, 2)).toEqual(['unsealed']);
  expect(await troubles(ready, 0, [{ ...lacks[0], contractId: 'other' }], 2)).toEqual([]);
});

test('frames that a provider’s ring had no room for are an alarm of the customer’s too', async () => {
  const ready = { 'contract/C': { ...contract, openings: 0 } };
  const drops = (n: number) => ({
    droppedElsewhere: { C: { budget: n, rate: 0, slots: 0 }, other: { budget: 9 } },
  });
  expect(await troubles(ready, 0, [], 1, drops(0))).toEqual([]);
  expect(await troubles(ready, 0, [], 1, drops(2))).toEqual(['drops']);
});

test('a set whose fence another one’s address keeps shut is an alarm', async () => {
  const ready = { 'contract/C': { ...contract, openings: 0 } };
  const sets = (setId: string) => ({ sets: [{ setId, collides: '01000001' }] });
  expect(await troubles(ready, 0, [], 1, sets('other'))).toEqual([]);
  expect(await troubles(ready, 0, [], 1, sets('S'))).toEqual(['leaseLost']);
});

test('two genuine frames under one counter are an alarm until they were seen, also while nobody can be asked', async () => {
  const ready = { 'contract/C': { ...contract, openings: 0 } };
  const one = { device: 'pier-1', devEui: 'aa', session: 'ab', fCnt: 7, unseen: 2 };
  const found = async (...answers: readonly (readonly object[] | 'silent')[]): Promise<string[]> => {
    let look = 0;
    const call = () => {
      const devices = answers[look++];
      if (devices === 'silent') return Promise.reject(new Error('silent'));
      return Promise.resolve({ status: 200, headers: {}, body: utf8('{'), json: () => ({ devices }) });
    };
    return troubles(ready, 0, [], answers.length, {}, { call } as unknown as HttpPeer);
  };
  expect(await found([])).toEqual([]);
  expect(await found([one])).toEqual(['conflict']);
  expect(await found([one], 'silent')).toEqual(['conflict']);
  expect(await found([one], 'silent', [])).toEqual([]);
  expect(await found('silent')).toEqual([]);
});
