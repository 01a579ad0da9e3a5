import { AntirioError } from '@antirio/kernel';
import type { ContractTerms, ProtectedDevice } from '@antirio/service-contract';
import type { ContractJoins } from './contract-joins.ts';
import type { ContractStore } from './contract-store.ts';
import { keepAddresses } from './kept-addresses.ts';
import { keepPackage, keptPackage } from './kept-packages.ts';
import { checkVersion, forgetOlder } from './kept-versions.ts';
import type { PartyRooms } from './party-rooms.ts';
import { endingOf } from './retirement.ts';
import type { KeyPackage } from './sealed-keys.ts';
import type { SetAddresses } from './set-addresses.ts';

/** What a provider takes of its customer: our ring first, which listens for the devices, and then the disk. */
export interface TakenKeys {
  /**
   * Our ring takes the addresses of these keys, and then they are kept, for openings under way also those before: all durably.
   * @throws AntirioError conflict, busy, gone
   */
  takeKeys(terms: ContractTerms, given: KeyPackage): Promise<void>;
  /** The same of addresses alone, where there are no keys. */
  takeAddresses(terms: ContractTerms, addresses: readonly ProtectedDevice[]): Promise<void>;
}

export interface TakenKeysPorts {
  readonly store: ContractStore;
  readonly rooms: Pick<PartyRooms, 'ring' | 'cover'>;
  readonly joins: Pick<ContractJoins, 'withAnswered'>;
  readonly addresses: Pick<SetAddresses, 'joined' | 'heard'>;
  readonly phaseOf: (contractId: string) => string | undefined;
}

/** The terms, whose ring would be made anew otherwise, for nothing and for ever. @throws AntirioError gone */
function notOver(store: ContractStore, terms: ContractTerms): ContractTerms {
  if (!endingOf(store, terms.contractId).retired) return terms;
  throw new AntirioError('gone', 'the contract is over: its frames are kept no more');
}

export function createTakenKeys({ store, rooms, joins, addresses, phaseOf }: TakenKeysPorts): TakenKeys {
  const coverAlso = async (terms: ContractTerms, given: readonly ProtectedDevice[]): Promise<void> => {
    if (given.length === 0 && addresses.joined(terms).length === 0) return;
    await rooms.ring(notOver(store, terms));
    await rooms.cover(terms, joins.withAnswered(terms.contractId, given));
  };
  /** Nothing is open here. */
  const isClosed = (contractId: string): boolean => phaseOf(contractId) === 'ready';
  return {
    async takeKeys(terms, given) {
      const { contractId, keyVersion, addresses: joined = [] } = given;
      checkVersion(store, { contractId, kind: 'keys', forgets: isClosed(contractId) }, keyVersion);
      const isNewest = (keptPackage(store, contractId)?.keyVersion ?? 0) <= keyVersion;
      if (isNewest) await coverAlso(terms, joined);
      keepPackage(store, given);
      if (isClosed(contractId)) forgetOlder(store, contractId, ['keys', 'genuine'], keyVersion);
      if (isNewest) addresses.heard(contractId, joined, keyVersion);
    },
    async takeAddresses(terms, joined) {
      await coverAlso(terms, joined);
      keepAddresses(store, terms.contractId, joined);
      addresses.heard(terms.contractId, joined);
    },
  };
}
