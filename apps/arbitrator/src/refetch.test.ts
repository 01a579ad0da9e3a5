import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { AntirioError, generateIdentity, parseEdgeId } from '@antirio/kernel';
import { silentLog, systemClock, systemRandom, waitFor } from '@antirio/host';
import { contractTerms } from '@antirio/service-contract';
import { openContractStore, type ContractStore } from './contract-store.ts';
import type { PartyRooms } from './party-rooms.ts';
import { createRefetches, type Refetches } from './refetch.ts';
import { createSourceTurns } from './source-turns.ts';

const edge = () => parseEdgeId(generateIdentity().edgeId);
const terms = contractTerms.parse({
  ...{ version: 1, contractId: '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f' },
  ...{ customer: edge(), provider: edge(), central: edge() },
  set: { setId: 'bridge', service: 'lora', devices: [{ devEui: '00000000000000aa', devAddr: '0000000a' }] },
  image: { imageName: 'lora', imageCid: 'a', configCid: 'b' },
  ...{ confidentiality: 'process', opening: 'witnessed', standby: 'hot' },
  ...{ stakes: { customer: 1, provider: 1 }, slots: { customer: 0, provider: 1 }, expiresAt: 1 },
});
const { contractId, customer, provider } = terms;

let folder = '';
let store: ContractStore;
let begun: Refetches[] = [];
let filled: string[] = [];
let names = new Set<string | undefined>();
let caughtUp = false;
let live = false;
let life = 'SETTLED';
let own: string[] = [];
let [gone, ringStatus] = [0, 200];

function begin(self = customer): Refetches {
  const rooms = {
    fillFrom: async (from: typeof terms, anew?: string) => {
      filled.push(`${from.provider} ${from.contractId}`);
      names.add(anew);
      return { pulledThrough: 0, caughtUp, gone };
    },
    endFilling: async () => void filled.push('end'),
    endSending: async () => undefined,
  } as unknown as PartyRooms;
  const clock = { now: () => 0, monotonic: () => performance.now() };
  // as the provider's arbitrator and its bridge answer
  const call = async ({ path }: { path: string }) => ({
    status: path.includes('/gateway-bridge/') ? ringStatus : 200,
    headers: {},
    body: Buffer.from('{}'),
    json: () => ({ letGo: true, code: ringStatus === 403 ? 'forbidden' : 'notFound' }),
  });
  const options = { listenOnS: 60, unclaimedRetainS: 3600, handedBackRetainS: 3600 };
  const made = createRefetches({
    ...{ identity: { edgeId: self }, store, rooms, clock, options, log: silentLog },
    drivers: new Map(live ? [[contractId, { phase: () => ({ at: 'guarded', epoch: 1 }) }]] : []),
    ledger: {
      fetch: async (key) =>
        String(key).endsWith(contractId) ? ({ terms, life: { state: life } } as never) : undefined,
    },
    random: systemRandom,
    peers: {
      edge2edge: { call, close: () => undefined },
      gatewayBridge: {
        call: async () => ({ ...(await call({ path: '' })), json: () => ({ devAddrs: own }) }),
        close: () => undefined,
      },
    },
    sources: createSourceTurns(() => performance.now()),
  });
  made.start();
  begun.push(made);
  return made;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'refetch-'));
  store = openContractStore(join(folder, 'contracts.db'));
  [filled, caughtUp, live, life, own] = [[], false, false, 'SETTLED', ['0000000a']];
  names = new Set();
  [gone, ringStatus] = [0, 200];
});
afterEach(async () => {
  await Promise.all(begun.map((one) => one.stop()));
  begun = [];
  store.close();
  rmSync(folder, { recursive: true });
});

test('an edge that knows nothing of its contract any more fetches what its provider keeps, over a start, until all is here', async () => {
  const first = begin();
  expect(await first.begin(contractId)).toEqual({ contractId, provider });
  await waitFor(systemClock, 5000, () => filled.length > 0 || undefined);
  expect(filled[0]).toBe(`${provider} ${contractId}`);
  await first.stop();
  filled = [];
  const again = begin();
  await waitFor(systemClock, 5000, () => filled.length > 0 || undefined);
  expect(again.all()).toEqual([contractId]);
  caughtUp = true;
  await waitFor(systemClock, 5000, () => again.all().length === 0 || undefined);
  expect([again.all(), filled.at(-1)]).toEqual([[], 'end']);
  // all of it was read under one name
  expect([...names]).toEqual([expect.stringMatching(/^[0-9a-f]{16}$/)]);
  // the contract itself is as it was: unknown
  expect(store.all()).toEqual([]);
});

test('nothing is fetched of a contract that lives, that nobody knows, or that is another edge’s', async () => {
  live = true;
  await expect(begin().begin(contractId)).rejects.toThrow(AntirioError);
  live = false;
  await expect(begin().begin('00000000-0000-4000-8000-000000000000')).rejects.toThrow(/know/);
  await expect(begin(provider).begin(contractId)).rejects.toThrow(/only its customer/);
  expect(filled).toEqual([]);
});

test('nothing is fetched of a contract that still serves where only our disk forgot it, nor before our sensors are set up', async () => {
  life = 'ACTIVE';
  await expect(begin().begin(contractId)).rejects.toMatchObject({ code: 'conflict' });
  [life, own] = ['SETTLED', []];
  await expect(begin().begin(contractId)).rejects.toThrow('1 of the contract');
  expect(filled).toEqual([]);
  await begin().begin(contractId, true);
  await waitFor(systemClock, 5000, () => filled.length > 0 || undefined);
  const first = new Set(names);
  names.clear();
  own = ['0000000a'];
  await begun.at(-1)?.begin(contractId);
  await waitFor(systemClock, 5000, () => [...names].some((one) => !first.has(one)) || undefined);
});

test.each([
  ['all', true, 0, 200],
  ['partly', true, 7, 200],
  ['gone', false, 0, 404],
  ['refused', false, 0, 403],
])('what came of it is told: %s', async (outcome, isHere, left, status) => {
  [caughtUp, gone, ringStatus] = [isHere, left, status];
  const fetching = begin();
  await fetching.begin(contractId);
  await waitFor(systemClock, 5000, () => fetching.done()[0]);
  expect([fetching.all(), fetching.done()]).toEqual([[], [{ contractId, outcome, gone: left }]]);
});
