/** Tokens by key; refilled with time. */
export interface TokenBuckets {
  /** Whether there is a token for this key now (monotonic ms); takes it if so. */
  spend(key: string, now: number): boolean;
  /** Forgets the buckets of keys that are not wanted any more. */
  keepOnly(wanted: (key: string) => boolean): void;
  /** Forgets the buckets that are full by now: a new one is no other. */
  tidy(now: number): void;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** One bucket for each key, `burst` tokens full at first. Whoever asks sees to it that the keys are bounded. */
export function createTokenBuckets(perSecond: number, burst: number): TokenBuckets {
  const buckets = new Map<string, Bucket>();
  const tokensOf = ({ tokens, at }: Bucket, now: number): number =>
    Math.min(burst, tokens + ((now - at) / 1000) * perSecond);
  return {
    spend(key, now) {
      const bucket = buckets.get(key) ?? { tokens: burst, at: now };
      bucket.tokens = tokensOf(bucket, now);
      bucket.at = now;
      buckets.set(key, bucket);
      if (bucket.tokens < 1) return false;
      bucket.tokens -= 1;
      return true;
    },
    keepOnly(wanted) {
      for (const key of buckets.keys()) if (!wanted(key)) buckets.delete(key);
    },
    tidy(now) {
      for (const [key, bucket] of buckets) if (tokensOf(bucket, now) >= burst) buckets.delete(key);
    },
  };
}
