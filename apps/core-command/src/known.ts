import type { Clock } from '@antirio/kernel';

/** What was asked for by name, remembered for a while. */
export interface Known<T> {
  /** As remembered, or as asked now; those that ask at once share one question. */
  get(name: string): Promise<T>;
  /** The next one asks anew; what is being asked is not remembered. */
  forget(name: string): void;
  forgetAll(): void;
}

interface Entry<T> {
  readonly value: Promise<T>;
  readonly until: number;
}

export interface KnownOptions {
  readonly max: number;
  readonly forMs: number;
}

/** Failures are not remembered. The oldest goes where there is no room. */
export function createKnown<T>(
  { max, forMs }: KnownOptions,
  clock: Clock,
  ask: (name: string) => Promise<T>,
): Known<T> {
  const entries = new Map<string, Entry<T>>();

  const askNow = (name: string): Promise<T> => {
    const entry = { value: ask(name), until: clock.monotonic() + forMs };
    entries.delete(name);
    for (const oldest of entries.keys()) {
      if (entries.size < max) break;
      entries.delete(oldest);
    }
    entries.set(name, entry);
    entry.value.catch(() => {
      if (entries.get(name) === entry) entries.delete(name);
    });
    return entry.value;
  };
  return {
    get(name) {
      const known = entries.get(name);
      return known !== undefined && clock.monotonic() < known.until ? known.value : askNow(name);
    },
    forget: (name) => void entries.delete(name),
    forgetAll: () => entries.clear(),
  };
}
