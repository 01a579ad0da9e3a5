/** Tokens of one mote; refilled with time. */
interface Bucket {
  tokens: number;
  at: number;
}

/** Frames within this distance above a mote's last mark are taken for its next ones. */
const WINDOW = 1024;

export interface RateLimit {
  /** Whether a new frame of this mote may be taken now (monotonic ms); takes a token if so. */
  take(devAddr: string, fcnt16: number, now: number): boolean;
  /** The last counter (16 bits) known to be true for a mote: frames far from it no longer spend the tokens of its next ones. */
  mark(devAddr: string, fcnt16: number): void;
  /** Forgets the motes that are not in the filter any more. */
  keepOnly(devAddrs: ReadonlySet<string>): void;
}

/** A token bucket per mote, and a second one for counters that cannot be its next: a flood of forgeries takes only those. */
export function createRateLimit(perSecond: number, burst: number): RateLimit {
  const buckets = new Map<string, Bucket>();
  const marks = new Map<string, number>();
  const spend = (key: string, now: number): boolean => {
    const bucket = buckets.get(key) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    buckets.set(key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  };
  return {
    take(devAddr, fcnt16, now) {
      const mark = marks.get(devAddr);
      const near = mark === undefined || ((fcnt16 - mark + 0x1_0000) & 0xffff) <= WINDOW;
      return spend(near ? devAddr : `${devAddr}/far`, now);
    },
    mark: (devAddr, fcnt16) => void marks.set(devAddr, fcnt16),
    keepOnly(devAddrs) {
      for (const map of [buckets, marks])
        for (const key of map.keys()) if (!devAddrs.has(key.slice(0, 8))) map.delete(key);
    },
  };
}
