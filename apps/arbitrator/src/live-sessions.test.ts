import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemRandom } from '@antirio/host';
import type { ContractTerms } from '@antirio/service-contract';
import { customer, contractId, provider, sealKeyOf, terms as plainTerms } from './escrow.fixture.ts';
import { openOwnKeys, sealingNow, versionAfter, type OwnKeys } from './live-sessions.ts';
import { checkPackage, divideKeys } from './sealed-keys.ts';

const devEui = '00000000000000aa';
const terms: ContractTerms = { ...plainTerms, devAddrRange: { first: '02000000', last: '0200ffff' } };
const key = '11'.repeat(16);
const sessionOf = (devAddr: string) => ({ devEui, devAddr, nwkSKey: key, appSKey: key });

let folder = '';
const documents = new Map<string, unknown>();
const store = {
  document: (id: string, name: string) => documents.get(`${id}/${name}`),
  putDocument: (id: string, name: string, value: unknown) => void documents.set(`${id}/${name}`, value),
};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'live-'));
  mkdirSync(join(folder, 'device-lora'));
  documents.clear();
  ledgerHas = 0;
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

let ledgerHas = 0;
const open = (): OwnKeys => {
  const protectedService = { configFile: 'none', secretsFile: join(folder, 'secrets.json') };
  return openOwnKeys({
    options: { dataDir: folder, protectedService },
    store,
    log: silentLog,
    floor: () => ledgerHas,
  });
};
const writeFile = (keyVersion: number): void =>
  writeFileSync(join(folder, 'secrets.json'), JSON.stringify({ keyVersion, rootKeys: [] }));
const writeLive = (serial: number, ...devAddrs: string[]): void =>
  writeFileSync(
    join(folder, 'device-lora', 'live-sessions.json'),
    JSON.stringify({ serial, sessions: devAddrs.map(sessionOf) }),
  );

describe('versions', () => {
  test('are the operator’s where nothing joins, and rise with each of the two otherwise', () => {
    const first = versionAfter(undefined, { file: 3, serial: 0 });
    expect(first.version).toBe(3);
    const joined = versionAfter(first, { file: 3, serial: 1 });
    expect(joined.version).toBe(4);
    expect(versionAfter(joined, { file: 3, serial: 1 })).toBe(joined);
    expect(versionAfter(joined, { file: 4, serial: 1 }).version).toBe(5);
    expect(versionAfter(joined, { file: 9, serial: 2 }).version).toBe(9);
    // sealed before, by an Antirio that knew of no joins
    expect(versionAfter(undefined, { file: 3, serial: 7 }).version).toBe(4);
  });

  test('each change of the joined sessions is a new one, the same after a restart', () => {
    writeFile(1);
    const own = open();
    expect([own.keyVersion(), own.secrets().sessions]).toEqual([{ keyVersion: 1 }, []]);
    writeLive(1, '02000001');
    expect(own.keyVersion()).toEqual({ keyVersion: 2 });
    writeLive(2, '02000001', '02000002');
    expect(own.secrets()).toMatchObject({ keyVersion: 3, sessions: [{}, { devAddr: '02000002' }] });
    expect(open().keyVersion()).toEqual({ keyVersion: 3 });
    writeFile(2);
    expect(open().keyVersion()).toEqual({ keyVersion: 4 });
  });
});

describe('with a folder from an old backup, versions', () => {
  test('go on above what the ledger has: below it nothing would go to a provider', () => {
    writeFile(1);
    writeLive(1, '02000001');
    const own = open();
    expect(own.keyVersion()).toEqual({ keyVersion: 2 });
    ledgerHas = 20;
    expect(own.keyVersion()).toEqual({ keyVersion: 21 });
    expect(open().secrets().keyVersion).toBe(21);
    ledgerHas = 21;
    expect(own.keyVersion()).toEqual({ keyVersion: 21 });
    writeLive(2, '02000001', '02000002');
    expect(own.keyVersion()).toEqual({ keyVersion: 22 });
    documents.clear();
    expect(open().keyVersion()).toEqual({ keyVersion: 22 });
  });

  test('are the operator’s still where nothing joins, and follow no number that a provider made up', () => {
    writeFile(1);
    ledgerHas = 20;
    const own = open();
    expect([own.keyVersion(), own.keyVersion()]).toEqual([{ keyVersion: 1 }, { keyVersion: 1 }]);
    ledgerHas = Number.MAX_SAFE_INTEGER;
    writeLive(1, '02000001');
    expect(own.keyVersion()).toEqual({ keyVersion: 2 });
  });
});

describe('what a provider lacks', () => {
  const driverIn = (phase: string, delivered: number | undefined, about: ContractTerms = terms) =>
    ({
      role: 'customer',
      terms: about,
      phase: () => ({ at: phase }),
      keysDelivered: () => delivered,
      record: () => undefined,
    }) as never;
  const lacking = (driver: never) => sealingNow([driver], store, open()).unsealed;

  test('is what its newest package does not name', async () => {
    writeFile(1);
    writeLive(1, '02000001');
    const divided = await divideKeys(customer, terms, {}, open().secrets(), sealKeyOf, systemRandom);
    store.putDocument(contractId, `divided/${divided.keyVersion}`, divided);
    checkPackage(provider, terms, divided.forProvider);
    expect(lacking(driverIn('guarded', 1))).toMatchObject([{ devEui, devAddr: '02000001', waits: true }]);
    expect(lacking(driverIn('guarded', divided.keyVersion))).toEqual([]);
    writeLive(2, '02000001', '02000002');
    expect(lacking(driverIn('guarded', divided.keyVersion))).toMatchObject([{ devAddr: '02000002' }]);
    expect(lacking(driverIn('recovering', divided.keyVersion))).toMatchObject([{ waits: false }]);
    expect(lacking(driverIn('ended', divided.keyVersion))).toEqual([]);
  });

  test('is nothing that who only keeps frames lacks: it has no keys', () => {
    writeFile(1);
    writeLive(1, '02000001');
    const kept = { ...terms, confidentiality: 'relay', disputeS: 60 } as const;
    expect(sealingNow([driverIn('guarded', 1, kept)], store, open())).toMatchObject({
      ...{ protected: [], unsealed: [] },
    });
  });

  test('is, without a range in the terms, every session of a join: and a provider takes no address that no range names', async () => {
    writeFile(1);
    writeLive(1, '02000001');
    expect(lacking(driverIn('guarded', 2, plainTerms))).toMatchObject([{ waits: false }]);
    const { forProvider } = await divideKeys(customer, terms, {}, open().secrets(), sealKeyOf, systemRandom);
    expect(() => checkPackage(provider, plainTerms, forProvider)).toThrow('not in the range');
  });
});
