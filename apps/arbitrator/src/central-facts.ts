import { z } from 'zod';
import { parseInput } from '@antirio/host';
import { AntirioError, type Clock, type EdgeId } from '@antirio/kernel';
import type { ContractRecord as Recorded } from '@antirio/ledger-machine';
import {
  DEFAULT_LEASE_MS,
  contractTerms,
  edgeId,
  hasServedOut,
  partiesIn,
  rekeyCount,
  type ContractTerms,
  type EpochRecord,
  type LeaseFacts,
} from '@antirio/service-contract';
import type { LedgerClient } from './ledger-client.ts';

const setRecord = z.looseObject({
  epoch: z.int(),
  holder: edgeId,
  customer: edgeId,
  contracts: z.array(z.string()),
  slots: z.record(z.string(), z.int()),
  takenAt: z.number(),
  released: z.looseObject({ epoch: z.int() }).optional(),
  lastRelease: z.object({ epoch: z.int(), bootId: z.string() }).optional(),
});
export type SetRecord = z.output<typeof setRecord>;

const contractRecord = z.looseObject({
  setId: z.string(),
  life: z.looseObject({ state: z.string() }),
  openings: z.int(),
  readyAt: z.int().optional(),
  activation: z.looseObject({ epoch: z.int(), at: z.number() }).optional(),
  dispute: z.array(z.string()).optional(),
  disputedAt: z.number().optional(),
  rekeying: z.object({ until: z.number(), counted: rekeyCount.strip().optional() }).optional(),
});
/** The ledger's own record, of which what is looked at here is checked. */
export type ContractRecord = z.output<typeof contractRecord> &
  Pick<Recorded, 'life' | 'rent' | 'escrow' | 'settlement'>;

const termsRecord = z.looseObject({ terms: contractTerms });
const TERMS_KEPT = 1000;

export function recordOf(set: SetRecord): EpochRecord {
  const { epoch, holder, released, lastRelease } = set;
  return {
    epoch,
    holder,
    released: released?.epoch === epoch,
    ...(lastRelease === undefined ? {} : { lastRelease }),
  };
}

/** What the ledger says, in the words of the central arbitrator's machine. */
export interface CentralFacts {
  /** @throws AntirioError notFound | forbidden unless the peer has one of these roles in the contract. */
  termsFor(contractId: string, peer: string, ...roles: ('customer' | 'provider')[]): Promise<ContractTerms>;
  termsOf(contractId: string): Promise<ContractTerms | undefined>;
  contractOf(contractId: string): Promise<ContractRecord>;
  /** @throws AntirioError notFound */
  setOf(setId: string): Promise<SetRecord>;
  leaseFacts(setId: string, from: EdgeId): Promise<LeaseFacts>;
  /** Whether a provider that has the set's epoch has had it for `maxActiveS`. */
  hasServedOut(set: SetRecord): Promise<boolean>;
  /** The customer, and the providers of the set's live contracts: who could be given its epoch. */
  partiesOf(set: SetRecord): Promise<EdgeId[]>;
}

export function centralFacts(ledger: LedgerClient, clock: Clock): CentralFacts {
  const terms = new Map<string, ContractTerms>();

  const termsOf = async (contractId: string): Promise<ContractTerms | undefined> => {
    const known = terms.get(contractId);
    if (known !== undefined) return known;
    const record = await ledger.read(`terms/${contractId}`);
    if (record === undefined) return undefined;
    const found = parseInput(termsRecord, record).terms;
    if (terms.size >= TERMS_KEPT) terms.clear();
    terms.set(contractId, found);
    return found;
  };
  const setOf = async (setId: string): Promise<SetRecord> => {
    const record = await ledger.read(`set/${setId}`);
    if (record === undefined) throw new AntirioError('notFound', `no set ${setId} on the ledger`);
    return parseInput(setRecord, record);
  };
  const allTerms = async ({ contracts }: Pick<SetRecord, 'contracts'>): Promise<ContractTerms[]> =>
    (await Promise.all(contracts.map(termsOf))).flatMap((one) => one ?? []);
  return {
    termsOf,
    setOf,
    hasServedOut: async (set) => hasServedOut(set, await allTerms(set), clock.now()),
    async termsFor(contractId, peer, ...roles) {
      const found = await termsOf(contractId);
      if (found === undefined) throw new AntirioError('notFound', `no contract ${contractId} on the ledger`);
      if (!roles.some((role) => found[role] === peer))
        throw new AntirioError('forbidden', `only the ${roles.join(' or ')} may ask this`);
      return found;
    },
    async contractOf(contractId) {
      return parseInput(contractRecord, await ledger.read(`contract/${contractId}`)) as ContractRecord;
    },
    async partiesOf(set) {
      const all = await allTerms(set);
      return [...new Set([set.customer, ...partiesIn(all)])];
    },
    async leaseFacts(setId, from) {
      // The terms first: what the set's record says must be as fresh as can be.
      const all = await allTerms(await setOf(setId));
      const set = await setOf(setId);
      const leaseMs = all.length === 0 ? DEFAULT_LEASE_MS : Math.max(...all.map((one) => one.leaseMs));
      const servedOut = hasServedOut(set, all, clock.now());
      return { record: recordOf(set), leaseMs, slot: set.slots[from], servedOut };
    },
  };
}
