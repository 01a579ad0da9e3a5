import { fromUtf8, openSealed, sealTo, utf8, type Identity, type SealedBox } from '@antirio/kernel';
import { keys } from '@antirio/ledger-machine';
import type { ContractStore } from './contract-store.ts';
import type { LedgerClient } from './ledger-client.ts';
import { secrets, type Secrets } from './sealed-keys.ts';

type Documents = Pick<ContractStore, 'document' | 'putDocument'>;
const nameOf = (keyVersion: number): string => `sealedSecrets/${keyVersion}`;

/** Keeps what a version was when it was sealed for the provider; readable with this edge's own key only. */
export function keepSealed(store: Documents, identity: Identity, contractId: string, own: Secrets): void {
  const { forwarding: _cloud, volumes: _root, ...kept } = own;
  store.putDocument(
    contractId,
    nameOf(kept.keyVersion),
    sealTo(identity.sealKey, utf8(JSON.stringify(kept))),
  );
}

export interface OpenedSecretsPorts {
  readonly store: Documents;
  readonly identity: Identity;
  readonly ledger: Pick<LedgerClient, 'fetch'>;
  /** What is in the files now. */
  readonly ownSecrets: () => Secrets;
}

/**
 * The customer's keys as the provider opened them last: by then the files may have others, and a statement under those would count
 * nothing of what the provider counts. The files' own where nothing was opened, or nothing was kept (sealed by an older Antirio).
 */
export async function openedSecrets(
  { store, identity, ledger, ownSecrets }: OpenedSecretsPorts,
  contractId: string,
): Promise<Secrets> {
  const openings = (await ledger.fetch(keys.contract(contractId)))?.openings ?? 0;
  const opening = openings === 0 ? undefined : await ledger.fetch(keys.opening(contractId, openings));
  const box = opening === undefined ? undefined : store.document(contractId, nameOf(opening.keyVersion));
  if (box === undefined) return ownSecrets();
  return secrets.parse(JSON.parse(fromUtf8(openSealed(identity, box as SealedBox))));
}
