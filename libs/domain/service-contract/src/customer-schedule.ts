import type { CustomerState, Step } from './customer-state.ts';
import { giveWordOnce } from './deaf.ts';
import type { ContractRecord } from './messages.ts';
import { windowAt, type Stretch } from './schedule.ts';

/** A customer gives its service away when a window of its contract begins, and asks for it back when that ends. */

/** The ledger's time as the centre said it, and what our own clock said then. */
export interface LedgerClock {
  readonly time: number;
  readonly at: number;
}

export function clockOf({ time }: ContractRecord, now: number): { readonly ledgerClock?: LedgerClock } {
  return time === undefined ? {} : { ledgerClock: { time, at: now } };
}

/** The ledger's time at `now`, ms since the Unix epoch; undefined where the centre has not told it since our start. */
export function ledgerTime(
  { ledgerClock }: Pick<CustomerState, 'ledgerClock'>,
  now: number,
): number | undefined {
  return ledgerClock === undefined ? undefined : Math.floor(ledgerClock.time + now - ledgerClock.at);
}

/** The window that the ledger's time is in; undefined also where that time is not known yet. */
function openWindow(state: CustomerState, now: number): Stretch | undefined {
  const time = ledgerTime(state, now);
  return time === undefined ? undefined : windowAt(state.terms.activation.windows, time);
}

/** While the window is open that an operator has not ended for us. */
export function whenScheduled(state: CustomerState, now: number): Step {
  const window = openWindow(state, now);
  if (window === undefined || window.until <= state.windowEnded) return [state, []];
  return giveWordOnce(state, 'schedule', now);
}

export function isWindowOpen(state: CustomerState, now: number): boolean {
  return openWindow(state, now) !== undefined;
}

/** Surely: where the ledger's time is not known we wait. */
export function isWindowOver(state: CustomerState, now: number): boolean {
  return state.ledgerClock !== undefined && openWindow(state, now) === undefined;
}

/** What is left of the window that is open is not served any more. */
export function endWindow(state: CustomerState, now: number): CustomerState {
  const window = openWindow(state, now);
  return window === undefined ? state : { ...state, windowEnded: window.until };
}
