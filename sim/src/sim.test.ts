import { describe, expect, test } from '@jest/globals';
import { runSeed, type RunResult } from './run.ts';
import { storyOf } from './story.ts';

const SEEDS = 1000;
const SEEDS_OF_TWO = 200;
const SEEDS_OF_DRILLS = 100;
const SEEDS_OF_FULL_DRILLS = 100;
const SEEDS_OF_CLAIMS = 30;
const SEEDS_OF_UNHEARD = 40;
const SEEDS_OF_BLOCKS = 40;
/** Of those worlds others that once broke something. */
const KNOWN_BLOCKS: readonly number[] = [269];
const KNOWN_DRILLS: readonly number[] = [5242];
const SEEDS_OF_MISSTATED = 40;
const SEEDS_OF_TEN_MINUTES = 15;

/** Others than the first thousand that once broke something. */
const KNOWN_SEEDS: readonly number[] = [
  1093, 10_815, 11_716, 12_297, 13_148, 14_087, 22_297, 39_836, 672_981, 1_012_083, 1_012_911,
];

let cached: readonly RunResult[] | undefined;
const thousand = (): readonly RunResult[] =>
  (cached ??= Array.from({ length: SEEDS }, (_, i) => runSeed(i + 1)));

/** What broke, with the story of the first run that it broke in. */
function brokenIn(results: readonly RunResult[]): { readonly seeds: number[]; readonly story: string } {
  const seeds = results.filter((one) => one.violations.length > 0).map((one) => one.seed);
  const [first] = seeds;
  return { seeds, story: first === undefined ? '' : storyOf(runSeed(first, { trace: true })) };
}

describe('the simulation', () => {
  test(`of ${SEEDS} seeds breaks no promise`, () => {
    expect(brokenIn(thousand())).toEqual({ seeds: [], story: '' });
  });

  test(`with two providers of ${SEEDS_OF_TWO} seeds breaks no promise, and both serve in turn`, () => {
    const two = (seed: number, trace = false): RunResult => runSeed(seed, { kind: 'twoProviders', trace });
    const results = Array.from({ length: SEEDS_OF_TWO }, (_, i) => two(i + 1));
    const broken = results.find((one) => one.violations.length > 0);
    expect(broken === undefined ? '' : storyOf(two(broken.seed, true))).toBe('');
    const servers = results.map(({ summary }) => summary.servers.length);
    expect(servers.filter((count) => count === 2).length).toBeGreaterThan(SEEDS_OF_TWO / 10);
  });

  test(`with drills of ${SEEDS_OF_DRILLS} seeds breaks no promise`, () => {
    const drilled = (seed: number, trace = false): RunResult => runSeed(seed, { kind: 'drills', trace });
    const seeds = [...Array.from({ length: SEEDS_OF_DRILLS }, (_, i) => i + 1), ...KNOWN_DRILLS];
    const results = seeds.map((seed) => drilled(seed));
    const broken = results.find((one) => one.violations.length > 0);
    expect(broken === undefined ? '' : storyOf(drilled(broken.seed, true))).toBe('');
  });

  test(`with full drills of ${SEEDS_OF_FULL_DRILLS} seeds breaks no promise, and many are passed`, () => {
    const drilled = (seed: number, trace = false): RunResult => runSeed(seed, { kind: 'fullDrills', trace });
    const results = Array.from({ length: SEEDS_OF_FULL_DRILLS }, (_, i) => drilled(i + 1));
    const broken = results.find((one) => one.violations.length > 0);
    expect(broken === undefined ? '' : storyOf(drilled(broken.seed, true))).toBe('');
    const passed = results.filter(({ summary }) => summary.fullDrills > 0).length;
    expect(passed).toBeGreaterThan(SEEDS_OF_FULL_DRILLS / 4);
  });

  test(`with claims of ${SEEDS_OF_CLAIMS} seeds punishes who throws frames away, and nobody else`, () => {
    const claimed = (seed: number, trace = false): RunResult => runSeed(seed, { kind: 'coverage', trace });
    const results = Array.from({ length: SEEDS_OF_CLAIMS }, (_, i) => claimed(i + 1));
    const broken = results.find((one) => one.violations.length > 0);
    expect(broken === undefined ? '' : storyOf(claimed(broken.seed, true))).toBe('');
    const lives = results.map(({ summary }) => summary.life);
    const ruled = lives.filter((life) => life === 'SETTLED providerBreach');
    expect(ruled.length).toBeGreaterThan(SEEDS_OF_CLAIMS / 10);
    expect(lives.filter((life) => life === 'SETTLED honoured').length).toBeGreaterThan(SEEDS_OF_CLAIMS / 3);
  });

  test(`with a device that hears nothing of ${SEEDS_OF_UNHEARD} seeds breaks no promise`, () => {
    const unheard = (seed: number, trace = false): RunResult => runSeed(seed, { kind: 'unheard', trace });
    const results = Array.from({ length: SEEDS_OF_UNHEARD }, (_, i) => unheard(i + 1));
    const broken = results.find((one) => one.violations.length > 0);
    expect(broken === undefined ? '' : storyOf(unheard(broken.seed, true))).toBe('');
  });

  test(`with blocks of counters on promises of ${SEEDS_OF_BLOCKS} seeds breaks no promise`, () => {
    const blocks = (seed: number, trace = false): RunResult => runSeed(seed, { kind: 'blocks', trace });
    const seeds = [...Array.from({ length: SEEDS_OF_BLOCKS }, (_, i) => i + 1), ...KNOWN_BLOCKS];
    const results = seeds.map((seed) => blocks(seed));
    const broken = results.find((one) => one.violations.length > 0);
    expect(broken === undefined ? '' : storyOf(blocks(broken.seed, true))).toBe('');
    const used = results.filter(({ summary }) => summary.onPromises > 0);
    expect(used.length).toBeGreaterThan(SEEDS_OF_BLOCKS / 2);
  });

  test(`with statements that are wrong of ${SEEDS_OF_MISSTATED} seeds ends each dispute: agreed on, or undecided with all stakes back`, () => {
    const misstated = (seed: number, trace = false): RunResult => runSeed(seed, { kind: 'misstated', trace });
    const results = Array.from({ length: SEEDS_OF_MISSTATED }, (_, i) => misstated(i + 1));
    const broken = results.find((one) => one.violations.length > 0);
    expect(broken === undefined ? '' : storyOf(misstated(broken.seed, true))).toBe('');
    const lives = results.map(({ summary }) => summary.life);
    for (const life of ['SETTLED undecided', 'SETTLED honoured']) expect(lives).toContain(life);
  });

  test(`over ten minutes of ${SEEDS_OF_TEN_MINUTES} seeds breaks no promise, takeover after takeover`, () => {
    const long = (seed: number, trace = false): RunResult => runSeed(seed, { kind: 'long', trace });
    const results = Array.from({ length: SEEDS_OF_TEN_MINUTES }, (_, i) => long(i + 1));
    const broken = results.find((one) => one.violations.length > 0);
    expect(broken === undefined ? '' : storyOf(long(broken.seed, true))).toBe('');
    const epochs = results.map(({ summary }) => summary.epoch).sort((a, b) => a - b);
    expect(epochs[Math.floor(epochs.length / 2)]).toBeGreaterThan(5);
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
