import { statSync } from 'node:fs';
import type { Log } from '@antirio/host';
import {
  describeError,
  fromUtf8,
  openSealed,
  sealTo,
  utf8,
  type Identity,
  type SealedBox,
} from '@antirio/kernel';
import { keys } from '@antirio/ledger-machine';
import type { ContractStore } from './contract-store.ts';
import type { LedgerClient } from './ledger-client.ts';
import { readJsonFile, secrets, type Secrets } from './sealed-keys.ts';

/** The version of the keys in the customer's own file, read again where the file has changed. */
export function keyVersionOf(
  file: () => string | undefined,
  log: Log,
): () => { readonly keyVersion?: number } {
  let stamp = '';
  let known: { readonly keyVersion?: number } = {};
  return () => {
    const path = file();
    if (path === undefined) return {};
    try {
      const { mtimeMs, size, ino } = statSync(path);
      const now = `${mtimeMs}/${size}/${ino}`;
      if (now !== stamp) {
        known = { keyVersion: readJsonFile(path, secrets).keyVersion };
        stamp = now;
      }
    } catch (error) {
      // Perhaps it is being written; until it can be read, it goes by what was known.
      log.warn({ error: describeError(error) }, 'the keys of the protected service cannot be read');
    }
    return known;
  };
}

type Documents = Pick<ContractStore, 'document' | 'putDocument'>;
const nameOf = (keyVersion: number): string => `sealedSecrets/${keyVersion}`;

/** Keeps what a version was when it was sealed for the provider; readable with this edge's own key only. */
export function keepSealed(store: Documents, identity: Identity, contractId: string, own: Secrets): void {
  const { forwarding: _cloud, ...kept } = own;
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
