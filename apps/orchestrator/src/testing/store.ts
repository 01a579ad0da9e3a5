import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProviderContract } from '../flow/records.ts';
import type { ServiceRecord } from '../service/service-record.ts';
import { openStore, type OrchestratorStore } from '../store.ts';

/** A real store in a folder of its own. */
export function openTestStore(): OrchestratorStore {
  const dir = mkdtempSync(join(tmpdir(), 'orch-store-'));
  const store = openStore(dir);
  return {
    ...store,
    close() {
      store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A clock that a test sets. */
export function testClock(): { at: number; now(): number; monotonic(): number } {
  const clock = { at: 1000, now: () => clock.at, monotonic: () => clock.at };
  return clock;
}

export const fetchedImage = (contractId: string, more: Partial<ProviderContract> = {}): ProviderContract => ({
  contractId,
  edgeId: 'customer',
  imageName: 'lora',
  imageHash: contractId,
  config: 'config',
  status: 'LOADED',
  archive: `/images/${contractId}.tar`,
  attempts: 0,
  createdAt: 1,
  updatedAt: 1,
  ...more,
});

export const servedVersion = (serviceId: string, more: Partial<ServiceRecord> = {}): ServiceRecord => ({
  serviceId,
  contractId: 'C',
  role: 'current',
  desired: 'active',
  standby: 'hot',
  imageCid: serviceId,
  archive: `/images/${serviceId}.tar`,
  service: { serviceName: 'device-lora', configuration: { of: serviceId } },
  epoch: 1,
  updatedAt: 1,
  ...more,
});
