/** So many at once, and so many in the long run. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** A token bucket for each key; those that are full again are forgotten. */
export interface RateLimit<K> {
  /** Whether one more is allowed now (monotonic ms). */
  take(key: K, now: number): boolean;
}

const KEYS = 10_000;

export function createRateLimit<K>({ burst, perSecond }: Rate): RateLimit<K> {
  const buckets = new Map<K, { tokens: number; at: number }>();
  const refilled = (bucket: { tokens: number; at: number }, now: number): number =>
    Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
  const forgetFull = (now: number): void => {
    for (const [key, bucket] of buckets) if (refilled(bucket, now) >= burst) buckets.delete(key);
  };
  return {
    take(key, now) {
      if (buckets.size >= KEYS) forgetFull(now);
      const bucket = buckets.get(key) ?? { tokens: burst, at: now };
      const tokens = refilled(bucket, now);
      const allowed = tokens >= 1;
      buckets.set(key, { tokens: allowed ? tokens - 1 : tokens, at: now });
      return allowed;
    },
  };
}
