import type { Mutant } from './mutants.ts';
import { honestPieces } from './pieces.ts';

/** Rings that are flooded, with a rule of the shadow buffer missing. */
export const floodMutants: readonly Mutant[] = [
  {
    name: 'no room is kept for a mote’s next frames: forgeries fill its share',
    kind: 'floods',
    pieces: () => {
      const pieces = honestPieces();
      return {
        ...pieces,
        createAdmission: (ports) => pieces.createAdmission({ ...ports, marks: undefined }),
      };
    },
  },
  {
    name: 'no shares: all motes of a ring have one budget',
    kind: 'floods',
    pieces: () => {
      const pieces = honestPieces();
      return { ...pieces, createAdmission: (ports) => pieces.createAdmission({ ...ports, shared: true }) };
    },
  },
  {
    name: 'one limit for all frames under a mote’s address, forged or not',
    kind: 'floods',
    pieces: () => {
      const pieces = honestPieces();
      return { ...pieces, createRateLimit: (perSecond, burst) => pieces.createRateLimit(perSecond, burst) };
    },
  },
  {
    name: 'no budget: a ring takes what comes',
    kind: 'floods',
    pieces: () => {
      const pieces = honestPieces();
      return {
        ...pieces,
        createAdmission: (ports) => ({ ...pieces.createAdmission(ports), refusal: () => undefined }),
      };
    },
  },
];
