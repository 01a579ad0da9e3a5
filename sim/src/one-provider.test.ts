import { describe, expect, test } from '@jest/globals';
import { runSeed, type RunResult } from './run.ts';
import { storyOf } from './story.ts';

const SEEDS = 1000;

/** Others than the first thousand that once broke something. */
const KNOWN_SEEDS: readonly number[] = [
  1093, 4383, 10_815, 11_716, 12_297, 13_148, 14_087, 22_297, 39_836, 200_193, 672_981, 1_012_083, 1_012_911,
  2_000_366, 3_371_344, 3_398_153, 3_423_253, 3_533_526, 3_576_266, 3_601_627, 3_720_118, 4_168_655,
];

const seedsTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i + 1);

let cached: readonly RunResult[] | undefined;
const thousand = (): readonly RunResult[] => (cached ??= seedsTo(SEEDS).map((seed) => runSeed(seed)));

/** What broke, with the story of the first run that it broke in. */
function brokenIn(results: readonly RunResult[]): { readonly seeds: number[]; readonly story: string } {
  const seeds = results.filter((one) => one.violations.length > 0).map((one) => one.seed);
  const [first] = seeds;
  return { seeds, story: first === undefined ? '' : storyOf(runSeed(first, { trace: true })) };
}

// Beside `sim.test.ts`, which has all other worlds: each takes about as long.
describe('the simulation with one provider', () => {
  test(`of ${SEEDS} seeds breaks no promise`, () => {
    expect(brokenIn(thousand())).toEqual({ seeds: [], story: '' });
  });

  test('of seeds that once broke a promise breaks none', () => {
    expect(brokenIn(KNOWN_SEEDS.map((seed) => runSeed(seed)))).toEqual({ seeds: [], story: '' });
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
    expect(new Set(thousand().map((one) => one.hash)).size).toBe(SEEDS);
  });

  test('is no calm sea: takeovers, handbacks, returns to READY and many downlinks happen in it', () => {
    const lives = new Map<string, number>();
    for (const { summary } of thousand()) lives.set(summary.life, (lives.get(summary.life) ?? 0) + 1);
    expect(lives.get('SETTLED honoured')).toBeGreaterThan(SEEDS / 4);
    expect(lives.get('READY')).toBeGreaterThan(SEEDS / 10);
    expect(thousand().reduce((sum, one) => sum + one.summary.downlinks, 0)).toBeGreaterThan(20 * SEEDS);
    expect(Math.max(...thousand().map((one) => one.summary.epoch))).toBeGreaterThanOrEqual(5);
  });
});
