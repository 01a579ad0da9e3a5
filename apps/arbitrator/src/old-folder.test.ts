import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openDatabase, systemRandom } from '@antirio/host';
import {
  aesGcmEncrypt,
  canonicalBytes,
  generateIdentity,
  openIdentity,
  openSealed,
  sealTo,
  signDocument,
  toBase64,
  utf8,
  verifyDocument,
  xorBytes,
} from '@antirio/kernel';
import {
  TERMS_KIND,
  createCustomer,
  createProvider,
  customerStep,
  providerStep,
  type CustomerPhase,
  type PartyEvent,
  type ProviderPhase,
} from '@antirio/service-contract';
import { openContractStore } from './contract-store.ts';
import { adoptOldShares, openEscrowStore } from './escrow-store.ts';
import { openGrantorStore } from './grantor-store.ts';
import { openKeys, type KeptPackage } from './sealed-keys.ts';

const [customer, provider, central] = [1, 2, 3].map(() => openIdentity(generateIdentity())) as [
  ReturnType<typeof openIdentity>,
  ReturnType<typeof openIdentity>,
  ReturnType<typeof openIdentity>,
];
const contractId = '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f';
/** As contracts were signed before keys were shared, given away, or forwarded under. */
const oldTerms = {
  version: 1,
  contractId,
  ...{ customer: customer.edgeId, provider: provider.edgeId, central: central.edgeId },
  set: { setId: 'bridge', service: 'lora', devices: [{ devEui: '00000000000000aa', devAddr: '0000000a' }] },
  image: { imageName: 'lora', imageCid: 'a', configCid: 'b' },
  ...{ confidentiality: 'process', opening: 'witnessed', standby: 'hot' },
  stakes: { customer: 1, provider: 1 },
  ...{ heartbeatIntervalMs: 200, missedBeats: 3, leaseMs: 3000, returnBackoffMs: 30_000 },
  ...{ takeoverSlaMs: 60_000, outageS: 3600, maxActiveS: 86_400, ringBudgetBytes: 16 << 20 },
  slots: { customer: 0, provider: 1 },
  expiresAt: 1_000_000,
};
const { signature } = signDocument(customer, TERMS_KIND, oldTerms);

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'old-folder-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const contractsFile = () => join(folder, 'contracts.db');

function writeContract(role: 'customer' | 'provider', phase: unknown): void {
  const db = openDatabase(contractsFile(), [
    `CREATE TABLE contract (id TEXT PRIMARY KEY, json TEXT NOT NULL, phase TEXT) STRICT;
     CREATE TABLE note (contract TEXT NOT NULL, json TEXT NOT NULL) STRICT;
     CREATE INDEX note_contract ON note (contract);
     CREATE TABLE document (contract TEXT NOT NULL, name TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (contract, name)) STRICT`,
  ]);
  db.prepare('INSERT INTO contract (id, json, phase) VALUES (?, ?, ?)').run(
    contractId,
    JSON.stringify({ terms: oldTerms, role, signatures: { customer: signature } }),
    JSON.stringify(phase),
  );
  db.close();
}

const context = { now: 5000, wall: 5000, random: () => 0.5 };
const tick: PartyEvent = { type: 'tick' };

