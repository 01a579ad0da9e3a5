import { apply } from '@antirio/ledger-machine';
import { centralStep, customerStep, type CentralEvent, type ContractTerms } from '@antirio/service-contract';
import type { Mutant } from './mutants.ts';
import { honestPieces } from './pieces.ts';
import { greedy } from './relay.ts';

/** The same contract with a provider that takes over. */
const withKeys = (terms: ContractTerms): ContractTerms => ({ ...terms, confidentiality: 'process' });

/** The centre's machine is asked about such a contract. */
function mistaken(event: CentralEvent): CentralEvent {
  if (event.type !== 'asked' || event.question.method === 'witness') return event;
  const { question } = event;
  return { ...event, question: { ...question, terms: withKeys(question.terms) } };
}

const openings: ReadonlySet<string> = new Set(['contract/open', 'epoch/take']);

/** What keeps a provider without keys from taking over, with a check missing. */
export const relayMutants: readonly Mutant[] = [
  {
    name: 'a provider that only keeps frames takes over like any other',
    kind: 'relay',
    pieces: () => greedy(honestPieces()),
  },
  {
    name: 'a customer gives its service to a provider that only keeps frames',
    kind: 'relay',
    pieces: () => ({
      ...honestPieces(),
      customerStep(state, event, context) {
        const { terms, phase } = state;
        const believed = phase.at === 'arming' ? terms : withKeys(terms);
        const [next, effects] = customerStep({ ...state, terms: believed }, event, context);
        return [{ ...next, terms }, effects];
      },
    }),
  },
  {
    name: 'centre and ledger give a provider that only keeps frames what it asks for',
    kind: 'relay',
    pieces: () => ({
      ...honestPieces(),
      centralStep: (state, event, context) => centralStep(state, mistaken(event), context),
      apply(state, tx, env) {
        if (!openings.has(tx.body.payload.type)) return apply(state, tx, env);
        const get = (key: string): unknown => {
          const found = state.get(key);
          if (!key.startsWith('terms/') || found === undefined) return found;
          const record = found as { readonly terms: ContractTerms };
          return { ...record, terms: withKeys(record.terms) };
        };
        return apply({ range: (prefix) => state.range(prefix), get }, tx, env);
      },
    }),
  },
];
