import { describe, expect, test } from '@jest/globals';
import { mutants } from './mutants.ts';
import { runSeed } from './run.ts';

/** Most are noticed within the first hundred; what only a patient replay of recorded datagrams shows takes over a thousand. */
const SEEDS = 10_000;

describe(`within ${SEEDS} seeds the simulation notices`, () => {
  test.each(mutants.map((mutant) => [mutant.name, mutant] as const))('%s', (_name, mutant) => {
    const { kind, from = 1 } = mutant;
    const seedAt = (_: unknown, tried: number): number => ((from - 1 + tried) % SEEDS) + 1;
    const isNoticed = (seed: number): boolean =>
      runSeed(seed, { kind, pieces: mutant.pieces() }).violations.length > 0;
    const seed = Array.from({ length: SEEDS }, seedAt).find(isNoticed) ?? NaN;
    expect(seed).not.toBeNaN();
    // by the mutant, and not by what breaks without it
    expect(runSeed(seed, { kind }).violations).toEqual([]);
  });
});
