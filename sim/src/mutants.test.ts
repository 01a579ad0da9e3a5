import { describe, expect, test } from '@jest/globals';
import { mutants } from './mutants.ts';
import { runSeed } from './run.ts';

/** Most are noticed within the first hundred; what only a patient replay of recorded datagrams shows takes over a thousand. */
const SEEDS = 10_000;

describe(`within ${SEEDS} seeds the simulation notices`, () => {
  test.each(mutants.map((mutant) => [mutant.name, mutant] as const))('%s', (_name, mutant) => {
    let seed = 1;
    while (
      seed <= SEEDS &&
      runSeed(seed, { kind: mutant.kind, pieces: mutant.pieces() }).violations.length === 0
    )
      seed++;
    expect(seed).toBeLessThanOrEqual(SEEDS);
  });
});
