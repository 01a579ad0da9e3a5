import { describe, expect, test } from '@jest/globals';
import { runSeed, type RunResult } from './run.ts';
import type { ScenarioKind } from './kinds.ts';
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
const SEEDS_OF_STRAYS = 20;
const KNOWN_STRAYS: readonly number[] = [55];
const SEEDS_OF_FAITHLESS = 20;
const SEEDS_OF_TEN_MINUTES = 15;

/** Others than the first thousand that once broke something. */
const KNOWN_SEEDS: readonly number[] = [
  1093, 10_815, 11_716, 12_297, 13_148, 14_087, 22_297, 39_836, 672_981, 1_012_083, 1_012_911,
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

/** The runs of worlds of a kind, none of which breaks a promise; else the story of the first that does. */
function unbroken(kind: ScenarioKind, seeds: readonly number[]): readonly RunResult[] {
  const results = seeds.map((seed) => runSeed(seed, { kind }));
  const broken = results.find((one) => one.violations.length > 0);
  expect(broken === undefined ? '' : storyOf(runSeed(broken.seed, { kind, trace: true }))).toBe('');
  return results;
}

describe('the simulation', () => {
  test(`of ${SEEDS} seeds breaks no promise`, () => {
    expect(brokenIn(thousand())).toEqual({ seeds: [], story: '' });
  });

  test(`with two providers of ${SEEDS_OF_TWO} seeds breaks no promise, and both serve in turn`, () => {
    const results = unbroken('twoProviders', seedsTo(SEEDS_OF_TWO));
    const servers = results.map(({ summary }) => summary.servers.length);
    expect(servers.filter((count) => count === 2).length).toBeGreaterThan(SEEDS_OF_TWO / 10);
  });

  test(`with drills of ${SEEDS_OF_DRILLS} seeds breaks no promise`, () => {
    unbroken('drills', [...seedsTo(SEEDS_OF_DRILLS), ...KNOWN_DRILLS]);
  });

  test(`with full drills of ${SEEDS_OF_FULL_DRILLS} seeds breaks no promise, and many are passed`, () => {
    const results = unbroken('fullDrills', seedsTo(SEEDS_OF_FULL_DRILLS));
    const passed = results.filter(({ summary }) => summary.fullDrills > 0).length;
    expect(passed).toBeGreaterThan(SEEDS_OF_FULL_DRILLS / 4);
  });

  test(`with claims of ${SEEDS_OF_CLAIMS} seeds punishes who throws frames away, and nobody else`, () => {
    const lives = unbroken('coverage', seedsTo(SEEDS_OF_CLAIMS)).map(({ summary }) => summary.life);
    const ruled = lives.filter((life) => life === 'SETTLED providerBreach');
    expect(ruled.length).toBeGreaterThan(SEEDS_OF_CLAIMS / 10);
    expect(lives.filter((life) => life === 'SETTLED honoured').length).toBeGreaterThan(SEEDS_OF_CLAIMS / 3);
  });

  test(`with a device that hears nothing of ${SEEDS_OF_UNHEARD} seeds breaks no promise`, () => {
    unbroken('unheard', seedsTo(SEEDS_OF_UNHEARD));
  });

  test(`with blocks of counters on promises of ${SEEDS_OF_BLOCKS} seeds breaks no promise`, () => {
    const results = unbroken('blocks', [...seedsTo(SEEDS_OF_BLOCKS), ...KNOWN_BLOCKS]);
    const used = results.filter(({ summary }) => summary.onPromises > 0);
    expect(used.length).toBeGreaterThan(SEEDS_OF_BLOCKS / 2);
  });

  test(`with statements that are wrong of ${SEEDS_OF_MISSTATED} seeds ends each dispute: agreed on, or undecided with all stakes back`, () => {
    const lives = unbroken('misstated', seedsTo(SEEDS_OF_MISSTATED)).map(({ summary }) => summary.life);
    for (const life of ['SETTLED undecided', 'SETTLED honoured']) expect(lives).toContain(life);
  });

  test(`with drivers that stray of ${SEEDS_OF_STRAYS} seeds breaks no promise`, () => {
    unbroken('strays', [...seedsTo(SEEDS_OF_STRAYS), ...KNOWN_STRAYS]);
  });

  test(`with faithless providers of ${SEEDS_OF_FAITHLESS} seeds breaks no promise, and who leaves its customer alone pays`, () => {
    const lives = unbroken('faithless', seedsTo(SEEDS_OF_FAITHLESS)).map(({ summary }) => summary.life);
    const ruled = lives.filter((life) => life === 'SETTLED providerBreach');
    expect(ruled.length).toBeGreaterThan(SEEDS_OF_FAITHLESS / 5);
  });

  test(`over ten minutes of ${SEEDS_OF_TEN_MINUTES} seeds breaks no promise, takeover after takeover`, () => {
    const results = unbroken('long', seedsTo(SEEDS_OF_TEN_MINUTES));
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
