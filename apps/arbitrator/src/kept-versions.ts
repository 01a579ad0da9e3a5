import { AntirioError } from '@antirio/kernel';
import type { ContractStore } from './contract-store.ts';

/** Each join of a device makes a version. */
const VERSIONS_KEPT = 64;
/** Of one kind while nothing of it may be forgotten. */
const MOST_VERSIONS = 2 * VERSIONS_KEPT;

/**
 * Whether what a customer gives under a version of its keys may be kept. Versions rise: one far below the newest is of no use any
 * more, and without this whoever counts downwards would fill the disk. `forgets`: older ones go when newer ones come.
 * @throws AntirioError conflict, busy
 */
export function checkVersion(
  store: Pick<ContractStore, 'versions'>,
  { contractId, kind, forgets }: { contractId: string; kind: string; forgets: boolean },
  coming: number,
): void {
  const kept = store.versions(contractId, kind);
  const newest = kept.at(-1) ?? 0;
  if (coming < newest - VERSIONS_KEPT)
    throw new AntirioError('conflict', `version ${coming} is far older than ${newest}, which we have`);
  if (!forgets && !kept.includes(coming) && kept.length >= MOST_VERSIONS)
    throw new AntirioError('busy', `at most ${MOST_VERSIONS} versions are kept of a contract's keys`);
}

/** Only where nothing is open that has not been stated: what was opened is of a version that the provider had last. */
export function forgetOlder(
  store: Pick<ContractStore, 'forgetVersions'>,
  contractId: string,
  kinds: readonly string[],
  version: number,
): void {
  for (const kind of kinds) store.forgetVersions(contractId, kind, version - VERSIONS_KEPT);
}
