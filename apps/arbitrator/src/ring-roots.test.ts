import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLog, type HttpPeer } from '@antirio/host';
import { AntirioError, sha256Hex, signDocument, utf8, verifyDocument } from '@antirio/kernel';
import { RING_ROOT_KIND, keys, signedRingRoot } from '@antirio/ledger-machine';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { contractId, customer, provider, terms } from './escrow.fixture.ts';
import { createRootClaim, judgeContradiction, type ContradictionRequest } from './root-claims.ts';
import { ringLives } from './ring-lives.ts';
import { countersignRoot, createRootKeeper, newestRoot, proofView, rootRequest } from './ring-roots.ts';

let folder = '';
let stores: ContractStore[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-roots-'));
  stores = ['a.db', 'b.db'].map((name) => openContractStore(join(folder, name)));
});
afterEach(() => {
  for (const store of stores) store.close();
  rmSync(folder, { recursive: true, force: true });
});

const rootOver = (through: number): string => sha256Hex(utf8(`ring of ${through}`));
const rootDocument = (through: number, count = through) =>
  signedRingRoot.parse(
    signDocument(provider, RING_ROOT_KIND, { contractId, root: rootOver(through), count, through }),
  );

const asking = { peer: customer.edgeId, now: 0 };

/** A provider with a ring that grows, and its customer, which may be away. */
function scene() {
  const [storeA, storeB] = stores as [ContractStore, ContractStore];
  const time = { now: 0 };
  const clock = { monotonic: () => time.now, now: () => time.now };
  const recorded: unknown[] = [];
  const state = { next: 1, isAway: false, life: 'one', other: '', isOld: false };
  const edge2edge: HttpPeer = {
    async call({ json }) {
      if (state.isOld) throw new AntirioError('notFound', 'no such route');
      if (state.isAway) throw new AntirioError('unavailable', 'away');
      const sign = (): unknown =>
        countersignRoot({ identity: customer, store: storeA, clock }, terms, rootRequest.parse(json).root);
      const answer = json === undefined ? newestRoot(storeA, contractId) : sign();
      return { status: 200, headers: {}, body: Buffer.from('{}'), json: () => answer };
    },
    close: () => undefined,
  };
  const start = () =>
    createRootKeeper({
      ...{ terms, identity: provider, clock, peers: { edge2edge }, store: storeB, log: silentLog },
      ledger: { submit: async (tx) => (recorded.push(tx), {}), fetch: async () => undefined },
      rooms: {
        ringIfThere: async () => ({ from: 1, next: state.next }),
        ringRoot: async (_id, through) => ({
          ...{ root: sha256Hex(utf8(`ring of ${through}${state.other}`)), count: through },
          incarnation: state.life,
        }),
      },
    });
  let keeper = start();
  const restart = (): void => {
    keeper = start();
  };
  const minute = (): Promise<void> => {
    time.now += 60_000;
    return keeper.look();
  };
  /** `openings`: the roots of the openings; `exposedBy`: the opening that has seen the newest keys. */
  const view = (store: ContractStore, openings: readonly number[] = [], exposedBy?: number) =>
    proofView(
      store,
      {
        fetch: async (key: string) => {
          if (key === keys.keys(contractId)) return { exposedBy } as never;
          const at = openings.findIndex((_through, i) => key === keys.opening(contractId, i + 1));
          return (at < 0 ? undefined : { root: { through: openings[at] } }) as never;
        },
      },
      terms,
    ) as Promise<{
      roots: { through: number; signedBy: string }[];
      proof?: unknown;
      contradicting?: unknown;
    }>;
  return { storeA, storeB, recorded, state, minute, view, restart };
}

