import type { CustomerPhase } from './customer-state.ts';
import { isDisputed } from './dispute.ts';
import type { ContractRecord } from './messages.ts';
import type { ProviderPhase } from './provider-state.ts';

type Phase = CustomerPhase | ProviderPhase;

/** `stated` is not among them: what was stated is stated again where the other party states something else. */
const OWING_NONE: ReadonlySet<Phase['at']> = new Set(['preparing', 'arming', 'ready', 'guarded', 'ended']);

/**
 * Whether a party in this phase may have to state what its ring holds: from the first sign of a takeover until the contract goes on
 * or ends. The ring is held for as long.
 */
export function mayOweStatement({ at }: Phase): boolean {
  return !OWING_NONE.has(at);
}

/**
 * Whether a statement is still to be made of what the rings hold, or to be made again where the two differ. `record`: what the ledger
 * said last, undefined where it has not been heard.
 */
export function owesStatement(
  phase: Phase,
  record: Pick<ContractRecord, 'state' | 'dispute'> | undefined,
): boolean {
  if (!mayOweStatement(phase)) return false;
  if (phase.at !== 'stated' || record === undefined) return true;
  return record.state === 'ACTIVE' || record.state === 'RETURNING' || isDisputed(record);
}
