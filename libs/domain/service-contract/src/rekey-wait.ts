import type { CustomerState, Step } from './customer-state.ts';
import { isOver, type ContractRecord } from './messages.ts';
import type { RekeyCount } from './rekey-terms.ts';
import type { ProviderState } from './provider-state.ts';
import { call, enter, type StepOf } from './step.ts';

/** Between two words of the customer about its devices. */
export const REKEYED_EVERY_MS = 5000;

/** States in which nothing is left to be stated. */
const GOES_ON: ReadonlySet<string> = new Set(['READY', 'READY_EXPOSED', 'DEGRADED']);

const isSame = (a: RekeyCount | undefined, b: RekeyCount): boolean =>
  a?.rekeyed === b.rekeyed && a.waiting === b.waiting && a.disclosed === b.disclosed;

/** Both agree on what was served: what is left of the contract is its payment, and for that new keys are waited for. */
export function isRekeying(record: ContractRecord | undefined): boolean {
  return record?.rekeying !== undefined && !isOver(record);
}

/** The customer's word on how far its devices are, where the ledger has not heard it: with the last of them the contract settles. */
export function tellRekeyed(state: CustomerState, now: number): Step {
  const { record, observed, terms } = state;
  const { rekeyed: counted } = observed;
  if (!isRekeying(record) || counted === undefined || isSame(record?.rekeying?.counted, counted))
    return [state, []];
  const { contractId } = terms;
  return call(state, terms.central, { method: 'rekeyed', args: { contractId, ...counted } }, now);
}

/** An answer was lost, or a folder is an old one: the ledger has both statements, and they agree. */
export function followAgreement(state: CustomerState): Step {
  const { phase, record } = state;
  if (phase.at !== 'retaken' && phase.at !== 'stating') return [state, []];
  const stated = phase.at === 'retaken' ? phase.providerEpoch : phase.statement.epoch;
  // stated again, and meanwhile the provider's newer word agreed with the older one
  const isAgreed =
    record?.handback?.epoch === stated && state.restating.epoch === stated && GOES_ON.has(record.state);
  if (!isRekeying(record) && !isAgreed) return [state, []];
  return enter(state, { at: 'stated', epoch: phase.epoch }, 'stated');
}

/** The provider's half: with the end of what is waited for it closes the contract, whatever the customer says. */
export function closeWhenDue(state: ProviderState, now: number): StepOf<ProviderState> {
  const { phase, record, terms } = state;
  const mayClose = phase.at === 'stated' || (phase.at !== 'ended' && isRekeying(record));
  if (!mayClose || record?.closesInMs !== 0) return [state, []];
  return call(state, terms.central, { method: 'close', args: { contractId: terms.contractId } }, now);
}
