import { describe, expect, test } from '@jest/globals';
import type { ScenarioKind } from './kinds.ts';
import { runSeed, type RunResult } from './run.ts';
import { storyOf } from './story.ts';

const SEEDS_OF_TWO = 200;
const KNOWN_OF_TWO: readonly number[] = [986, 1735, 2879, 8991];
const SEEDS_OF_DRILLS = 100;
const SEEDS_OF_FULL_DRILLS = 100;
const KNOWN_FULL_DRILLS: readonly number[] = [81_049, 101_341, 110_945];
const SEEDS_OF_CLAIMS = 30;
const KNOWN_CLAIMS: readonly number[] = [2057];
const SEEDS_OF_UNHEARD = 40;
const SEEDS_OF_BLOCKS = 40;
/** Of those worlds others that once broke something. */
const KNOWN_BLOCKS: readonly number[] = [269];
const KNOWN_DRILLS: readonly number[] = [5242];
const SEEDS_OF_MISSTATED = 40;
const KNOWN_MISSTATED: readonly number[] = [51_073];
const SEEDS_OF_STRAYS = 20;
const KNOWN_STRAYS: readonly number[] = [55];
const SEEDS_OF_FAITHLESS = 20;
const KNOWN_FAITHLESS: readonly number[] = [20_256];
const SEEDS_OF_OVERLONG = 10;
const KNOWN_OVERLONG: readonly number[] = [5140];
const SEEDS_OF_FULL_DISKS = 40;
const KNOWN_FULL_DISKS: readonly number[] = [1_501_144];
const SEEDS_OF_EXPIRING = 15;
const SEEDS_OF_RELAY = 12;
const SEEDS_OF_FLOODS = 40;
const SEEDS_OF_TEN_MINUTES = 15;
const KNOWN_TEN_MINUTES: readonly number[] = [111, 122, 314, 468];

const seedsTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i + 1);

/** The runs of worlds of a kind, none of which breaks a promise; else the story of the first that does. */
function unbroken(kind: ScenarioKind, seeds: readonly number[]): readonly RunResult[] {
  const results = seeds.map((seed) => runSeed(seed, { kind }));
  const broken = results.find((one) => one.violations.length > 0);
  expect(broken === undefined ? '' : storyOf(runSeed(broken.seed, { kind, trace: true }))).toBe('');
  return results;
}

describe('the simulation', () => {
  test(`with two providers of ${SEEDS_OF_TWO} seeds breaks no promise, and both serve in turn`, () => {
    const results = unbroken('twoProviders', [...seedsTo(SEEDS_OF_TWO), ...KNOWN_OF_TWO]);
    const servers = results.map(({ summary }) => summary.servers.length);
    expect(servers.filter((count) => count === 2).length).toBeGreaterThan(SEEDS_OF_TWO / 10);
  });

  test(`with drills of ${SEEDS_OF_DRILLS} seeds breaks no promise`, () => {
    unbroken('drills', [...seedsTo(SEEDS_OF_DRILLS), ...KNOWN_DRILLS]);
  });

  test(`with full drills of ${SEEDS_OF_FULL_DRILLS} seeds breaks no promise, and many are passed`, () => {
    const results = unbroken('fullDrills', [...seedsTo(SEEDS_OF_FULL_DRILLS), ...KNOWN_FULL_DRILLS]);
    const passed = results.filter(({ summary }) => summary.fullDrills > 0).length;
    expect(passed).toBeGreaterThan(SEEDS_OF_FULL_DRILLS / 4);
  });

  test(`with claims of ${SEEDS_OF_CLAIMS} seeds punishes who throws frames away, and nobody else`, () => {
    const lives = unbroken('coverage', [...seedsTo(SEEDS_OF_CLAIMS), ...KNOWN_CLAIMS]).map(
      ({ summary }) => summary.life,
    );
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
    const lives = unbroken('misstated', [...seedsTo(SEEDS_OF_MISSTATED), ...KNOWN_MISSTATED]).map(
      ({ summary }) => summary.life,
    );
    for (const life of ['SETTLED undecided', 'SETTLED honoured']) expect(lives).toContain(life);
  });

  test(`with drivers that stray of ${SEEDS_OF_STRAYS} seeds breaks no promise`, () => {
    unbroken('strays', [...seedsTo(SEEDS_OF_STRAYS), ...KNOWN_STRAYS]);
  });

  test(`with faithless providers of ${SEEDS_OF_FAITHLESS} seeds breaks no promise, and who leaves its customer alone pays`, () => {
    const lives = unbroken('faithless', [...seedsTo(SEEDS_OF_FAITHLESS), ...KNOWN_FAITHLESS]).map(
      ({ summary }) => summary.life,
    );
    const ruled = lives.filter((life) => life === 'SETTLED providerBreach');
    expect(ruled.length).toBeGreaterThan(SEEDS_OF_FAITHLESS / 5);
  });

  test(`with a customer that stays away for too long of ${SEEDS_OF_OVERLONG} seeds breaks no promise`, () => {
    unbroken('overlong', [...seedsTo(SEEDS_OF_OVERLONG), ...KNOWN_OVERLONG]);
  });

  test(`with full disks of ${SEEDS_OF_FULL_DISKS} seeds breaks no promise, and providers serve`, () => {
    const results = unbroken('fullDisks', [...seedsTo(SEEDS_OF_FULL_DISKS), ...KNOWN_FULL_DISKS]);
    const served = results.filter(({ summary }) => summary.servers.length > 0);
    expect(served.length).toBeGreaterThan(SEEDS_OF_FULL_DISKS / 2);
  });

  test(`with floods of forgeries of ${SEEDS_OF_FLOODS} seeds drops these, and no frame of a mote that it has room for`, () => {
    const results = unbroken('floods', seedsTo(SEEDS_OF_FLOODS));
    const drops = results.reduce((sum, { summary }) => sum + summary.dropped, 0);
    expect(drops).toBeGreaterThan(20 * results.length);
  });

  test(`with contracts whose time is over of ${SEEDS_OF_EXPIRING} seeds ends them, and pays what is due`, () => {
    const lives = unbroken('expiring', seedsTo(SEEDS_OF_EXPIRING)).map(({ summary }) => summary.life);
    expect(lives).toContain('EXPIRED');
  });

  test(`with providers that only keep frames of ${SEEDS_OF_RELAY} seeds breaks no promise, and pays what is due`, () => {
    const results = unbroken('relay', seedsTo(SEEDS_OF_RELAY));
    expect(results.map(({ summary }) => summary.life)).toContain('EXPIRED');
    // of the others of their sets, now and then
    expect(new Set(results.flatMap(({ summary }) => summary.servers))).toEqual(new Set(['C']));
  });

  test(`over ten minutes of ${SEEDS_OF_TEN_MINUTES} seeds breaks no promise, takeover after takeover`, () => {
    const results = unbroken('long', [...seedsTo(SEEDS_OF_TEN_MINUTES), ...KNOWN_TEN_MINUTES]);
    const epochs = results.map(({ summary }) => summary.epoch).sort((a, b) => a - b);
    expect(epochs[Math.floor(epochs.length / 2)]).toBeGreaterThan(5);
  });
});
