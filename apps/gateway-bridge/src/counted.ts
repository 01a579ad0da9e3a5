import type { Clock } from '@antirio/kernel';
import { createThrottle, type Log } from '@antirio/host';

/** What is not taken: counted by reason, and told once per interval. */
export interface Counted<Reason extends string> {
  /** `about` is logged with the report that this one makes, if it makes one. */
  count(reason: Reason, about?: Readonly<Record<string, unknown>>): void;
  counts(): Readonly<Partial<Record<Reason, number>>>;
}

export interface CountedOptions<Reason extends string> {
  /** What the log says of them all. */
  readonly what: string;
  /** Reasons that come up in the best of networks. */
  readonly ordinary?: readonly Reason[];
  readonly log: Log;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly everyMs?: number;
}

const EVERY_MS = 60_000;

/** Reports of one reason do not keep back those of another. */
export function createCounted<Reason extends string>(options: CountedOptions<Reason>): Counted<Reason> {
  const { what, log, clock, everyMs = EVERY_MS } = options;
  const ordinary: ReadonlySet<Reason> = new Set(options.ordinary);
  const counts: Partial<Record<Reason, number>> = {};
  const throttles = new Map<Reason, ReturnType<typeof createThrottle>>();
  return {
    count(reason, about) {
      counts[reason] = (counts[reason] ?? 0) + 1;
      let throttle = throttles.get(reason);
      if (throttle === undefined) {
        throttle = createThrottle(everyMs, clock);
        throttles.set(reason, throttle);
      }
      throttle((leftOut) => {
        const report = { reason, ...about, total: counts[reason], ...(leftOut > 0 ? { leftOut } : {}) };
        if (ordinary.has(reason)) log.debug(report, what);
        else log.warn(report, what);
      });
    },
    counts: () => ({ ...counts }),
  };
}
