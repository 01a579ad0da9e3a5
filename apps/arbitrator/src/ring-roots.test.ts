import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLog, type HttpPeer } from '@antirio/host';
import { AntirioError, sha256Hex, signDocument, utf8, verifyDocument } from '@antirio/kernel';
import { RING_ROOT_KIND, keys, signedRingRoot } from '@antirio/ledger-machine';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { contractId, customer, provider, terms } from './escrow.fixture.ts';
import { countersignRoot, createRootKeeper, proofView, rootRequest } from './ring-roots.ts';

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

/** A provider with a ring that grows, and its customer, which may be away. */
function scene() {
  const [storeA, storeB] = stores as [ContractStore, ContractStore];
  const time = { now: 0 };
  const clock = { monotonic: () => time.now, now: () => time.now };
  const recorded: unknown[] = [];
  const state = { next: 1, isAway: false };
  const edge2edge: HttpPeer = {
    async call({ json }) {
      if (state.isAway) throw new AntirioError('unavailable', 'away');
      const { root } = rootRequest.parse(json);
      const answer = countersignRoot({ identity: customer, store: storeA, clock }, terms, root);
      return { status: 200, headers: {}, body: Buffer.from('{}'), json: () => answer };
    },
    close: () => undefined,
  };
  const keeper = createRootKeeper({
    ...{ terms, identity: provider, clock, peers: { edge2edge }, store: storeB, log: silentLog },
    ledger: { submit: async (tx) => (recorded.push(tx), {}) },
    rooms: {
      ringIfThere: async () => ({ from: 1, next: state.next }),
      ringRoot: async (_id, through) => ({ root: rootOver(through), count: through }),
    },
  });
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
  return { storeA, storeB, recorded, state, minute, view };
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
  const body = rootDocument(7).body;
  const signed = { kind: RING_ROOT_KIND, by: customer.edgeId, body, signature: kept?.customer ?? '' };
  expect(verifyDocument(signed, RING_ROOT_KIND)).toBe(true);
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
