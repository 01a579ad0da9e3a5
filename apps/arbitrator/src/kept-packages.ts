import type { ContractStore } from './contract-store.ts';
import type { KeptPackage, KeyPackage } from './sealed-keys.ts';

/** The packages of keys that a customer has given us: each version under its own name, and the newest one as `keys` as well. */

const NEWEST = 'keys';

function nameOf(keyVersion: number): string {
  return `keys/${keyVersion}`;
}

/** The newest package, or that of one version; what was kept before versions had documents is there as the newest only. */
export function keptPackage(
  store: Pick<ContractStore, 'document'>,
  contractId: string,
  keyVersion?: number,
): KeptPackage | undefined {
  const newest = store.document(contractId, NEWEST) as KeptPackage | undefined;
  if (keyVersion === undefined || newest?.keyVersion === keyVersion) return newest;
  return store.document(contractId, nameOf(keyVersion)) as KeptPackage | undefined;
}

export function keepPackage(store: Pick<ContractStore, 'document' | 'putDocument'>, given: KeyPackage): void {
  const { contractId, keyVersion } = given;
  const newest = keptPackage(store, contractId);
  store.putDocument(contractId, nameOf(keyVersion), given);
  if ((newest?.keyVersion ?? 0) <= keyVersion) store.putDocument(contractId, NEWEST, given);
}
