import type { Identity, Random } from '@antirio/kernel';
import { holdersOf, type ContractTerms } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { noteVersion } from './key-history.ts';
import { forgetOlder } from './kept-versions.ts';
import type { LedgerClient } from './ledger-client.ts';
import { keepSealed } from './own-secrets.ts';
import { sealKeysFor } from './seal-keys.ts';
import { divideKeys, secretsFor, withoutRoots, type DividedKeys, type Secrets } from './sealed-keys.ts';

const DIVIDED = 'divided';

/** The document under which it is kept how a version of our keys was divided for a contract. */
export function dividedName(keyVersion: number): string {
  return `${DIVIDED}/${keyVersion}`;
}

export interface DivisionPorts {
  readonly identity: Identity;
  readonly store: ContractStore;
  readonly ledger: LedgerClient;
  readonly random: Random;
  /** Our keys as they are now. */
  readonly ownSecrets: () => Secrets;
  /** Our own service, as its file describes it. */
  readonly service: () => Readonly<Record<string, unknown>>;
  readonly phaseOf: (contractId: string) => string | undefined;
}

/**
 * Our keys as they are divided among a contract's provider and its holders: once for each version, and kept, for the parts of two
 * divisions would open nothing.
 */
export function createDivisions(ports: DivisionPorts): (terms: ContractTerms) => Promise<DividedKeys> {
  const { identity, store, ledger, random, phaseOf } = ports;
  const divisions = new Map<string, Promise<DividedKeys>>();

  const divide = async (terms: ContractTerms, own: Secrets): Promise<DividedKeys> => {
    const { contractId } = terms;
    const name = dividedName(own.keyVersion);
    const there = store.document(contractId, name);
    if (there !== undefined) return there as DividedKeys;
    const service = ports.service();
    const sealKeyOf = await sealKeysFor(ledger, [terms.provider, ...holdersOf(terms)]);
    const since = noteVersion(store, contractId, secretsFor(terms, own));
    const divided = await divideKeys(identity, terms, service, own, sealKeyOf, random, since);
    keepSealed(store, identity, contractId, terms.rootKeys === true ? own : withoutRoots(own));
    store.putDocument(contractId, name, divided);
    // nothing that the provider opened waits to be stated
    if (phaseOf(contractId) === 'guarded')
      forgetOlder(store, contractId, [DIVIDED, 'sealedSecrets'], own.keyVersion);
    return divided;
  };
  return (terms) => {
    const own = ports.ownSecrets();
    const key = `${terms.contractId}/${own.keyVersion}`;
    const under = divisions.get(key) ?? divide(terms, own).finally(() => divisions.delete(key));
    divisions.set(key, under);
    return under;
  };
}
