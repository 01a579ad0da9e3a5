import { createTokenBuckets } from './token-buckets.ts';

/** Frames within this distance above a mote's last mark are taken for its next ones. */
const WINDOW = 1024;

export interface RateLimit {
  /** Whether a new frame of this mote may be taken now (monotonic ms); takes a token if so. */
  take(devAddr: string, fcnt16: number, now: number): boolean;
  /** The last counter (16 bits) known to be true for a mote: frames far from it no longer spend the tokens of its next ones. */
  mark(devAddr: string, fcnt16: number): void;
  /** Forgets the motes that are not in the filter any more. */
  keepOnly(devAddrs: ReadonlySet<string>): void;
  /** Lets go of what is known of motes that sent nothing lately (monotonic ms); changes no answer. */
  tidy(now: number): void;
}

/** A token bucket per mote, and a second one for counters that cannot be its next: a flood of forgeries takes only those. */
export function createRateLimit(perSecond: number, burst: number): RateLimit {
  const buckets = createTokenBuckets(perSecond, burst);
  const marks = new Map<string, number>();
  return {
    take(devAddr, fcnt16, now) {
      const mark = marks.get(devAddr);
      const near = mark === undefined || ((fcnt16 - mark + 0x1_0000) & 0xffff) <= WINDOW;
      return buckets.spend(near ? devAddr : `${devAddr}/far`, now);
    },
    mark: (devAddr, fcnt16) => void marks.set(devAddr, fcnt16),
    tidy: (now) => buckets.tidy(now),
    keepOnly(devAddrs) {
      const wanted = (key: string): boolean => devAddrs.has(key.slice(0, 8));
      buckets.keepOnly(wanted);
      for (const devAddr of marks.keys()) if (!wanted(devAddr)) marks.delete(devAddr);
    },
  };
}
