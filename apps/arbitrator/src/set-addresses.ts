import type { EdgeId } from '@antirio/kernel';
import {
  addressesOf,
  joinedAddresses,
  type ContractTerms,
  type ProtectedDevice,
} from '@antirio/service-contract';
import type { ContractJoins } from './contract-joins.ts';
import type { ContractStore } from './contract-store.ts';
import { toldAddresses } from './kept-addresses.ts';
import { keptPackage } from './kept-packages.ts';
import type { OwnKeys } from './live-sessions.ts';

/** The addresses of contracts' sets: those of the terms, and those that joins gave since, as far as this edge knows. */
export interface SetAddresses {
  readonly of: (terms: ContractTerms) => readonly ProtectedDevice[];
  /** Those alone that joins gave, within the contract's range. */
  readonly joined: (terms: ContractTerms) => readonly ProtectedDevice[];
  /** Changes whenever they may have. */
  readonly joinsSeen: (terms: ContractTerms) => number;
  /** A customer's, as it has just told us of them: with this version of its keys, or by themselves. */
  readonly heard: (contractId: string, addresses: readonly ProtectedDevice[], keyVersion?: number) => void;
}

export interface SetAddressesPorts {
  readonly self: EdgeId;
  readonly store: Pick<ContractStore, 'document'>;
  readonly ownKeys: Pick<OwnKeys, 'live'>;
  readonly joins: () => Pick<ContractJoins, 'withAnswered' | 'ofRooms'>;
}

/** Those that a customer has given us, with its keys or, where we have none, by themselves. */
function addressesKept(store: SetAddressesPorts['store'], contractId: string): readonly ProtectedDevice[] {
  return toldAddresses(store, contractId) ?? keptPackage(store, contractId)?.addresses ?? [];
}

export function createSetAddresses({ self, store, ownKeys, joins }: SetAddressesPorts): SetAddresses {
  const given = new Map<string, readonly ProtectedDevice[]>();
  /** Of a customer’s last word: the version of its keys that it came with, or a number of our own. */
  const words = new Map<string, number>();

  const joined = (terms: ContractTerms): readonly ProtectedDevice[] => {
    if (terms.devAddrRange === undefined) return [];
    if (terms.customer === self) return joinedAddresses(terms, ownKeys.live().sessions);
    const { contractId } = terms;
    const known = given.get(contractId) ?? addressesKept(store, contractId);
    given.set(contractId, known);
    return joins().withAnswered(contractId, known);
  };
  return {
    joined,
    of: (terms) => addressesOf(terms, joined(terms)),
    joinsSeen({ contractId, customer, devAddrRange }) {
      if (devAddrRange === undefined) return 0;
      if (customer === self) return ownKeys.live().serial;
      return (words.get(contractId) ?? 0) + joins().ofRooms.answered(contractId);
    },
    heard(contractId, addresses, keyVersion = (words.get(contractId) ?? 0) + 1) {
      given.set(contractId, addresses);
      words.set(contractId, keyVersion);
    },
  };
}
