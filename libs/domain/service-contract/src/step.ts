import type { EdgeId } from '@antirio/kernel';
import type { CallBook } from './calls.ts';
import type { CallArgs } from './messages.ts';
import { callOnce, type Milestone, type PartyEffect } from './party.ts';
import type { Promiser } from './promiser.ts';

/** What one event makes of a party's machine, of either role. */
export type StepOf<State> = readonly [State, readonly PartyEffect[]];

/** The next phase, with the note that tells of it. */
export function enter<State extends { readonly phase: unknown }>(
  state: State,
  phase: State['phase'],
  milestone: Milestone,
  detail: Record<string, unknown> = {},
): StepOf<State> {
  return [{ ...state, phase }, [{ type: 'note', milestone, detail }]];
}

/** One call, if none of its kind is under way or waits for its back-off. */
export function call<State extends { readonly calls: CallBook }>(
  state: State,
  to: EdgeId,
  request: CallArgs,
  now: number,
): StepOf<State> {
  const [calls, effects] = callOnce(state.calls, to, request, now);
  return [calls === state.calls ? state : { ...state, calls }, effects];
}

/**
 * Asks for the epoch that follows `expected`: the ledger compares, and gives it to one. Once we have heard of that epoch it is given; to
 * whom, and from when on its holder may act, the record says.
 */
export function takeAfter<
  State extends {
    readonly calls: CallBook;
    readonly terms: { readonly contractId: string; readonly central: EdgeId };
    readonly promiser: Pick<Promiser, 'newest'>;
  },
>(state: State, expected: number, now: number): StepOf<State> {
  if (state.promiser.newest > expected) return [state, []];
  const { contractId, central } = state.terms;
  return call(state, central, { method: 'take', args: { contractId, expected } }, now);
}

/** One step after another. A machine is ticked all the time, and most steps do nothing: those cost no new list. */
export function chain<State>(step: StepOf<State>, next: (state: State) => StepOf<State>): StepOf<State> {
  const before = step[1];
  const after = next(step[0]);
  if (before.length === 0) return after;
  return [after[0], after[1].length === 0 ? before : [...before, ...after[1]]];
}
