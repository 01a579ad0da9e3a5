import { centralStep, customerStep, type CentralEvent } from '@antirio/service-contract';
import type { Mutant } from './mutants.ts';
import { honestPieces } from './pieces.ts';

/** Nobody has served out. */
function unlimited(event: CentralEvent): CentralEvent {
  if (event.type === 'leaseRequest') return { ...event, facts: { ...event.facts, servedOut: false } };
  if (event.type !== 'asked' || event.question.method !== 'take') return event;
  return { ...event, question: { ...event.question, servedOut: false } };
}

const FOR_EVER_S = 1_000_000_000;

/** What keeps a provider to its time that does not keep to it itself, with a check missing. */
export const overlongMutants: readonly Mutant[] = [
  {
    name: 'no end to an activation: the grantor renews the lease of whoever does not end it itself',
    kind: 'overlong',
    from: 5,
    pieces: () => ({
      ...honestPieces(),
      centralStep: (state, event, context) => centralStep(state, unlimited(event), context),
    }),
  },
  {
    name: 'the customer promises for ever: a provider that has served out acts on without the grantor',
    kind: 'overlong',
    pieces: () => ({
      ...honestPieces(),
      customerStep(state, event, context) {
        const { terms } = state;
        const [next, effects] = customerStep(
          { ...state, terms: { ...terms, maxActiveS: FOR_EVER_S } },
          event,
          context,
        );
        return [{ ...next, terms }, effects];
      },
    }),
  },
];
