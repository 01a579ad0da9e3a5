import { fullDrillCounts, keys } from '@antirio/ledger-machine';
import { isEnded, type ContractTerms, type FullDrillLedger } from '@antirio/service-contract';
import type { LedgerClient } from './ledger-client.ts';

/** What the ledger says of a contract's full drills; undefined where it does not know the contract. */
export async function readFullDrills(
  ledger: Pick<LedgerClient, 'fetch' | 'time'>,
  { contractId, set }: Pick<ContractTerms, 'contractId' | 'set'>,
): Promise<FullDrillLedger | undefined> {
  const [contract, known, now] = await Promise.all([
    ledger.fetch(keys.contract(contractId)),
    ledger.fetch(keys.set(set.setId)),
    ledger.time(),
  ]);
  if (contract === undefined || known === undefined) return undefined;
  const { life, openings, validatedAt } = contract;
  const counts = fullDrillCounts(contract, now);
  const newest =
    counts.started === 0 ? undefined : await ledger.fetch(keys.fullDrill(contractId, counts.started));
  const { epoch, takenAt } = known;
  const facts = { epoch, openings, over: isEnded(life), life: life.state, now };
  return { ...facts, validatedAt, takenAt, counts, newest };
}