test('a ring that has grown has its root signed by both once a minute, or recorded where the customer is away', async () => {
  const { storeA, storeB, recorded, state, minute, view } = scene();
  await minute();
  state.next = 8;
  await minute();
  await minute();
  state.next = 12;
  state.isAway = true;
  await minute();
  expect(recorded).toMatchObject([{ type: 'ring/root', root: { body: { through: 11 } } }]);
  expect((await view(storeB)).roots.map(({ through, signedBy }) => [through, signedBy])).toEqual([
    [7, 'both'],
    [11, 'provider, on the ledger'],
  ]);
  expect((await view(storeA)).roots.map(({ through }) => through)).toEqual([7]);
  const [kept] = storeA.document(contractId, 'ringRoots') as { root: unknown; customer: string }[];
  const body = { ...rootDocument(7).body, incarnation: 'one' };
  const signed = { kind: RING_ROOT_KIND, by: customer.edgeId, body, signature: kept?.customer ?? '' };
  expect(verifyDocument(signed, RING_ROOT_KIND)).toBe(true);
});

test('a ring that began anew is counted by both, also by who lost all that it knew', async () => {
  const { storeA, storeB, state, minute, restart } = scene();
  state.next = 8;
  await minute();
  expect([storeA, storeB].map((store) => ringLives(store, contractId))).toEqual([1, 1]);
  state.life = 'two';
  state.next = 3;
  await minute();
  expect([storeA, storeB].map((store) => ringLives(store, contractId))).toEqual([2, 2]);
  // nor is the first one a new one where it comes back
  state.life = 'one';
  state.next = 8;
  await minute();
  expect([storeA, storeB].map((store) => ringLives(store, contractId))).toEqual([2, 2]);
  for (const name of ['ringLives', 'ringRoots']) storeB.forgetDocument(contractId, name);
  restart();
  state.life = 'three';
  await minute();
  expect([storeA, storeB].map((store) => ringLives(store, contractId))).toEqual([3, 2]);
});

test('a root that contradicts an earlier one is not signed: both are kept', async () => {
  const { storeA, view } = scene();
  const clock = { now: () => 5 };
  const sign = (root: ReturnType<typeof rootDocument>) =>
    countersignRoot({ identity: customer, store: storeA, clock }, terms, root);
  sign(rootDocument(7));
  expect(() => sign(rootDocument(9, 6))).toThrow(/contradicts/);
  expect(() => sign(rootDocument(7, 6))).toThrow(/contradicts/);
  expect(() => sign({ ...rootDocument(9), by: customer.edgeId })).toThrow(/not signed/);
  const { contradicting } = await view(storeA);
  expect(contradicting).toMatchObject([{ body: { through: 7 } }, { body: { through: 7, count: 6 } }]);
});

test('frames under the root of the first opening prove themselves, later ones are shared keys’', async () => {
  const { storeA, view } = scene();
  expect((await view(storeA)).proof).toBeUndefined();
  const proof = { ownThrough: 40, later: 'keyShared', opening: 1 };
  expect((await view(storeA, [40], 1)).proof).toEqual(proof);
  // new keys that nobody has seen, and then has
  expect((await view(storeA, [40])).proof).toEqual(proof);
  expect((await view(storeA, [40, 90], 2)).proof).toEqual(proof);
});

test('a provider whose ring came back from an old backup signs no root that contradicts what it said', async () => {
  const { storeA, storeB, recorded, state, minute, view, restart } = scene();
  state.next = 8;
  await minute();
  // its notes are as old as its ring: the customer remembers
  storeB.putDocument(contractId, 'ringRoots', []);
  Object.assign(state, { next: 10, other: ' of before' });
  restart();
  await minute();
  state.next = 5;
  await minute();
  expect((await view(storeA)).roots.map(({ through }) => through)).toEqual([7]);
  expect((await view(storeA)).contradicting).toBeUndefined();
  // with nobody to ask it says nothing either
  state.isAway = true;
  await minute();
  expect(recorded).toEqual([]);
  // a ring that was begun anew is another one, however short it is
  Object.assign(state, { isAway: false, life: 'two' });
  await minute();
  state.next = 6;
  await minute();
  expect((await view(storeA)).roots.map(({ through }) => through)).toEqual([7, 4, 5]);
});

