import type { Mutant } from './mutants.ts';
import { honestPieces } from './pieces.ts';

/** A bridge that is dead beside its arbitrator, with a check missing. */
export const bridgeMutants: readonly Mutant[] = [
  {
    name: 'all is well: an arbitrator whose bridge gives no answer has seen nothing',
    from: 18,
    pieces: () => ({
      ...honestPieces(),
      senses: (observed) => (observed.rooms?.gatewayBridge === 'silent' ? {} : observed),
    }),
  },
];
