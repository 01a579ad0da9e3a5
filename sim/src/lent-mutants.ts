import { judgeLentDownlink } from '@antirio/service-contract';
import type { Mutant } from './mutants.ts';
import { honestPieces } from './pieces.ts';

/** Drill downlinks without one of their checks. That two fences look at epoch and lease is one check: each alone is enough. */
export const lentMutants: readonly Mutant[] = [
  {
    name: 'a loan has no end: the provider’s gateway sends what it was lent whenever that is',
    kind: 'drills',
    pieces: () => ({
      ...honestPieces(),
      judgeLentDownlink: (fence, loan, frame, now) =>
        judgeLentDownlink(fence, { ...loan, offeredAt: now }, { ...frame, aheadMs: 1 }, now),
    }),
  },
  {
    name: 'a loan needs no lease: neither the customer’s fence nor the provider’s asks who may act',
    kind: 'drills',
    pieces: () => ({
      ...honestPieces(),
      fenceBeforeLending: false,
      judgeLentDownlink: (fence, loan, frame, now) =>
        judgeLentDownlink({ ...fence, open: false, epoch: 0 }, loan, frame, now),
    }),
  },
];
