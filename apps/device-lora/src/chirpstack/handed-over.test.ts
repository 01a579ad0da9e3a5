import { expect, test } from '@jest/globals';
import { createHandedOver } from './handed-over.ts';

const LOOK_MS = 5000;

/** Looks every 5 s; gives what was held to be lost at each. */
function looking() {
  let now = 1_000_000;
  const handedOver = createHandedOver({ monotonic: () => now });
  return {
    handedOver,
    looks: (times: number, frames: number, told: number | ((time: number) => number)): number[] =>
      Array.from({ length: times }, (_, time) => {
        now += LOOK_MS;
        return handedOver.look(frames, typeof told === 'number' ? told : told(time));
      }),
  };
}
const sum = (of: readonly number[]): number => of.reduce((all, one) => all + one, 0);

test('what is handed over while ChirpStack is away is counted, once it has been silent for half a minute', () => {
  const { handedOver, looks } = looking();
  // it tells of each
  expect(sum(looks(10, 1, (time) => time + 1))).toBe(0);
  // ten minutes without it, and a frame in each look
  const lost = looks(120, 1, 10);
  expect(lost.slice(0, 6)).toEqual([0, 0, 0, 0, 0, 0]);
  expect(sum(lost)).toBeGreaterThanOrEqual(113);
  // it is back: what it may have had of the last half minute is held against nobody
  expect(sum(looks(20, 1, (time) => 11 + time))).toBe(0);
  expect(handedOver.counts()).toEqual({ frames: 150, unheard: sum(lost) });
});

test('a late event is in time for half a minute, and silence where nothing was handed over is none', () => {
  const { handedOver, looks } = looking();
  expect(sum(looks(100, 0, 0))).toBe(0);
  expect(sum([...looks(1, 9, 0), ...looks(4, 0, 0), ...looks(1, 0, 1), ...looks(50, 0, 1)])).toBe(0);
  expect(sum([...looks(1, 9, 1), ...looks(6, 0, 1)])).toBe(9);
  // what it tells later is of something else
  looks(1, 0, 2);
  expect(handedOver.counts()).toEqual({ frames: 18, unheard: 9 });
});
