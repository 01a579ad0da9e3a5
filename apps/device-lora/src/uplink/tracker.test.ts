import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createTracker } from './tracker.ts';

describe('the cursor of a ring', () => {
  test('moves only past frames that are done, whatever order they are done in', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([1, 2, 3, 4, 5, 6, 7, 8], { minLength: 8, maxLength: 8 }), (order) => {
        const tracker = createTracker(0);
        for (let seq = 1; seq <= 8; seq++) expect(tracker.begin(seq, seq - 1)).toBe(true);
        const done = new Set<number>();
        for (const seq of order) {
          tracker.done(seq);
          done.add(seq);
          let expected = 0;
          while (done.has(expected + 1)) expected += 1;
          expect(tracker.cursor).toBe(expected);
        }
        expect(tracker.size).toBe(0);
      }),
    );
  });

  test('waits for a missing frame, and takes what came ahead of it once', () => {
    const tracker = createTracker(0);
    tracker.begin(1, 0);
    tracker.begin(3, 2);
    tracker.done(1);
    tracker.done(3);
    expect([tracker.cursor, tracker.received]).toEqual([1, 1]);
    expect(tracker.begin(2, 1)).toBe(true);
    expect(tracker.received).toBe(3);
    expect(tracker.begin(3, 2)).toBe(false);
    tracker.done(2);
    expect(tracker.cursor).toBe(3);
    expect(tracker.begin(2, 1)).toBe(false);
  });

  test('frames that left the ring are not waited for: the one after them says so', () => {
    const tracker = createTracker(4);
    expect(tracker.begin(51, 50)).toBe(true);
    tracker.done(51);
    expect(tracker.cursor).toBe(4);
    expect(tracker.begin(51, 4)).toBe(false);
    expect([tracker.cursor, tracker.received, tracker.size]).toEqual([51, 51, 0]);
    tracker.begin(52, 51);
    tracker.done(52);
    expect(tracker.cursor).toBe(52);
  });

  test('any mix of live frames, losses and replays ends with everything done exactly once', () => {
    const frames = 40;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(frames), fc.integer({ min: 1, max: 9 }), fc.boolean()), { maxLength: 80 }),
        (events) => {
          const tracker = createTracker(0);
          const begun: number[] = [];
          const pending: number[] = [];
          const take = (seq: number, previous: number): void => {
            if (!tracker.begin(seq, previous)) return;
            begun.push(seq);
            pending.push(seq);
          };
          for (const [live, page, finish] of events) {
            take(live + 1, live);
            const { received } = tracker;
            for (let seq = received + 1; seq <= Math.min(received + page, frames + 1); seq++)
              take(seq, seq - 1);
            if (finish) for (const seq of pending.splice(0)) tracker.done(seq);
            expect(tracker.cursor).toBeLessThanOrEqual(tracker.received);
          }
          for (let seq = tracker.received + 1; seq <= frames + 1; seq++) take(seq, seq - 1);
          for (const seq of pending.splice(0)) tracker.done(seq);
          expect(tracker.cursor).toBe(frames + 1);
          expect(tracker.size).toBe(0);
          expect(new Set(begun).size).toBe(begun.length);
          expect(begun.length).toBe(frames + 1);
        },
      ),
    );
  });

  test('what was received is the same however often it is asked for', () => {
    const links = fc.array(
      fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 4 }), fc.boolean()),
    );
    fc.assert(
      fc.property(links, (steps) => {
        const [often, once] = [createTracker(0), createTracker(0)];
        for (const [seq, back, finish] of steps) {
          for (const tracker of [often, once]) {
            tracker.begin(seq, Math.max(0, seq - back));
            if (finish) tracker.done(seq);
          }
          expect(often.received).toBeGreaterThanOrEqual(often.cursor);
        }
        expect([often.received, often.cursor]).toEqual([once.received, once.cursor]);
      }),
      { numRuns: 2000, seed: 11 },
    );
  });
});
