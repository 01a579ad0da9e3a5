import { expect, test } from '@jest/globals';
import { generateIdentity, openIdentity, signDocument } from '@antirio/kernel';
import {
  ACTS_KIND,
  contractRecord,
  createGrantor,
  WORD_SLACK_MS,
  YIELD_KIND,
  type CentralEvent,
  type CentralQuestion,
} from '@antirio/service-contract';
import { createCentralCalls, type CentralDependencies } from './central-calls.ts';

const central = openIdentity(generateIdentity());
const customer = openIdentity(generateIdentity());
const provider = openIdentity(generateIdentity()).edgeId;
const contractId = '6a6e5df8-14ab-4f2c-b6f2-2b1d0c4e9a01';
const terms = {
  ...{ contractId, provider, customer: customer.edgeId, set: { setId: 'S' } },
  ...{ escrow: { threshold: 1, holders: [provider] }, yielding: { boundMs: 30_000 } },
};
const SAID_AT = 1_000_000;

/** What the machine is asked where the provider shows its customer's word at `now`. */
async function asked(now: number, released: boolean): Promise<CentralQuestion | undefined> {
  let question: CentralQuestion | undefined;
  const set = { epoch: 3, holder: customer.edgeId, ...(released ? { released: { epoch: 3 } } : {}) };
  const contract = { setId: 'S', life: { state: 'READY' }, openings: 0 };
  const deps = {
    identity: central,
    clock: { now: () => now, monotonic: () => 0 },
    ledger: { fetch: () => Promise.resolve(undefined) },
    facts: {
      termsFor: () => Promise.resolve(terms),
      contractOf: () => Promise.resolve(contract),
      setOf: () => Promise.resolve(set),
    },
    host: {
      ask(one: CentralQuestion) {
        question = one;
        return Promise.resolve({ kind: 'refused', reason: 'here it ends' });
      },
    },
    escrow: {},
  } as unknown as CentralDependencies;
  const body = { contractId, setId: 'S', epoch: 3, cause: 'planned' as const, at: SAID_AT };
  const word = { ...signDocument(customer, YIELD_KIND, body), kind: YIELD_KIND } as const;
  const request = { contractId, root: {}, evidence: {}, keyVersion: 1, word };
  await createCentralCalls(deps).open(provider, request as never);
  return question;
}

test('the word of a handover that came to nothing opens nothing months later, though the epoch is the same', async () => {
  const day = 86_400_000;
  expect(await asked(SAID_AT + 1000, false)).toMatchObject({ word: 'counts' });
  expect(await asked(SAID_AT + 30_001 + WORD_SLACK_MS, false)).toMatchObject({ word: 'stale' });
  expect(await asked(SAID_AT + 90 * day, false)).toMatchObject({ word: 'stale' });
  expect(await asked(SAID_AT + day, true)).toMatchObject({ word: 'counts' });
});

/** What the record says a while after the provider's activation and statement. */
async function recorded(now: number, state: string, statedAt?: number) {
  const statement = { contractId, epoch: 4, from: 1, through: 9, devices: [] };
  const contract = { setId: 'S', life: { state }, openings: 1, activation: { epoch: 4, at: 1000 } };
  const deps = {
    identity: central,
    clock: { now: () => now, monotonic: () => 0 },
    ledger: {
      fetch: () => Promise.resolve(undefined),
      read: () => Promise.resolve(statedAt === undefined ? undefined : { statement, at: statedAt }),
    },
    facts: {
      termsOf: () => Promise.resolve({ leaseMs: 3000 }),
      contractOf: () => Promise.resolve(contract),
      setOf: () => Promise.resolve({ epoch: 4, holder: provider }),
      partiesOf: () => Promise.resolve([customer.edgeId, provider]),
    },
    host: { state: () => ({ grantor: createGrantor('boot', 0) }) },
    escrow: { newestVersion: () => 1 },
  } as unknown as CentralDependencies;
  return createCentralCalls(deps).record(undefined, contractId);
}

test('the record tells for how long the provider has served, and when its statement stands for both', async () => {
  const week = 7 * 86_400_000;
  const active = await recorded(61_000, 'ACTIVE');
  expect(active).toMatchObject({ activation: 4, activeForMs: 60_000, challenge: 'boot.0' });
  expect(active).toMatchObject({ parties: [customer.edgeId, provider] });
  expect(active).not.toHaveProperty('closesInMs');
  expect(await recorded(900, 'ACTIVE')).toMatchObject({ activeForMs: 0 });
  const stated = (now: number) => recorded(now, 'RETURNING', 2000);
  expect(await stated(3000)).toMatchObject({ closesInMs: week - 1000, handback: { epoch: 4, through: 9 } });
  expect(await stated(2000 + week)).toMatchObject({ closesInMs: 0 });
  expect(await recorded(3000, 'HANDED_BACK', 2000)).not.toHaveProperty('closesInMs');
});

test('the record tells what the provider has earned by standing by, where the contract has rent', async () => {
  const rent = { perHour: 3600 };
  const onLedger = {
    ...{ life: { state: 'READY' }, setId: 'S', openings: 0, rent: { stood: [], since: 1000 } },
    escrow: { customer: 1, provider: 1, rent: 90 },
  };
  const deps = {
    identity: central,
    clock: { now: () => 43_500.5, monotonic: () => 0 },
    ledger: { fetch: (key: string) => Promise.resolve(key.startsWith('contract/') ? onLedger : undefined) },
    facts: {
      termsOf: () => Promise.resolve({ leaseMs: 3000, rent, expiresAt: 1_000_000, maxActiveS: 60 }),
      contractOf: () => Promise.resolve(onLedger),
      setOf: () => Promise.resolve({ epoch: 1, holder: customer.edgeId }),
      partiesOf: () => Promise.resolve([customer.edgeId, provider]),
    },
    host: { state: () => ({ grantor: createGrantor('boot', 0) }) },
    escrow: { newestVersion: () => 1 },
  } as unknown as CentralDependencies;
  const record = await createCentralCalls(deps).record(undefined, contractId);
  expect(contractRecord.parse(record).rent).toEqual({ prepaid: 90, earned: 42, provenMs: 42_500 });
});

test('who shows that the customer acts by its promise is believed by the customer’s own word about the epoch that rules', async () => {
  const events: CentralEvent[] = [];
  const deps = {
    identity: central,
    facts: {
      termsFor: () => Promise.resolve({ ...terms, leaseMs: 3000 }),
      setOf: () => Promise.resolve({ epoch: 3, holder: customer.edgeId }),
    },
    host: { post: (event: CentralEvent) => events.push(event) },
  } as unknown as CentralDependencies;
  const { acts } = createCentralCalls(deps);
  const said = (signer: typeof central, changes: object = {}) => {
    const body = { setId: 'S', epoch: 3, heard: 'boot.7', ...changes };
    return { contractId, word: { ...signDocument(signer, ACTS_KIND, body), kind: ACTS_KIND } as const };
  };
  for (const refused of [said(central), said(customer, { epoch: 2 }), said(customer, { setId: 'T' })])
    await expect(acts(provider, refused)).rejects.toMatchObject({ code: 'forbidden' });
  const forged = said(customer);
  const changed = { ...forged.word, body: { ...forged.word.body, heard: 'boot.9' } };
  await expect(acts(provider, { contractId, word: changed })).rejects.toMatchObject({ code: 'forbidden' });
  expect(events).toEqual([]);
  await acts(provider, said(customer));
  expect(events).toEqual([{ type: 'acts', setId: 'S', epoch: 3, heard: 'boot.7', leaseMs: 3000 }]);
});
