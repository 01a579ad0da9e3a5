import { opensWhenOffline } from './activation.ts';
import { isDisputed } from './dispute.ts';
import { cannotTake } from './full-disk.ts';
import type { Evidence } from './messages.ts';
import { isServedByOther } from './other-provider.ts';
import type { Context, PartyEffect } from './party.ts';
import { nothingGathered, type ProviderState, type Step } from './provider-state.ts';
import { call, chain, enter } from './step.ts';
import { cleared, unasked, watch, type Seen } from './watch.ts';

/** The provider looks at its customer, and begins to take over where nobody acts. */

export function watchCustomer(state: ProviderState, context: Context): Step {
  const { terms, record } = state;
  // Who serves the customer is watched by the grantor: its record says when that one's lease has ended.
  const isVain = isServedByOther(terms, record) || isDisputed(record);
  // By its own beats, whatever the contract is for: it is opened already.
  if (!isVain && cannotTake(state, context.now))
    return begin(state, unasked(state.watch, context.now), context);
  if (!opensWhenOffline(terms) || isVain) {
    const calm = cleared(state.watch);
    return [calm === state.watch ? state : { ...state, watch: calm }, []];
  }
  const [next, seen] = watch(state.watch, terms, context.now);
  return chain(told({ ...state, watch: next }, seen), (one) => verdictOf(one, seen, context));
}

/** Says what is suspected, and probes. */
function told(state: ProviderState, { suspected, probes = [] }: Seen): Step {
  const effects: PartyEffect[] = [];
  if (suspected !== undefined) effects.push({ type: 'note', milestone: 'suspected', detail: suspected });
  for (const nonce of probes)
    effects.push({ type: 'send', to: state.terms.customer, datagram: { kind: 'probe', body: { nonce } } });
  return [state, effects];
}

function verdictOf(state: ProviderState, { askWitness, dead }: Seen, context: Context): Step {
  const { contractId, central } = state.terms;
  if (askWitness) return call(state, central, { method: 'witness', args: { contractId } }, context.now);
  return dead === undefined ? [state, []] : begin(state, dead, context);
}

/** Held: what is seen is told, and left to the operator. */
function begin(state: ProviderState, evidence: Evidence, { mayBegin }: Context): Step {
  return state.held || mayBegin?.() === false ? [state, []] : confirm(state, evidence);
}

/** The keys are asked for: by what was seen, or by an operator's word. */
export function confirm(state: ProviderState, evidence: Evidence): Step {
  const { phase, observed } = state;
  // The range begins with what the ring holds, which is not known yet just after a start.
  const from = phase.at === 'stated' ? phase.from : observed.ring?.from;
  if (from === undefined) return [state, []];
  const after = phase.at === 'stated' ? { after: phase.epoch } : {};
  return enter(
    { ...state, watch: cleared(state.watch), gathering: nothingGathered, rimAskedAt: -Infinity },
    { at: 'opening', from, evidence, ...after },
    'confirmed',
    evidence,
  );
}
