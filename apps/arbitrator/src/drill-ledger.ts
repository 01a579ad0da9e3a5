import { drillCounts, keys } from '@antirio/ledger-machine';
import { isEnded, type ContractTerms, type DrillLedger } from '@antirio/service-contract';
import type { LedgerClient } from './ledger-client.ts';

/** What the ledger says of a contract's drills, read by ourselves; undefined where it does not know the contract. */
export async function readDrills(
  ledger: Pick<LedgerClient, 'fetch' | 'time'>,
  { contractId, set }: Pick<ContractTerms, 'contractId' | 'set'>,
): Promise<DrillLedger | undefined> {
  const [contract, known, now] = await Promise.all([
    ledger.fetch(keys.contract(contractId)),
    ledger.fetch(keys.set(set.setId)),
    ledger.time(),
  ]);
  if (contract === undefined) return undefined;
  const { life, openings, validatedAt } = contract;
  const { started, month, passed, judged } = drillCounts(contract, now);
  const newest = started === 0 ? undefined : await ledger.fetch(keys.drill(contractId, started));
  const facts = { epoch: known?.epoch ?? 0, openings, over: isEnded(life), now };
  return { ...facts, life: life.state, validatedAt, month, passed, judged, newest };
}
