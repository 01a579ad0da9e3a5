import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemClock, systemRandom, waitFor, type HttpPeer, type Log } from '@antirio/host';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { createContracts, type Contracts } from './contracts.ts';
import { contractId, customer, terms } from './escrow.fixture.ts';
import type { ArbitratorOptions } from './options.ts';

const later = '7a1b2b52-4a3d-4c86-9f0e-a7d1c45be02f';

let folder = '';
let store: ContractStore;
let contracts: Contracts;
let warned: string[];
/** How often the disk still refuses to forget something. */
let full: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'contracts-'));
  store = openContractStore(join(folder, 'contracts.db'));
  [warned, full] = [[], 0];
  const forgetDocument: ContractStore['forgetDocument'] = (...about) => {
    if (full-- > 0) throw new Error('database or disk is full');
    store.forgetDocument(...about);
  };
  const quiet = (): undefined => undefined;
  const warn = ({ error }: { error: string }): void => void warned.push(error);
  const log = { debug: quiet, info: quiet, error: quiet, warn, child: () => log } as unknown as Log;
  const away = { call: () => Promise.reject(new Error('away')), close: quiet } as HttpPeer;
  const rooms = ['edge2edge', 'orchestrator', 'migration', 'configurator', 'coreMetadata', 'gatewayBridge'];
  const peers = Object.fromEntries(rooms.map((room) => [room, away]));
  const bus = { publish: () => Promise.resolve(), subscribe: () => Promise.resolve({ close: quiet }) };
  contracts = createContracts(
    { dataDir: folder, tickIntervalMs: 60_000, observeIntervalMs: 10 } as ArbitratorOptions,
    { ...{ identity: customer, clock: systemClock, random: systemRandom }, log, bus, peers } as never,
    { ...store, forgetDocument },
  );
});
afterEach(async () => {
  await contracts.stop();
  store.close();
  rmSync(folder, { recursive: true });
});

/** Two contracts of the set are over, of which the first one has nothing left to do. */
function driveEnded(): void {
  for (const id of [contractId, later]) {
    if (store.document(id, 'ending') === undefined) store.putDocument(id, 'ending', { letGo: true });
    contracts.drive({
      terms: { ...terms, contractId: id },
      ...{ role: 'customer', phase: { at: 'ended' }, signatures: {} },
    });
  }
}
const firstIsLeft = () => waitFor(systemClock, 60_000, () => !contracts.drivers.has(contractId) || undefined);

test('a contract with nothing left to do is left for good; the one that has taken its place goes on until the edge stops', async () => {
  driveEnded();
  await firstIsLeft();
  expect([...contracts.drivers.keys()]).toEqual([later]);
  driveEnded();
  expect([...contracts.drivers.keys()]).toEqual([later]);
  await contracts.stop();
  driveEnded();
  expect([...contracts.drivers.keys()]).toEqual([]);
  expect(warned).toEqual([]);
});

test('it is left as soon as the disk takes that: its machine would have gone on unseen', async () => {
  store.putDocument(contractId, 'mac/00000000000000aa', {});
  full = 2;
  driveEnded();
  await firstIsLeft();
  expect(store.documents(contractId, 'mac').size).toBe(0);
  expect(warned).toEqual(['database or disk is full']);
});

test('what a room cannot forget of it is said, and the edge lives', async () => {
  store.putDocument(contractId, 'macAfter/00000000000000aa', {});
  full = 1;
  driveEnded();
  await firstIsLeft();
  await contracts.stop();
  expect(warned).toEqual(['database or disk is full']);
});
