import { z } from 'zod';
import type { CustomerState, Step } from './customer-state.ts';
import { couldNotTake } from './full-disk.ts';
import { mayAct } from './lease.ts';
import type { ContractTerms } from './terms.ts';
import { isNoFailure } from './yield-word.ts';

/**
 * A customer that fails again and again leaves its sensors with its provider for longer each time. Taking over knows no such
 * wait. Durations in ms.
 */
export const flappingTerms = z.strictObject({
  /** `returnBackoffMs` doubles with each failure in a row, up to this. */
  maxBackoffMs: z.int().min(0).max(86_400_000).default(3_600_000),
  /** Who has acted for so long without a break has its failures forgotten. */
  stableMs: z
    .int()
    .min(1000)
    .max(7 * 86_400_000)
    .default(3_600_000),
});

/** Failures in a row, and since when there has been none. The number outlasts a restart. */
export interface Flaps {
  readonly failures: number;
  readonly wellSince: number | undefined;
}

/** How long the customer is to be up and joined up before it asks for its sensors back, ms. */
export function backoffMs(
  { returnBackoffMs, flapping }: Pick<ContractTerms, 'returnBackoffMs' | 'flapping'>,
  failures: number,
): number {
  const doubled = returnBackoffMs * 2 ** Math.min(Math.max(0, failures - 1), 30);
  return Math.min(doubled, Math.max(returnBackoffMs, flapping.maxBackoffMs));
}

/** What is left of the back-off, ms; undefined where nothing is waited for. */
export function backoffLeftMs({ phase, flaps, stableSince, terms }: CustomerState, now: number) {
  if (phase.at !== 'recovering') return undefined;
  // nothing has failed
  if (phase.waits === 'drill') return 0;
  return Math.max(0, Math.ceil(stableSince + backoffMs(terms, flaps.failures) - now));
}

/**
 * The provider has the epoch, and neither an operator nor the contract wanted it so. Where another contract's has it, the machine
 * of that one knows why, and counts.
 */
function hasFailed(before: CustomerState, { phase }: CustomerState): boolean {
  const had = before.phase.at !== 'recovering' && before.elsewhere === undefined;
  const planned = 'word' in before.phase && isNoFailure(before.phase.word);
  if (phase.at !== 'recovering') return false;
  return had ? !planned : couldNotTake(before) && phase.epoch > (before.phase.epoch ?? 0);
}

function counted(state: CustomerState, failures: number, wellSince: number | undefined): Step {
  const next = { ...state, flaps: { failures, wellSince } };
  return failures === state.flaps.failures ? [next, []] : [next, [{ type: 'failures', count: failures }]];
}

/** Counts what a turn of the machine has brought. */
export function countFailures(before: CustomerState, state: CustomerState, now: number): Step {
  const { failures, wellSince } = state.flaps;
  if (hasFailed(before, state)) return counted(state, failures + 1, undefined);
  if (failures === 0) return [state, []];
  const stands = state.phase.at !== 'recovering' && state.elsewhere === undefined;
  if (!stands || !mayAct(state.acting.lease, now))
    return wellSince === undefined ? [state, []] : counted(state, failures, undefined);
  if (wellSince === undefined) return counted(state, failures, now);
  return now - wellSince >= state.terms.flapping.stableMs ? counted(state, 0, undefined) : [state, []];
}
