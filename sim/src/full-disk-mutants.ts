import { customerStep, providerStep, type CustomerState, type PartyEffect } from '@antirio/service-contract';
import type { Mutant } from './mutants.ts';
import { honestPieces } from './pieces.ts';

/** Disks that are full, with a rule missing. */
export const fullDiskMutants: readonly Mutant[] = [
  {
    name: 'a customer whose disk is full waits for room before it gives its sensors away',
    kind: 'fullDisks',
    pieces: () => ({ ...honestPieces(), mayGoUnwritten: () => false }),
  },
  {
    name: 'a customer calls its store well that takes nothing',
    kind: 'fullDisks',
    pieces: () => ({
      ...honestPieces(),
      senses: (observed) => ({ ...observed, storeOk: true }),
    }),
  },
  {
    name: 'a provider leaves what it gave back to a customer whose disk is full',
    kind: 'fullDisks',
    pieces: () => ({
      ...honestPieces(),
      providerStep(state, event, context) {
        const { told } = state;
        return providerStep(
          { ...state, told: told === undefined ? undefined : { ...told, storeOk: true } },
          event,
          context,
        );
      },
    }),
  },
  {
    name: 'an edge whose disk is full has counters reserved that it cannot keep',
    kind: 'fullDisks',
    pieces: () => ({
      ...honestPieces(),
      customerStep(state, event, context) {
        const [next, effects] = customerStep(state, event, context);
        return [next, state.observed.storeOk === false ? effects.map((one) => asking(one, next)) : effects];
      },
    }),
  },
  {
    name: 'a customer that is just back keeps its lease though it takes nothing in',
    kind: 'fullDisks',
    pieces: () => ({
      ...honestPieces(),
      customerStep(state, event, context) {
        const [next, effects] = customerStep(state, event, context);
        const { phase, senses } = next;
        if (!['retaken', 'stating', 'stated'].includes(phase.at)) return [next, effects];
        return [{ ...next, senses: { ...senses, storeBadSince: undefined } }, effects];
      },
    }),
  },
];

function asking(effect: PartyEffect, { acting }: CustomerState): PartyEffect {
  if (effect.type !== 'send' || effect.datagram.kind !== 'leaseRequest') return effect;
  const reserve = acting.wanted.map(({ devAddr, slot, above }) => ({ devAddr, slot, above }));
  const { kind, body } = effect.datagram;
  return { ...effect, datagram: { kind, body: { ...body, reserve } } };
}
