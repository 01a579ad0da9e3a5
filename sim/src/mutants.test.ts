import { describe, expect, test } from '@jest/globals';
import { mutants } from './mutants.ts';
import { runSeed } from './run.ts';

/** Most are noticed within the first hundred; what only a patient replay of recorded datagrams shows takes over a thousand. */
const SEEDS = 10_000;

describe(`within ${SEEDS} seeds the simulation notices`, () => {
  test.each(mutants.map((mutant) => [mutant.name, mutant] as const))('%s', (_name, mutant) => {
    const from = mutant.from ?? 1;
    const isNoticed = (_: unknown, tried: number): boolean => {
      const seed = ((from - 1 + tried) % SEEDS) + 1;
      return runSeed(seed, { kind: mutant.kind, pieces: mutant.pieces() }).violations.length > 0;
    };
    expect(Array.from({ length: SEEDS }).some(isNoticed)).toBe(true);
  });
});
