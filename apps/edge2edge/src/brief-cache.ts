import type { Clock } from '@antirio/kernel';

/** Answers remembered for a short time; who asks for one that is under way waits for the same. */
export interface BriefCache<T> {
  get(key: string): Promise<T>;
}

interface Kept<T> {
  readonly answer: Promise<T>;
  until: number;
}

/** `lifeOf` says for how many milliseconds an answer holds. Failures are not remembered. */
export function createBriefCache<T>(
  clock: Pick<Clock, 'monotonic'>,
  ask: (key: string) => Promise<T>,
  lifeOf: (answer: T) => number,
  maxKeys = 1024,
): BriefCache<T> {
  const kept = new Map<string, Kept<T>>();
  const begin = (key: string): Promise<T> => {
    const entry: Kept<T> = { answer: ask(key), until: Number.POSITIVE_INFINITY };
    const oldest = kept.size >= maxKeys ? kept.keys().next().value : undefined;
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(key, entry);
    entry.answer.then(
      (answer) => {
        entry.until = clock.monotonic() + lifeOf(answer);
      },
      () => {
        if (kept.get(key) === entry) kept.delete(key);
      },
    );
    return entry.answer;
  };
  return {
    get(key) {
      const entry = kept.get(key);
      if (entry !== undefined && clock.monotonic() < entry.until) return entry.answer;
      kept.delete(key);
      return begin(key);
    },
  };
}
