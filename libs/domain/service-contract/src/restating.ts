import type { CustomerState, Step as CustomerStep } from './customer-state.ts';
import { disputedRange, restate } from './dispute.ts';
import type { PartyEvent } from './party.ts';
import type { ProviderState, Step as ProviderStep } from './provider-state.ts';

/** Where two statements differ both look again, some times: frames may have come late, or a disk may have been read wrongly. */
export function lookAgain(state: CustomerState, now: number): CustomerStep {
  const { phase, record } = state;
  if (phase.at !== 'stated' || phase.about === undefined) return [state, []];
  const { epoch, about } = phase;
  if (disputedRange(record, about.epoch) === undefined) return [state, []];
  const [restating, isDue] = restate(state.restating, about.epoch, now);
  const next = { ...state, restating };
  return [isDue ? { ...next, phase: { at: 'retaken', epoch, providerEpoch: about.epoch } } : next, []];
}

/** The provider's half: over the same range, of what its ring holds. */
export function stateAgain(state: ProviderState, now: number): ProviderStep {
  const { phase, record } = state;
  const range = phase.at === 'stated' ? disputedRange(record, phase.epoch) : undefined;
  if (range === undefined) return [state, []];
  const [restating, isDue] = restate(state.restating, range.epoch, now);
  return [{ ...state, restating }, isDue ? [{ type: 'state', ...range }] : []];
}

/** Its newer word takes the place of the older one, while the two still differ. */
export function onRestated(
  state: ProviderState,
  { statement, counters }: Extract<PartyEvent, { type: 'stated' }>,
): ProviderStep {
  const { phase, record } = state;
  const range = phase.at === 'stated' ? disputedRange(record, phase.epoch) : undefined;
  if (range?.epoch !== statement.epoch) return [state, []];
  return [{ ...state, phase: { at: 'stating', statement, counters } }, []];
}
