import { z } from 'zod';
import { overloadTerms } from './overload.ts';
import { keepsOnly } from './relay.ts';
import { scheduleWindow } from './schedule.ts';
import type { ContractTerms } from './terms.ts';
import type { YieldCause } from './yield-word.ts';

/**
 * What a provider may take the service over at.
 * - `offline`: it finds the customer dead (detector, probes, witness), or the customer sees its own end coming (last gasp).
 * - `overload`: the customer's own measurements stay above a threshold; it gives its word.
 * - `schedule`: at the beginning of a window the customer gives its word, at the end it asks for its service back.
 * - `manual`: the customer's operator says so, which holds under every contract (`antirio handover --planned`).
 */
export const activationEvent = z.enum(['offline', 'overload', 'schedule', 'manual']);
export type ActivationEvent = z.output<typeof activationEvent>;

export const MOST_WINDOWS = 16;

/** When a contract's service moves. Terms of before had no such field: they were about `offline`. */
export const activationTerms = z
  .strictObject({
    events: z.array(activationEvent).min(1).max(4).default(['offline']),
    windows: z.array(scheduleWindow).max(MOST_WINDOWS).default([]),
    overload: overloadTerms.optional(),
    /** So many takeovers P pays for, all together: the contract is settled after the last, or at its end. */
    takeovers: z.int().min(1).max(10_000).default(1),
  })
  .refine(({ events }) => new Set(events).size === events.length, 'an event is named twice')
  .refine(
    ({ events, windows }) => events.includes('schedule') === windows.length > 0,
    'windows are for `schedule`, which needs one',
  )
  .refine(
    ({ events, overload }) => events.includes('overload') === (overload !== undefined),
    'thresholds are for `overload`, which needs one',
  );
export type ActivationTerms = z.output<typeof activationTerms>;

/** What of the terms the events are about. */
export interface ActivationOf extends Pick<ContractTerms, 'confidentiality' | 'disputeS'> {
  readonly activation: ActivationTerms;
}

/** The same, with the drills that are words, too. */
interface WordsOf extends ActivationOf {
  readonly drills: { readonly full?: unknown };
}

/** Whether the provider may open the keys because it finds the customer dead; else only on the customer's word. */
export function opensWhenOffline(terms: ActivationOf): boolean {
  return !keepsOnly(terms) && terms.activation.events.includes('offline');
}

/** Whether the customer gives its word for this: an operator's holds under every contract whose provider can take over at all. */
export function mayGiveFor(terms: WordsOf, cause: YieldCause): boolean {
  const { activation, drills } = terms;
  const { events } = activation;
  if (keepsOnly(terms)) return false;
  switch (cause) {
    case 'planned':
      return true;
    case 'drill':
      return drills.full !== undefined;
    case 'schedule':
    case 'overload':
      return events.includes(cause);
    default:
      return events.includes('offline');
  }
}
