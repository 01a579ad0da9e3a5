import { tmpdir } from 'node:os';
import { expect, test } from '@jest/globals';
import type { ProviderPhase, Standing } from '@antirio/service-contract';
import { checkAddresses, checkRoom, createAdmission, spareOf } from './admission.ts';
import { terms } from './escrow.fixture.ts';

const MiB = 1 << 20;
const ring = (n: number) => ({ ringBudgetBytes: n * MiB, confidentiality: 'process' as const });

test('a provider takes as many customers as their rings have room for on the disk that is free', () => {
  const spare = { disk: 200 * MiB, memory: 1024 * MiB };
  expect(() => checkRoom(ring(60), [ring(60)], spare)).not.toThrow();
  expect(() => checkRoom(ring(60), [ring(60), ring(60)], spare)).toThrow(
    'no room for a ring and volumes of 62914560 bytes',
  );
  expect(() => checkRoom(ring(137), [], spare)).toThrow('no room');
});

test('and as there is memory for their services', () => {
  expect(() => checkRoom(ring(1), [], { disk: 1024 * MiB, memory: 32 * MiB })).toThrow(
    'no memory for another service',
  );
});

test('who only keeps frames needs room for its ring, and no memory for a service', () => {
  const kept = { ...ring(60), confidentiality: 'relay' as const, disputeS: 60 };
  expect(() => checkRoom(kept, [ring(60)], { disk: 200 * MiB, memory: 0 })).not.toThrow();
  expect(() => checkRoom(kept, [ring(60), kept], { disk: 200 * MiB, memory: 0 })).toThrow('no room');
});

test('what is free is asked of the machine', () => {
  const { disk, memory } = spareOf(tmpdir());
  expect(disk).toBeGreaterThan(0);
  expect(memory).toBeGreaterThan(0);
});

test('two sets with one DevAddr are not acted for by one provider; a further contract of the same set is none more', () => {
  const setOf = (setId: string, devAddr: string) => ({
    set: { setId, service: 's', devices: [{ devEui: '0000000000000001', devAddr }] },
  });
  const others = [setOf('one', '01000001')];
  expect(() => checkAddresses(setOf('two', '01000001'), others)).toThrow(
    'a device of another set here has the DevAddr 01000001',
  );
  expect(() => checkAddresses(setOf('two', '01000002'), others)).not.toThrow();
  expect(() => checkAddresses(setOf('one', '01000001'), others)).not.toThrow();
});

test('contracts that are over count neither among those at once nor for the addresses and the room that are taken', async () => {
  let phase: ProviderPhase = { at: 'ready' };
  const vast = { ...terms, ringBudgetBytes: 2 ** 60 };
  const one: Standing = { terms: vast, role: 'provider', phase: () => phase };
  const admission = createAdmission({
    options: { dataDir: tmpdir(), maxContracts: 1 },
    rooms: { keptBytes: () => Promise.resolve(2 ** 30) },
    drivers: new Map([[terms.contractId, one]]),
  });
  const another = { ...terms, set: { ...terms.set, setId: 'another' }, ringBudgetBytes: 1 };
  expect(admission.live()).toBe(1);
  expect(admission.admit).toThrow('at most 1 contracts at once');
  await expect(admission.admitCustomer(another)).rejects.toMatchObject({ code: 'conflict' });
  const further = { ...terms, ringBudgetBytes: 1, confidentiality: 'relay' as const, disputeS: 60 };
  await expect(admission.admitCustomer(further)).rejects.toMatchObject({ code: 'storageFull' });
  phase = { at: 'ended' };
  expect(admission.live()).toBe(0);
  expect(admission.admit).not.toThrow();
  await admission.admitCustomer({ ...another, confidentiality: 'relay', disputeS: 60 });
});