describe('a contract of before', () => {
  test('runs on with the defaults of what its terms did not speak of', () => {
    writeContract('provider', { at: 'ready' });
    const store = openContractStore(contractsFile());
    const found = store.get(contractId);
    if (found === undefined) throw new TypeError('no contract');
    expect(found.terms).toMatchObject({ ...oldTerms, escrow: { threshold: 1, holders: [] } });
    expect(store.all()[0]?.terms).toEqual(found.terms);
    const state = createProvider(found.terms, found.phase as ProviderPhase, 'boot', 0);
    const ring = { from: 0, next: 5000 };
    const [heard] = providerStep(state, { type: 'observed', observed: { ring } }, context);
    expect(() => providerStep(heard, tick, context)).not.toThrow();
    store.close();
  });

  test('keeps the text that was signed', () => {
    writeContract('provider', { at: 'ready' });
    const store = openContractStore(contractsFile());
    const found = store.get(contractId);
    if (found === undefined) throw new TypeError('no contract');
    store.put({ ...found, refused: 'no longer' });
    expect(store.get(contractId)?.refused).toBe('no longer');
    store.close();
    const db = openDatabase(contractsFile(), ['']);
    const { terms } = JSON.parse(String(db.prepare('SELECT json FROM contract').get()?.['json'])) as {
      terms: typeof oldTerms;
    };
    db.close();
    const signed = { kind: TERMS_KIND, by: customer.edgeId, body: terms, signature };
    expect(verifyDocument(signed, TERMS_KIND)).toBe(true);
  });

  test.each([
    [true, true, []],
    [true, false, ['keyShare']],
    [false, true, ['keyShare']],
  ])('goes on arming: provider has its keys %p, centre its share %p', (withProvider, withCentral, calls) => {
    const old = { at: 'arming', keysWithProvider: withProvider, keysWithCentral: withCentral, epoch: 1 };
    writeContract('customer', old);
    const store = openContractStore(contractsFile());
    const found = store.get(contractId);
    if (found === undefined) throw new TypeError('no contract');
    expect(found.phase).toMatchObject({ at: 'arming', epoch: 1 });
    const state = createCustomer(found.terms, found.phase as CustomerPhase, 'boot', 0);
    const [, effects] = customerStep(state, tick, context);
    const made = effects.flatMap((one) => (one.type === 'call' ? [one.method] : []));
    expect(made.filter((method) => method === 'keys' || method === 'keyShare')).toEqual(calls);
    store.close();
  });
});

/** As keys were divided before customers signed for them. */
function divideOld(): { forProvider: KeptPackage; share: ReturnType<typeof sealTo> } {
  const [key, part, nonce] = [systemRandom.bytes(32), systemRandom.bytes(32), systemRandom.bytes(12)];
  const session = { devEui: '00000000000000aa', devAddr: '0000000a', nwkSKey: '11'.repeat(16) };
  const plain = utf8(JSON.stringify({ keyVersion: 3, sessions: [session] }));
  const aad = canonicalBytes({ kind: 'antirio/sealed-keys/1', contractId, keyVersion: 3 });
  const forProvider = {
    ...{ contractId, keyVersion: 3, service: {}, nonce: toBase64(nonce), whole: false },
    sealedSecrets: toBase64(aesGcmEncrypt(key, nonce, plain, aad)),
    part: sealTo(provider.sealKey, xorBytes(key, part)),
  };
  return { forProvider, share: sealTo(central.sealKey, part) };
}

function writeShare(share: unknown): void {
  const db = openDatabase(join(folder, 'grantor.db'), [
    `CREATE TABLE share (contract TEXT PRIMARY KEY, key_version INTEGER NOT NULL, json TEXT NOT NULL) STRICT;
     CREATE TABLE block (customer TEXT NOT NULL, dev_addr TEXT NOT NULL, highest INTEGER NOT NULL, PRIMARY KEY (customer, dev_addr)) STRICT`,
  ]);
  db.prepare('INSERT INTO share VALUES (?, ?, ?)').run(contractId, 3, JSON.stringify(share));
  db.prepare('INSERT INTO block VALUES (?, ?, ?)').run(customer.edgeId, '0000000a', 40);
  db.close();
}

describe('keys that were divided before', () => {
  test('open with the share that the central arbitrator kept, after its move', async () => {
    const { forProvider, share } = divideOld();
    writeShare(share);
    const escrow = openEscrowStore(join(folder, 'escrow.db'));
    for (let start = 0; start < 2; start++) {
      const grantor = openGrantorStore(join(folder, 'grantor.db'));
      adoptOldShares(grantor, escrow);
      expect(grantor.oldShares()).toEqual([]);
      const wanted = [{ devAddr: '0000000a', slot: 0, above: -1 }];
      expect(grantor.reserve(customer.edgeId, wanted)[0]?.index).toBeGreaterThan(40);
      grantor.close();
    }
    expect(escrow.newest(contractId)).toBe(3);
    const kept = escrow.get(contractId, 3);
    if (kept === undefined) throw new TypeError('the share is gone');
    const box = sealTo(provider.sealKey, openSealed(central, kept));
    const opened = await openKeys(provider, forProvider, [{ holder: central.edgeId, box }]);
    expect(opened).toMatchObject({ keyVersion: 3, sessions: [{ devAddr: '0000000a' }] });
    await expect(openKeys(provider, forProvider, [])).rejects.toMatchObject({ code: 'forbidden' });
    escrow.close();
  });
});
