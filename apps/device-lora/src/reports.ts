import type { Clock } from '@antirio/kernel';
import { createThrottle } from '@antirio/host';

/** Of what happens often, each kind is told once in this time. */
const EVERY_MS = 60_000;

/** Lets one report of each kind through in each minute; it is told how many were left out since the last. */
export function createReports(
  clock: Pick<Clock, 'monotonic'>,
): (kind: string, report: (leftOut: number) => void) => void {
  const throttles = new Map<string, ReturnType<typeof createThrottle>>();
  return (kind, report) => {
    const throttle = throttles.get(kind) ?? createThrottle(EVERY_MS, clock);
    throttles.set(kind, throttle);
    throttle(report);
  };
}
