import { describe, expect, test } from '@jest/globals';
import { mutants } from './mutants.ts';
import { runSeed } from './run.ts';

const SEEDS = 1000;

/** A fresh thousand each day would hide what broke; a failing seed becomes a line here. */
const KNOWN_SEEDS: readonly number[] = [];

describe('the simulation', () => {
  test(`of ${SEEDS} seeds breaks no promise`, () => {
    const broken: string[] = [];
    for (const seed of [...KNOWN_SEEDS, ...Array.from({ length: SEEDS }, (_, i) => i + 1)])
      for (const { invariant, at, message } of runSeed(seed).violations)
        broken.push(`seed ${seed}: ${invariant} at ${Math.round(at)} ms: ${message}`);
    expect(broken).toEqual([]);
  });

  test('of one seed is one run, to the last event', () => {
    for (const seed of [1, 7, 42]) {
      const [one, two] = [runSeed(seed), runSeed(seed, { trace: true })];
      expect({ hash: two.hash, events: two.events, summary: two.summary }).toEqual({
        hash: one.hash,
        events: one.events,
        summary: one.summary,
      });
    }
    expect(runSeed(1).hash).not.toBe(runSeed(2).hash);
  });

  test('is no calm sea: takeovers, handbacks, returns to READY and thousands of downlinks happen in it', () => {
    const lives = new Map<string, number>();
    let downlinks = 0;
    for (let seed = 1; seed <= 200; seed++) {
      const { summary } = runSeed(seed);
      lives.set(summary.life, (lives.get(summary.life) ?? 0) + 1);
      downlinks += summary.downlinks;
    }
    expect(lives.get('SETTLED honoured')).toBeGreaterThan(20);
    expect(lives.get('READY')).toBeGreaterThan(20);
    expect(downlinks).toBeGreaterThan(1000);
  });

  test.each(mutants.map((mutant) => [mutant.name, mutant] as const))('notices: %s', (_name, mutant) => {
    for (let seed = 1; seed <= SEEDS; seed++)
      if (runSeed(seed, { pieces: mutant.pieces() }).violations.length > 0) return;
    throw new TypeError(`not noticed in ${SEEDS} seeds`);
  });
});
