import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLog, systemClock, systemRandom, type HttpPeer } from '@antirio/host';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { createContracts, type Contracts } from './contracts.ts';
import { contractId, provider, terms } from './escrow.fixture.ts';
import type { ArbitratorOptions, ArbitratorPorts } from './options.ts';
import type { KeyPackage } from './sealed-keys.ts';

let folder = '';
let store: ContractStore;
let contracts: Contracts;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'versions-'));
  store = openContractStore(join(folder, 'contracts.db'));
  const rooms = ['edge2edge', 'gatewayBridge', 'orchestrator', 'migration', 'configurator', 'coreMetadata'];
  const peers = Object.fromEntries(rooms.map((room) => [room, {} as HttpPeer]));
  const ports = { identity: provider, clock: systemClock, random: systemRandom, log: silentLog };
  contracts = createContracts(
    { dataDir: folder } as ArbitratorOptions,
    { ...ports, peers } as unknown as ArbitratorPorts,
    store,
  );
});
afterEach(async () => {
  await contracts.stop();
  store.close();
  rmSync(folder, { recursive: true });
});

const given = (keyVersion: number) => ({ contractId, keyVersion }) as KeyPackage;

test('a customer that counts its keys downwards does not fill its provider’s disk', async () => {
  await contracts.takeKeys(terms, given(1000));
  for (let version = 999; version >= 936; version--) await contracts.takeKeys(terms, given(version));
  await expect(contracts.takeKeys(terms, given(935))).rejects.toMatchObject({ code: 'conflict' });
  expect(store.versions(contractId, 'keys')).toHaveLength(65);
});

test('nor one that counts upwards while nothing may be forgotten; what is there may be given again', async () => {
  for (let version = 1; version <= 128; version++) await contracts.takeKeys(terms, given(version));
  await expect(contracts.takeKeys(terms, given(129))).rejects.toMatchObject({ code: 'busy' });
  await contracts.takeKeys(terms, given(128));
});

test('the same goes for the keys of drills, of which the newest are kept', () => {
  for (let version = 1; version <= 200; version++) contracts.drills.keep(given(version), contractId);
  expect(store.versions(contractId, 'drillKeys').at(0)).toBe(136);
  expect(() => {
    contracts.drills.keep(given(135), contractId);
  }).toThrow('far older');
});
