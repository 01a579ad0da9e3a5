import type { Clock } from '@antirio/kernel';
import { systemClock } from './system.ts';

/** Lets one report through in each interval, the first at once; it is told how many were left out since the one before it. */
export function createThrottle(
  everyMs: number,
  clock: Pick<Clock, 'monotonic'> = systemClock,
): (report: (leftOut: number) => void) => void {
  let leftOut = 0;
  let last = -Infinity;
  return (report) => {
    const now = clock.monotonic();
    if (now - last < everyMs) {
      leftOut += 1;
      return;
    }
    last = now;
    report(leftOut);
    leftOut = 0;
  };
}
