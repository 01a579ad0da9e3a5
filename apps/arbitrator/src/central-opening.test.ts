import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemRandom, type Bus } from '@antirio/host';
import { generateIdentity, openIdentity, signDocument, type Identity } from '@antirio/kernel';
import { RING_ROOT_KIND } from '@antirio/ledger-machine';
import { YIELD_KIND, contractTerms, signedWord, type SignedWord } from '@antirio/service-contract';
import { createCentralCalls, type CentralCalls, type Opened, type Refused } from './central-calls.ts';
import type { CentralFacts } from './central-facts.ts';
import { runCentral, type CentralHost } from './central-host.ts';
import type { EscrowHolder } from './escrow-holder.ts';
import type { GrantorStore } from './grantor-store.ts';
import type { LedgerClient } from './ledger-client.ts';

const [customer, provider, central] = [1, 2, 3].map(() => openIdentity(generateIdentity())) as [
  Identity,
  Identity,
  Identity,
];
const contractId = '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f';
const terms = contractTerms.parse({
  version: 1,
  contractId,
  ...{ customer: customer.edgeId, provider: provider.edgeId, central: central.edgeId },
  set: { setId: 'bridge', service: 'lora', devices: [{ devEui: '00000000000000aa', devAddr: '0000000a' }] },
  image: { imageName: 'lora', imageCid: 'a', configCid: 'b' },
  ...{ confidentiality: 'process', opening: 'witnessed', standby: 'hot' },
  stakes: { customer: 1, provider: 1 },
  slots: { customer: 0, provider: 1 },
  expiresAt: 10_000_000,
});
const root = signDocument(provider, RING_ROOT_KIND, {
  ...{ contractId, root: 'ab'.repeat(32), count: 3, through: 3 },
});

let now = 0;
let life = 'READY';
let openings: { keyVersion: number; at: number; evidence?: object }[] = [];
let fullDrill: object | undefined;
/** Versions of which the customer has given its share. */
let delivered: number[] = [];
let host: CentralHost;
let calls: CentralCalls;
let answersProbes = false;

beforeEach(() => {
  now = 1000;
  life = 'READY';
  openings = [];
  delivered = [1, 2];
  answersProbes = false;
  fullDrill = undefined;
  const clock = { now: () => now, monotonic: () => (now += 20) };
  const bus = {
    async publish(_topic: string, text: string) {
      const { kind, body } = JSON.parse(text) as { kind: string; body: { nonce: string } };
      if (kind !== 'probe') return;
      if (answersProbes) host.post({ type: 'probeReply', from: terms.customer, nonce: body.nonce });
    },
  } as unknown as Bus;
  const store = {} as GrantorStore;
  host = runCentral({
    ...{ bus, clock, random: systemRandom, log: silentLog, store },
    customerOf: async () => terms.customer,
  });
  const ledger = {
    async fetch(key: string) {
      if (key.startsWith('fulldrill/')) return fullDrill;
      const fullDrills = { started: 1 };
      if (key.startsWith('contract/')) return { openings: openings.length, validatedAt: 0, fullDrills };
      return openings[Number(key.split('/').at(-1)) - 1];
    },
    submitUntilKnown: async ({ keyVersion, evidence }: { keyVersion: number; evidence: object }) => {
      openings.push({ keyVersion, at: now, evidence });
    },
  } as unknown as LedgerClient;
  const facts = {
    termsFor: async () => terms,
    contractOf: async () => ({ setId: 'bridge', life: { state: life }, openings: openings.length }),
    setOf: async () => ({
      epoch: 1,
      holder: terms.customer,
      customer: terms.customer,
      contracts: [],
      slots: {},
    }),
  } as unknown as CentralFacts;
  const escrow = {
    shareFor: async (_terms: unknown, keyVersion: number) =>
      delivered.includes(keyVersion) ? { keyVersion, box: {} } : undefined,
  } as unknown as EscrowHolder;
  calls = createCentralCalls({ identity: central, clock, ledger, facts, host, escrow });
});
afterEach(() => {
  host.stop();
});

const open = (keyVersion: number, word?: SignedWord, more: object = {}): Promise<Opened | Refused> =>
  calls.open(terms.provider, {
    ...(word === undefined ? {} : { word }),
    ...more,
    ...{ contractId, root: { ...root, kind: RING_ROOT_KIND, by: terms.provider }, keyVersion },
    evidence: { from: 0 } as Parameters<CentralCalls['open']>[1]['evidence'],
  });
const versions = (answer: Opened | Refused): number[] =>
  'releases' in answer ? answer.releases.map(({ share }) => share.keyVersion) : [];

test('the customer’s last beat is recorded with the opening, and one that is not its own opens nothing', async () => {
  const about = { contractId, epoch: 1, bootId: 'boot-a', sequence: 41, echo: '', clock: 0, storeOk: true };
  const body = { to: terms.provider, boot: '00', seq: 7, body: { ...about, leaseLeftMs: 0 } };
  const signedBy = (signer: Identity) => ({
    beat: { signed: signDocument(signer, 'antirio/datagram/beat', body), msAgo: 700 },
  });
  const forged = signedBy(provider);
  await expect(open(1, undefined, forged)).rejects.toMatchObject({ code: 'invalidInput' });
  expect(openings).toEqual([]);
  const { beat } = signedBy(customer);
  await open(1, undefined, { beat });
  expect(openings[0]?.evidence).toEqual({
    ...{ from: 0, beat: JSON.stringify(body), beatSignature: beat.signed.signature, beatMsAgo: 700 },
  });
});

test('a full drill has an opening of its own, though the same keys were opened under the same epoch', async () => {
  await open(1);
  const body = { contractId, setId: 'bridge', epoch: 1, cause: 'drill', at: now };
  const word = signedWord.parse(signDocument(customer, YIELD_KIND, body));
  await open(1, word);
  expect(openings).toHaveLength(1);
  fullDrill = { state: 'asked', openings: 1 };
  await open(1, word);
  await open(1, word);
  expect(openings).toHaveLength(2);
});

describe('our share', () => {
  test.each(['HANDED_BACK', 'RETURNING', 'ACTIVE'])(
    'is of the keys that were opened, whichever a provider that may have them asks for: %s',
    async (state) => {
      openings.push({ keyVersion: 1, at: now });
      life = state;
      expect(versions(await open(2))).toEqual([1]);
      expect(openings).toHaveLength(1);
    },
  );

  test('of newer keys takes an opening of its own, and the witness’s word again', async () => {
    expect(versions(await open(1))).toEqual([1]);
    expect(versions(await open(1))).toEqual([1]);
    expect(openings).toHaveLength(1);
    answersProbes = true;
    now += 10_000;
    expect(await open(2)).toMatchObject({ refused: 'customerLives' });
    expect(openings).toHaveLength(1);
    answersProbes = false;
    now += 10_000;
    expect(versions(await open(2))).toEqual([2]);
    expect(openings.map(({ keyVersion }) => keyVersion)).toEqual([1, 2]);
  });

  test('is there before anything is opened', async () => {
    delivered = [];
    await expect(open(1)).rejects.toMatchObject({ code: 'conflict' });
    expect(openings).toEqual([]);
  });
});
