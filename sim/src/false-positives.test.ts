import { describe, expect, test } from '@jest/globals';
import { burstLoss, countFalsePositives, independentLoss } from './false-positives.ts';

const terms = { opening: 'witnessed', heartbeatIntervalMs: 200, missedBeats: 3, leaseMs: 3000 } as const;
const alone = { ...terms, opening: 'autonomous' } as const;
const HOUR = 18_000;

describe('a customer that lives', () => {
  test.each([
    ['by provider and witness', terms],
    ['by a provider that decides alone', alone],
  ])('is not taken for dead %s in a day of which every fifth datagram is lost', (_by, under) => {
    const day = countFalsePositives({ seed: 1, beats: 24 * HOUR, terms: under, way: independentLoss(0.2) });
    // Every few seconds two beats in a row are lost.
    expect(day.doubts).toBeGreaterThan(8000);
    expect(day).toMatchObject({ simulatedMs: 86_400_000, deaths: 0 });
  });

  test('is never doubted where nothing is lost', () => {
    const hour = countFalsePositives({ seed: 2, beats: HOUR, terms, way: independentLoss(0) });
    expect(hour).toMatchObject({ doubts: 0, suspicions: 0, deaths: 0 });
  });
});

describe('what is counted', () => {
  test('grows with the loss as it should: with most datagrams lost it is taken for dead', () => {
    const at = (loss: number): number =>
      countFalsePositives({ seed: 3, beats: 4 * HOUR, terms, way: independentLoss(loss) }).deaths;
    const [some, more, most] = [at(0.5), at(0.6), at(0.8)];
    expect(some).toBeGreaterThan(5);
    expect(more).toBeGreaterThan(3 * some);
    expect(most).toBeGreaterThan(3 * more);
  });

  test('is a link that is dead for a second, too', () => {
    const hour = countFalsePositives({ seed: 4, beats: HOUR, terms, way: burstLoss(0.2, 1000) });
    expect(hour.deaths).toBeGreaterThan(0);
  });

  test('is the same for the same seed', () => {
    const run = (seed: number): unknown =>
      countFalsePositives({ seed, beats: HOUR, terms, way: independentLoss(0.6) });
    expect(run(5)).toEqual(run(5));
    expect(run(5)).not.toEqual(run(6));
  });
});
