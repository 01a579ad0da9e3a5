import { describe, expect, test } from '@jest/globals';
import { mutants } from './mutants.ts';
import { runSeed } from './run.ts';

const SEEDS = 1000;

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
