import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemRandom } from '@antirio/host';
import {
  AntirioError,
  generateIdentity,
  openIdentity,
  parseEdgeId,
  signDocument,
  type Identity,
} from '@antirio/kernel';
import { RING_ROOT_KIND } from '@antirio/ledger-machine';
import { central, contractId, customer, provider, sealKeyOf, terms, witness } from './escrow.fixture.ts';
import { createEscrowHolder, type EscrowHolder } from './escrow-holder.ts';
import { openEscrowStore, type EscrowStore } from './escrow-store.ts';
import type { LedgerClient } from './ledger-client.ts';
import { divideKeys, openKeys, type DividedKeys } from './sealed-keys.ts';

const secrets = (keyVersion: number) => ({
  keyVersion,
  sessions: [{ devEui: '00000000000000aa', devAddr: '0000000a', nwkSKey: '11'.repeat(16) }],
});
const divide = (version = 1): Promise<DividedKeys> =>
  divideKeys(customer, terms, {}, secrets(version), sealKeyOf, systemRandom);

let folder = '';
let state: Map<string, unknown>;
let submitted: unknown[];
let now = 0;
let refusal: AntirioError | undefined;
let divided: DividedKeys;
const stores: EscrowStore[] = [];

const ledger = {
  read: async (key: string) => state.get(key),
  fetch: async (key: string) => state.get(key),
  time: async () => now,
  sealKeyOf: async (edge: string) => sealKeyOf(parseEdgeId(edge)),
  submit: async (payload: unknown) => {
    if (refusal !== undefined) throw refusal;
    submitted.push(payload);
    return {};
  },
} as unknown as LedgerClient;

function holderOf(identity: Identity, maxContracts = 10): EscrowHolder {
  const store = openEscrowStore(join(folder, `${identity.edgeId}.db`));
  stores.push(store);
  return createEscrowHolder({
    identity,
    ledger,
    store,
    log: silentLog,
    maxContracts,
  });
}

const deliveryTo = (identity: Identity, from = divided) => {
  const mine = from.forHolders.find(({ holder }) => holder === identity.edgeId);
  if (mine === undefined) throw new TypeError('no share');
  return mine.delivery;
};

function recordOpening(
  by: Identity,
  keyVersion = 1,
  root = { contractId, root: 'ab'.repeat(32), count: 3, through: 3 },
): void {
  const { signature } = signDocument(by, RING_ROOT_KIND, root);
  state.set(`opening/${contractId}/000000000001`, {
    epoch: 1,
    at: now,
    keyVersion,
    root,
    rootSignature: signature,
  });
  state.set(`contract/${contractId}`, { life: { state: 'READY' }, openings: 1 });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'escrow-'));
  now = 1000;
  refusal = undefined;
  submitted = [];
  divided = await divide();
  state = new Map<string, unknown>([
    [`terms/${contractId}`, { terms }],
    [`contract/${contractId}`, { life: { state: 'READY' }, openings: 0 }],
    ['set/bridge', { epoch: 1 }],
  ]);
});
afterEach(() => {
  for (const store of stores.splice(0)) store.close();
  rmSync(folder, { recursive: true });
});

