import { describe, expect, test } from '@jest/globals';
import { createAlarm, createChecks, longestUnchecked } from './checks.ts';

const INTERVAL = 1000;

describe('checks', () => {
  const simulate = (things: number, atMost: number, rounds: number) => {
    let now = 1_000_000;
    let byte = 0;
    const clock = { now: () => now, monotonic: () => now };
    const random = { bytes: (size: number) => new Uint8Array(size).fill((byte += 37) % 256) };
    const checks = createChecks({ intervalMs: INTERVAL, atMost, clock, random });
    const last = new Map<string, number>();
    const perRound: number[] = [];
    const gaps: number[] = [];
    for (let round = 0; round < rounds; round++, now += INTERVAL / 4) {
      const isDue = checks.round();
      let done = 0;
      const keys = Array.from({ length: things }, (_, i) => `t${i}`);
      const checkedAt = (key: string) => ({ ok: true, checkedAt: last.get(key) ?? 0 });
      for (const key of longestUnchecked(keys, checkedAt)) {
        const before = last.get(key);
        if (!isDue(key, before)) continue;
        done++;
        if (before !== undefined) gaps.push(now - before);
        last.set(key, now);
      }
      perRound.push(done);
    }
    return { last, perRound, gaps };
  };

  test('come to everything, no more than so many at once, each at its own distance', () => {
    const { last, perRound, gaps } = simulate(8, 4, 40);
    expect(last.size).toBe(8);
    expect(Math.max(...perRound)).toBe(4);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(INTERVAL * 0.75);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(INTERVAL * 1.25 + INTERVAL / 2);
    expect(new Set(gaps).size).toBeGreaterThan(1);
  });

  test('of more than can be done in an interval take longer, and still come to everything', () => {
    const { last, perRound } = simulate(30, 2, 60);
    expect(last.size).toBe(30);
    expect(Math.max(...perRound)).toBe(2);
  });
});

test('the orchestrator is told of changes, and not of what stays as it is', () => {
  const told: unknown[] = [];
  const alarm = createAlarm((letter) => told.push(letter.json));
  const what = { at: 'here', imageId: 'i', imageCid: 'c' } as const;
  const [good, bad] = [
    { ok: true, checkedAt: 1 },
    { ok: false, checkedAt: 2, error: 'a block is gone' },
  ];
  alarm(what, undefined, good);
  alarm(what, good, good);
  expect(told).toEqual([]);
  alarm(what, good, bad);
  alarm(what, bad, bad);
  alarm(what, bad, good);
  alarm(what, undefined, bad);
  expect(told).toEqual([
    { ...what, ...bad },
    { ...what, ...good },
    { ...what, ...bad },
  ]);
});
