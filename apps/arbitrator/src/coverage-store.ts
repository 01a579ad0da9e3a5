import { baselineOf, type ContractTerms, type SignedMark } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';

/** Where the newest mark of a device is kept that both parties have signed. */
export function coverageName(devEui: string): string {
  return `coverage/${devEui}`;
}

export function keptMark(store: ContractStore, contractId: string, devEui: string): SignedMark | undefined {
  return store.document(contractId, coverageName(devEui)) as SignedMark | undefined;
}

export function keptMarks(store: ContractStore, terms: ContractTerms): SignedMark[] {
  return someMarks(store, terms, terms.set.devices.length);
}

/** The same of so many devices, the first ones of the set. */
export function someMarks(
  store: ContractStore,
  { contractId, set }: ContractTerms,
  most: number,
): SignedMark[] {
  return set.devices.slice(0, most).flatMap(({ devEui }) => keptMark(store, contractId, devEui) ?? []);
}

/** What is known of the provider's hearing, for operators: by device, and in all. */
export function coverageView(store: ContractStore, terms: ContractTerms) {
  const devices = keptMarks(store, terms).map(({ body }) => {
    const { devEui, devAddr, last, settings, at, keyVersion } = body;
    return { devEui, devAddr, lastFcnt: last, at, keyVersion, settings, ...baselineOf(body) };
  });
  const sum = (of: (one: (typeof devices)[number]) => number): number =>
    devices.reduce((total, one) => total + of(one), 0);
  return {
    devices,
    judged: devices.filter(({ atLeast }) => atLeast !== undefined).length,
    ofDevices: terms.set.devices.length,
    uplinks: sum(({ uplinks }) => uplinks),
    heard: sum(({ heard }) => heard),
  };
}
