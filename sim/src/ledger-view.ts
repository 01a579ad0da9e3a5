import type { EdgeId } from '@antirio/kernel';
import { keys, type ContractRecord as LedgerContract } from '@antirio/ledger-machine';
import {
  grantorChallenge,
  hasServedOut,
  isActsWordOf,
  leaseRuns,
  quietMs,
  type ActsWord,
  type CentralState,
  type ContractRecord,
  type ContractTerms,
  type EpochRecord,
  type FullDrill,
  type HandbackStatement,
} from '@antirio/service-contract';
import type { CentralDisk, CentralPieces } from './central-node.ts';
import type { SimLedger } from './ledger.ts';

export interface SetRecord {
  readonly epoch: number;
  readonly customer: EdgeId;
  readonly holder: EdgeId;
  readonly takenAt: number;
  readonly released?: { readonly epoch: number };
  readonly lastRelease?: { readonly epoch: number; readonly bootId: string };
  readonly contracts: readonly string[];
  readonly slots: Readonly<Record<string, number>>;
}

const padded = (n: number): string => String(n).padStart(12, '0');

/** The contract and its set in the ledger, as the arbitrators' machines see them. */
export function ledgerView(ledger: SimLedger, terms: ContractTerms) {
  const { contractId, set } = terms;
  const setRecord = (): SetRecord => ledger.read(`set/${set.setId}`) as SetRecord;
  const contract = (): LedgerContract => ledger.read(`contract/${contractId}`) as LedgerContract;
  const epochRecord = (): EpochRecord => {
    const { epoch, holder, released, lastRelease } = setRecord();
    return { epoch, holder, released: released?.epoch === epoch, lastRelease };
  };
  /** Whether a provider has had the epoch for as long as its contracts, all as by `termsOf`, let it act. */
  const servedOut = (termsOf: (contractId: string) => ContractTerms, now: number): boolean => {
    const record = setRecord();
    return hasServedOut(record, record.contracts.map(termsOf), now);
  };
  /** What the provider has stated of an epoch. */
  const handbackOf = (activation: number): ContractRecord['handback'] => {
    const key = `statement/${contractId}/${padded(activation)}/provider`;
    const stated = ledger.read(key) as { statement: HandbackStatement } | undefined;
    if (stated === undefined) return undefined;
    const { epoch, from, through } = stated.statement;
    return { epoch, from, through };
  };
  /** The newest one. */
  const fullDrill = (): FullDrill | undefined => {
    const { fullDrills } = contract();
    if (fullDrills === undefined) return undefined;
    return ledger.read(keys.fullDrill(contractId, fullDrills.started)) as FullDrill;
  };
  return { setRecord, servedOut, contract, epochRecord, handbackOf, fullDrill, terms };
}

/** What the grantor promised, by its own memory. */
export function promisedBy(
  { grantor }: CentralState,
  { set, leaseMs }: ContractTerms,
  record: EpochRecord,
  now: number,
) {
  return {
    leaseRuns: leaseRuns(grantor, set.setId, record, leaseMs, now),
    quietMs: quietMs(grantor, set.setId, now),
    challenge: grantorChallenge(grantor, now),
  };
}

/** Whose word it is, and whether it is about the epoch that the ledger names as the customer's. */
export function says(
  word: ActsWord,
  { customer, set }: ContractTerms,
  { epoch, holder }: EpochRecord,
): boolean {
  return isActsWordOf(word, customer, set.setId) && word.body.epoch === epoch && holder === customer;
}

/** Whether the ledger is the one that we know: of another one nothing is believed, and nothing is given. */
export function believesIn(ledger: SimLedger, disk: CentralDisk, { sight }: CentralPieces): boolean {
  const { seen } = disk;
  const found = sight(seen, ledger.head(), seen === undefined ? undefined : ledger.hashAt(seen.height));
  if (found.ok) disk.seen = found.highest;
  return found.ok;
}