test('after a restart roots are recorded while the customer is away, or of a version that keeps none', async () => {
  const { recorded, state, minute, restart } = scene();
  state.next = 8;
  await minute();
  state.isAway = true;
  state.next = 10;
  restart();
  await minute();
  expect(recorded).toMatchObject([{ root: { body: { through: 9 } } }]);
  // what it says it must still bear out, and once it is back the customer is asked
  Object.assign(state, { next: 12, other: ' of before' });
  restart();
  await minute();
  expect(recorded).toHaveLength(1);
  Object.assign(state, { other: '', isOld: true });
  restart();
  await minute();
  expect(recorded).toHaveLength(2);
});

/** Customer and arbitrator, and what the ledger was asked to rule. */
function claimScene(answer?: AntirioError) {
  const [store] = stores as [ContractStore];
  const time = { now: 0 };
  const ruled: unknown[] = [];
  const set = { customer: customer.edgeId, epoch: 1, contracts: [], slots: {}, takenAt: 0 };
  const facts = {
    termsFor: async () => terms,
    termsOf: async () => terms,
    setOf: async () => ({ ...set, holder: customer.edgeId }),
  };
  const ledger = { submit: async (tx: unknown) => (ruled.push(tx), {}), fetch: async () => undefined };
  const edge2edge: HttpPeer = {
    async call({ json }) {
      if (answer !== undefined) throw answer;
      const result = await judgeContradiction(facts, ledger, asking, json as ContradictionRequest);
      return { status: 200, headers: {}, body: Buffer.from('{}'), json: () => result };
    },
    close: () => undefined,
  };
  const clock = { now: () => 0, monotonic: () => (time.now += 10_000) };
  const claim = createRootClaim({ terms, clock, peers: { edge2edge }, store, log: silentLog });
  return { store, ruled, claim, facts, ledger };
}

test('two roots that contradict each other are ruled a breach, once', async () => {
  const { store, ruled, claim } = claimScene();
  await claim.look();
  expect(ruled).toEqual([]);
  const roots = [rootDocument(7), rootDocument(7, 6)];
  store.putDocument(contractId, 'ringRootsContradict', roots);
  await claim.look();
  await claim.look();
  const evidence = { kind: 'contradictingRoots', roots };
  expect(ruled).toEqual([{ type: 'contract/rule', contractId, ruling: { row: 'providerBreach', evidence } }]);
  expect(store.notes(contractId).map(({ milestone }) => milestone)).toEqual(['rootsClaimed']);
});

test('the arbitrator rules nothing that the provider may have signed, or has not', async () => {
  const { ruled, facts, ledger } = claimScene();
  const judge = (...roots: ContradictionRequest['roots']) =>
    judgeContradiction(facts, ledger, asking, { contractId, roots });
  await expect(judge(rootDocument(7), rootDocument(9))).rejects.toThrow(/do not contradict/);
  const other = rootDocument(7, 6);
  const forged = { ...other, body: { ...other.body, count: 5 } };
  await expect(judge(rootDocument(7), forged)).rejects.toThrow(/has not signed/);
  const elsewhere = { ...other, by: customer.edgeId };
  await expect(judge(rootDocument(7), elsewhere)).rejects.toThrow(/has not signed/);
  expect(ruled).toEqual([]);
});

test('the arbitrator asks nothing of the ledger while the provider serves: it would refuse it every few seconds', async () => {
  const { ruled, facts, ledger } = claimScene();
  const set = await facts.setOf();
  const serving = { ...facts, setOf: async () => ({ ...set, holder: terms.provider }) };
  const roots: ContradictionRequest['roots'] = [rootDocument(7), rootDocument(7, 6)];
  await expect(judgeContradiction(serving, ledger, asking, { contractId, roots })).rejects.toMatchObject({
    code: 'conflict',
  });
  expect(ruled).toEqual([]);
});

test('a claim goes on while the arbitrator is away, and ends with its refusal', async () => {
  const away = claimScene(new AntirioError('unavailable', 'away'));
  away.store.putDocument(contractId, 'ringRootsContradict', [rootDocument(7), rootDocument(7, 6)]);
  await expect(away.claim.look()).rejects.toThrow(/away/);
  expect(away.store.notes(contractId)).toEqual([]);
  const settled = claimScene(new AntirioError('gone', 'the contract is settled'));
  await settled.claim.look();
  await settled.claim.look();
  expect(settled.store.notes(contractId)).toHaveLength(1);
});
