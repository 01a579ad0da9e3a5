import { expect, test } from '@jest/globals';
import { generateIdentity, openIdentity, parseEdgeId, signDocument } from '@antirio/kernel';
import { TERMS_KIND, contractTerms, type ContractTerms } from '@antirio/service-contract';
import type { StoredContract } from './contract-store.ts';
import { createSigning } from './signing.ts';

type Parts = Parameters<typeof createSigning>;

test('terms without keys that say what only a provider with keys could do are signed by neither party', async () => {
  const [ours, theirs] = [openIdentity(generateIdentity()), openIdentity(generateIdentity())];
  const ports = { identity: ours, clock: { now: () => 0 } } as Parts[0];
  const kept: StoredContract[] = [];
  const store = { get: () => undefined, put: (one: StoredContract) => kept.push(one) } as unknown as Parts[1];
  const signing = createSigning(ports, store, {} as Parts[2]);
  const termsOf = (customer: string, provider: string, more: object): ContractTerms =>
    contractTerms.parse({
      ...{ version: 1, contractId: '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f', customer, provider },
      central: parseEdgeId(generateIdentity().edgeId),
      set: { setId: 'bridge', service: 'lora', devices: [{ devEui: '00'.repeat(8), devAddr: '0000000a' }] },
      image: { imageName: 'lora', imageCid: 'a', configCid: 'b' },
      ...{ confidentiality: 'relay', opening: 'witnessed', standby: 'hot', disputeS: 60 },
      ...{ stakes: { customer: 1, provider: 1 }, slots: { customer: 0, provider: 1 }, expiresAt: 1 },
      ...more,
    });
  const drilled = { drills: { perMonth: 1 } };
  expect(() => signing.propose(termsOf(ours.edgeId, theirs.edgeId, drilled))).toThrow(/in a drill/);
  const asProvider = termsOf(theirs.edgeId, ours.edgeId, { rekey: { waitS: 60 } });
  const asked = signing.countersign(theirs.edgeId, { terms: asProvider, signature: '' });
  await expect(asked).rejects.toThrow(/rekey/);
  signing.propose(termsOf(ours.edgeId, theirs.edgeId, {}));
  expect(kept).toHaveLength(1);
});

test('an outage of less than an hour is signed by neither party; what was signed before stays what it is', async () => {
  const [ours, theirs] = [openIdentity(generateIdentity()), openIdentity(generateIdentity())];
  let known: StoredContract | undefined;
  const store = { get: () => known } as unknown as Parts[1];
  const ports = { identity: ours, clock: { now: () => 0 } } as Parts[0];
  const signing = createSigning(ports, store, {} as Parts[2]);
  const termsOf = (customer: string, provider: string): ContractTerms =>
    contractTerms.parse({
      ...{ version: 1, contractId: '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f', customer, provider },
      central: parseEdgeId(generateIdentity().edgeId),
      set: { setId: 'bridge', service: 'lora', devices: [] },
      image: { imageName: 'lora', imageCid: 'a', configCid: 'b' },
      ...{ confidentiality: 'process', opening: 'witnessed', standby: 'hot' },
      ...{ stakes: { customer: 1, provider: 1 }, slots: { customer: 0, provider: 1 } },
      ...{ outageS: 3599, expiresAt: 1 },
    });
  const asCustomer = termsOf(ours.edgeId, theirs.edgeId);
  expect(() => signing.propose(asCustomer)).toThrow(/an hour at least/);
  known = { terms: asCustomer, role: 'customer', signatures: {} };
  expect(signing.propose(asCustomer)).toBe(known);
  const asProvider = termsOf(theirs.edgeId, ours.edgeId);
  const { signature } = signDocument(theirs, TERMS_KIND, asProvider);
  const asked = () => signing.countersign(theirs.edgeId, { terms: asProvider, signature });
  known = undefined;
  await expect(asked()).rejects.toThrow(/an hour at least/);
  known = { terms: asProvider, role: 'provider', signatures: {} };
  expect(await asked()).toBe(known);
});
