import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLog, systemClock, systemRandom, type HttpPeer } from '@antirio/host';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { createContracts, type Contracts } from './contracts.ts';
import { contractId, customer, provider, terms } from './escrow.fixture.ts';
import type { ArbitratorOptions, ArbitratorPorts } from './options.ts';
import type { KeyPackage } from './sealed-keys.ts';

let folder = '';
let store: ContractStore;
let contracts: Contracts;
/** What the bridge was told of its rings. */
let rings: unknown[];

const bridge: HttpPeer = {
  call: async ({ method, json }) => {
    if (method === 'PUT') rings.push(json);
    const answer = { next: 1, acknowledged: 0 };
    return { status: 200, headers: {}, body: new Uint8Array(1), json: () => answer };
  },
  close: () => undefined,
};
function start(): Contracts {
  const rooms = ['edge2edge', 'orchestrator', 'migration', 'configurator', 'coreMetadata'];
  const peers = Object.fromEntries(rooms.map((room) => [room, {} as HttpPeer]));
  const ports = { identity: provider, clock: systemClock, random: systemRandom, log: silentLog };
  return createContracts(
    { dataDir: folder } as ArbitratorOptions,
    { ...ports, peers: { ...peers, gatewayBridge: bridge } } as unknown as ArbitratorPorts,
    store,
  );
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'versions-'));
  store = openContractStore(join(folder, 'contracts.db'));
  rings = [];
  contracts = start();
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

test('whose contract is over has no ring made anew by naming addresses', async () => {
  const range = { devAddrRange: { first: '02000000', last: '0200ffff' } };
  const kept = { ...terms, ...range, confidentiality: 'relay', disputeS: 60 } as const;
  store.putDocument(contractId, 'ending', { waitedMs: 0, letGo: true, retired: true });
  const joined = { devEui: terms.set.devices[0]?.devEui ?? '', devAddr: '02000001' };
  await expect(contracts.takeAddresses(kept, [joined])).rejects.toMatchObject({ code: 'gone' });
  const keysOf = { ...given(1), addresses: [joined] };
  await expect(contracts.takeKeys({ ...terms, ...range }, keysOf)).rejects.toMatchObject({ code: 'gone' });
  expect(rings).toEqual([]);
  expect(contracts.addresses(kept)).toEqual(terms.set.devices);
});

test('who only keeps frames listens for the addresses that its customer told it, also after a restart', async () => {
  const range = { devAddrRange: { first: '02000000', last: '0200ffff' } };
  const kept = { ...terms, ...range, confidentiality: 'relay', disputeS: 60 } as const;
  const [named] = terms.set.devices;
  const joined = { devEui: named?.devEui ?? '', devAddr: '02000001' };
  await contracts.takeAddresses(kept, [joined]);
  expect(rings.at(-1)).toMatchObject({ devAddrs: [named?.devAddr, '02000001'], owner: customer.edgeId });
  expect(contracts.addresses(kept)).toEqual([named, joined]);
  await contracts.stop();
  contracts = start();
  expect(contracts.addresses(kept)).toEqual([named, joined]);
  // the device has joined once more, within the terms' own addresses
  await contracts.takeAddresses(kept, []);
  expect(rings.at(-1)).toMatchObject({ devAddrs: [named?.devAddr] });
});