describe('a holder', () => {
  test('gives its share after a restart, to the provider alone, and has it on the ledger before', async () => {
    await holderOf(witness).keep(customer.edgeId, contractId, deliveryTo(witness));
    recordOpening(provider);
    const holder = holderOf(witness);
    const answer = await holder.release(provider.edgeId, contractId, 1);
    expect(submitted).toEqual([{ type: 'escrow/release', contractId, opening: 1, keyVersion: 1 }]);
    if (!('share' in answer)) throw new TypeError(answer.refused);
    const other = holderOf(central);
    await other.keep(customer.edgeId, contractId, deliveryTo(central));
    const second = await other.shareFor(terms, 1);
    if (second === undefined) throw new TypeError('no share');
    const shares = [
      { holder: parseEdgeId(witness.edgeId), box: answer.share.box },
      { holder: parseEdgeId(central.edgeId), box: second.box },
    ];
    const opened = await openKeys(provider, divided.forProvider, shares);
    expect(opened.sessions).toHaveLength(1);
    await expect(openKeys(provider, divided.forProvider, shares.slice(0, 1))).rejects.toThrow(/take 2/);
  });

  test('gives nothing without an opening on the ledger, whatever it is told', async () => {
    const holder = holderOf(witness);
    await holder.keep(customer.edgeId, contractId, deliveryTo(witness));
    expect(await holder.release(provider.edgeId, contractId, 1)).toEqual({ refused: 'noOpening' });
    recordOpening(customer);
    expect(await holder.release(provider.edgeId, contractId, 1)).toEqual({ refused: 'otherRoot' });
    recordOpening(provider, 1, {
      contractId: '7f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f',
      root: 'ab'.repeat(32),
      count: 3,
      through: 3,
    });
    expect(await holder.release(provider.edgeId, contractId, 1)).toEqual({ refused: 'otherRoot' });
    recordOpening(provider);
    expect(await holder.release(customer.edgeId, contractId, 1)).toEqual({ refused: 'notProvider' });
    now += 600_001;
    expect(await holder.release(provider.edgeId, contractId, 1)).toEqual({ refused: 'openingTooOld' });
    expect(submitted).toEqual([]);
  });

  test('keeps its share back where the ledger does not take its release', async () => {
    const holder = holderOf(witness);
    await holder.keep(customer.edgeId, contractId, deliveryTo(witness));
    recordOpening(provider);
    refusal = new AntirioError('conflict', 'the share may not be released');
    expect(await holder.release(provider.edgeId, contractId, 1)).toEqual({ refused: 'openingTooOld' });
    refusal = new AntirioError('unavailable', 'no ledger');
    await expect(holder.release(provider.edgeId, contractId, 1)).rejects.toThrow(/no ledger/);
  });

  test('takes a share only from the customer, only where it is a holder, and only the share that was signed for', async () => {
    const holder = holderOf(witness);
    const mine = deliveryTo(witness);
    await expect(holder.keep(provider.edgeId, contractId, mine)).rejects.toThrow(/only the customer/);
    const theirs = deliveryTo(witness, await divide());
    await expect(holder.keep(customer.edgeId, contractId, { ...mine, share: theirs.share })).rejects.toThrow(
      /not the one that the customer gave/,
    );
    const stranger = openIdentity(generateIdentity());
    await expect(holderOf(stranger).keep(customer.edgeId, contractId, mine)).rejects.toThrow(/no share of/);
    await expect(holderOf(witness, 0).keep(customer.edgeId, contractId, mine)).rejects.toThrow(/at most 0/);
    expect(holder.held()).toBe(0);
  });

  test('keeps every version that may be opened, however they are numbered, until the ledger has moved on', async () => {
    const holder = holderOf(witness);
    const take = async (version: number) =>
      holder.keep(customer.edgeId, contractId, deliveryTo(witness, await divide(version)));
    const given = async (version: number) => {
      recordOpening(provider, version);
      const answer = await holder.release(provider.edgeId, contractId, 1);
      return 'share' in answer ? answer.share.keyVersion : answer.refused;
    };
    for (const version of [1, 3, 20_261_122]) await take(version);
    for (const version of [1, 3, 20_261_122]) expect(await given(version)).toBe(version);
    state.set(`keys/${contractId}`, { version: 20_261_122, state: 'unconfirmed' });
    await take(20_261_123);
    expect(await given(1)).toBe('noShare');
    for (const version of [3, 20_261_122, 20_261_123]) expect(await given(version)).toBe(version);
  });

  test('goes on where a device joins again and again while the provider is away: what that has, or will get, is kept', async () => {
    const holder = holderOf(witness);
    const take = async (version: number) =>
      holder.keep(customer.edgeId, contractId, deliveryTo(witness, await divide(version)));
    const isKept = async (version: number): Promise<boolean> =>
      (await holder.shareFor(terms, version)) !== undefined;
    state.set(`keys/${contractId}`, { version: 2, state: 'unconfirmed' });
    for (let version = 1; version <= 40; version++) await take(version);
    const kept = [];
    for (let version = 1; version <= 40; version++) if (await isKept(version)) kept.push(version);
    expect(kept).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 33, 34, 35, 36, 37, 38, 39, 40]);
    await take(40);
    expect(await isKept(33)).toBe(true);
    state.set(`keys/${contractId}`, { version: 40, state: 'unconfirmed' });
    await take(41);
    expect(await isKept(38)).toBe(false);
    for (const version of [39, 40, 41]) expect(await isKept(version)).toBe(true);
  });

  test('destroys its shares when the contract is over', async () => {
    const holder = holderOf(witness);
    await holder.keep(customer.edgeId, contractId, deliveryTo(witness));
    recordOpening(provider);
    await holder.sweep();
    expect(holder.held()).toBe(1);
    state.set(`contract/${contractId}`, { life: { state: 'SETTLED', row: 'honoured' }, openings: 1 });
    await holder.sweep();
    expect(holder.held()).toBe(0);
  });
});
