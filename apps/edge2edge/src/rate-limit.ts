import type { Clock } from '@antirio/kernel';

/** Token buckets by key, for a bounded number of keys. */
export interface RateLimit {
  /** Whether this key may do one more now. */
  admit(key: string, perSecond?: number): boolean;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** `perSecond` on average, bursts of twice that. When too many keys are known, the one that was quiet longest is forgotten. */
export function createRateLimit(
  clock: Pick<Clock, 'monotonic'>,
  perSecond: number,
  maxKeys = 4096,
): RateLimit {
  const buckets = new Map<string, Bucket>();
  return {
    admit(key, rate = perSecond) {
      const now = clock.monotonic();
      const burst = Math.max(1, 2 * rate);
      const known = buckets.get(key);
      const tokens =
        known === undefined ? burst : Math.min(burst, known.tokens + ((now - known.at) / 1000) * rate);
      // Put last: the map's order is that of the last use.
      buckets.delete(key);
      const oldest = buckets.size >= maxKeys ? buckets.keys().next().value : undefined;
      if (oldest !== undefined) buckets.delete(oldest);
      const admitted = tokens >= 1;
      buckets.set(key, { tokens: admitted ? tokens - 1 : tokens, at: now });
      return admitted;
    },
  };
}

/** How many pieces of work of one key are under way; of all places so many are kept for keys that have none. */
export interface Concurrency {
  /** A function that ends the piece of work, or undefined when there are too many. */
  begin(key: string): (() => void) | undefined;
}

export function createConcurrency(perKey: number, inAll: number, keptForFirst = 0): Concurrency {
  const running = new Map<string, number>();
  let all = 0;
  return {
    begin(key) {
      const now = running.get(key) ?? 0;
      if (now >= perKey || all >= inAll - (now === 0 ? 0 : keptForFirst)) return undefined;
      running.set(key, now + 1);
      all += 1;
      let over = false;
      return () => {
        if (over) return;
        over = true;
        all -= 1;
        const left = (running.get(key) ?? 1) - 1;
        if (left === 0) running.delete(key);
        else running.set(key, left);
      };
    },
  };
}

/** Bytes by key: whoever has had more than `perSecond` lets for now has none until that is made up for. */
export interface ByteQuota {
  has(key: string): boolean;
  spend(key: string, bytes: number): void;
}

/** What is spent is known only afterwards, so that one answer may go beyond it. Keys with no debt are not remembered. */
export function createByteQuota(
  clock: Pick<Clock, 'monotonic'>,
  perSecond: number,
  maxKeys = 4096,
): ByteQuota {
  const debts = new Map<string, { readonly bytes: number; readonly at: number }>();
  const owed = (key: string): number => {
    const debt = debts.get(key);
    if (debt === undefined) return 0;
    return Math.max(0, debt.bytes - ((clock.monotonic() - debt.at) / 1000) * perSecond);
  };
  return {
    has: (key) => owed(key) < perSecond,
    spend(key, bytes) {
      const now = owed(key) + bytes;
      debts.delete(key);
      const oldest = debts.size >= maxKeys ? debts.keys().next().value : undefined;
      if (oldest !== undefined) debts.delete(oldest);
      debts.set(key, { bytes: now, at: clock.monotonic() });
    },
  };
}
