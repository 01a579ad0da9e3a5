import {
  centralStep,
  neverTookOver,
  providerDesires,
  providerStep,
  type CentralEffect,
  type PartyEffect,
} from '@antirio/service-contract';
import type { Mutant } from './mutants.ts';
import { honestPieces } from './pieces.ts';

/** The nonce of the newest probe among what was sent. */
function noteProbes() {
  let newest = '';
  return {
    newest: () => newest,
    look(effects: readonly (CentralEffect | PartyEffect)[]) {
      for (const one of effects)
        if (one.type === 'send' && one.datagram.kind === 'probe') newest = one.datagram.body.nonce;
    },
  };
}

/** What keeps providers to their word, and others from it, with a check missing. */
export const faithlessMutants: readonly Mutant[] = [
  {
    name: 'the witness is not asked: the centre opens on every demand as on the customer’s word',
    kind: 'faithless',
    pieces: () => ({
      ...honestPieces(),
      centralStep(state, event, context) {
        if (event.type !== 'asked' || event.question.method !== 'open')
          return centralStep(state, event, context);
        const question = { ...event.question, word: 'counts' } as const;
        return centralStep(state, { ...event, question }, context);
      },
    }),
  },
  {
    name: 'any answer will do: recorded answers to a provider’s probes prove that its customer lives',
    kind: 'faithless',
    pieces: () => {
      const probes = noteProbes();
      return {
        ...honestPieces(),
        providerStep(state, event, context) {
          const isAnswer = event.type === 'datagram' && event.datagram.kind === 'probeReply';
          const datagram = { kind: 'probeReply', body: { nonce: probes.newest(), bootId: '' } } as const;
          const [next, effects] = providerStep(state, isAnswer ? { ...event, datagram } : event, context);
          probes.look(effects);
          return [next, effects];
        },
      };
    },
  },
  {
    name: 'any answer will do for the witness: recorded ones prove that a customer lives',
    kind: 'faithless',
    pieces: () => {
      const probes = noteProbes();
      return {
        ...honestPieces(),
        centralStep(state, event, context) {
          const answer = event.type === 'probeReply' ? { ...event, nonce: probes.newest() } : event;
          const [next, effects] = centralStep(state, answer, context);
          probes.look(effects);
          return [next, effects];
        },
      };
    },
  },
  {
    name: 'the witness probes with one nonce for all probes of a question',
    kind: 'faithless',
    pieces: () => ({
      ...honestPieces(),
      centralStep(state, event, context) {
        const [next, effects] = centralStep(state, event, context);
        const first = effects.find((one) => one.type === 'send' && one.datagram.kind === 'probe');
        return [
          next,
          effects.map((one) => (one.type === 'send' && one.datagram.kind === 'probe' ? (first ?? one) : one)),
        ];
      },
    }),
  },
  {
    name: 'nobody is accused: who leaves its customer alone keeps its stake',
    kind: 'faithless',
    pieces: () => ({ ...honestPieces(), neverTookOver: () => undefined }),
  },
  {
    name: 'exposed keys free of every duty: who has served once need not serve again',
    kind: 'faithless',
    pieces: () => ({
      ...honestPieces(),
      neverTookOver: (terms, life, ...rest) =>
        life === 'READY_EXPOSED' ? undefined : neverTookOver(terms, life, ...rest),
    }),
  },
  {
    name: 'released in words only: a provider that gives back acts on under its lease',
    from: 65,
    pieces: () => ({
      ...honestPieces(),
      providerDesires(state, now) {
        const { phase } = state;
        const { epoch } = state.acting.lease;
        if (phase.at !== 'released' && phase.at !== 'stating') return providerDesires(state, now);
        return {
          ...providerDesires({ ...state, phase: { at: 'active', from: 1, epoch } }, now),
          service: 'active',
        };
      },
    }),
  },
];
