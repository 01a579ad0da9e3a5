import type { Acting, Observed } from './party.ts';
import { nothingUnkept, type Holder } from './reserving-state.ts';

/** Blocks of counters that the grantor has recorded, and our disk does not take. */

/** After one the next is asked for so late; then twice as late each time. */
const FIRST_MS = 1000;
const MOST_MS = 300_000;

interface Reserves {
  readonly acting: Acting;
  readonly observed: Observed;
}

/** Our disk has not taken what was given: as nothing of that has happened, the same would be asked for at once. */
export function unkept<State extends Reserves>(state: State, now: number): State {
  const { acting } = state;
  const { reserving } = acting;
  const times = reserving.unkept.times + 1;
  return { ...state, acting: { ...acting, reserving: { ...reserving, unkept: { times, at: now } } } };
}

/** Our disk is seen to take writes again. */
export function keepsAgain<State extends Reserves>(before: State, after: State): State {
  if (before.observed.storeOk !== false || after.observed.storeOk !== true) return after;
  const { acting } = after;
  return { ...after, acting: { ...acting, reserving: { ...acting.reserving, unkept: nothingUnkept } } };
}

/**
 * Whether what is reserved now may well not be kept. The grantor has recorded it by then, and the next one lies 64 counters further on: after
 * 256 of them the device would drop all that is sent to it.
 */
export function isUnkept({ reserving }: Acting, { keeps, now }: Holder): boolean {
  const { times, at } = reserving.unkept;
  return !keeps || (times > 0 && now - at < Math.min(FIRST_MS * 2 ** (times - 1), MOST_MS));
}
