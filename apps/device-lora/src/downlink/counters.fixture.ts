import type { DownCounters } from './counters.ts';

/** Counters of an arbitrator that is the test: what it would grant, and nothing that is known of what a device has heard. */
export function grantedBy(
  next: DownCounters['next'],
  wait: (devAddr: Parameters<DownCounters['next']>[0]) => number | undefined = next,
): DownCounters {
  return {
    next,
    wait: (devAddr) => Promise.resolve(wait(devAddr)),
    prepare: () => undefined,
    unansweredSince: () => undefined,
    proved: () => undefined,
    gap: () => undefined,
    wantsProof: () => false,
    discard: () => undefined,
    clear: () => undefined,
    close: () => Promise.resolve(),
  };
}
