import { describeError, isAntirioError, type Clock, type Random } from '@antirio/kernel';

const FIRST_DELAY_MS = 250;
const LAST_DELAY_MS = 30_000;
/** What is wrong with the bytes or the wish itself does not pass with time. */
const PERMANENT = ['corrupt', 'invalidInput'] as const;
const FAILED_AFTER = 3;

/** What went wrong in a row, and when it may be tried again: doubled, jittered delays. */
export interface Setbacks {
  note(error: unknown): void;
  clear(): void;
  /** Monotonic ms; Infinity when only another wish can help. */
  readonly retryAt: number;
  readonly failed: boolean;
  /** Whether time alone cannot mend it: the bytes or the wish itself are wrong. */
  readonly permanent: boolean;
  readonly count: number;
  readonly detail: string | undefined;
}

export function createSetbacks(clock: Clock, random: Random): Setbacks {
  let count = 0;
  let retryAt = 0;
  let detail: string | undefined;
  return {
    note(error) {
      count++;
      detail = describeError(error);
      const delay = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** (count - 1));
      const jitter = 0.5 + (random.bytes(1)[0] ?? 0) / 256;
      const permanent = PERMANENT.some((code) => isAntirioError(error, code));
      retryAt = permanent ? Infinity : clock.monotonic() + delay * jitter;
    },
    clear() {
      count = 0;
      retryAt = 0;
      detail = undefined;
    },
    get retryAt() {
      return retryAt;
    },
    get failed() {
      return retryAt === Infinity || count >= FAILED_AFTER;
    },
    get permanent() {
      return retryAt === Infinity;
    },
    get count() {
      return count;
    },
    get detail() {
      return detail;
    },
  };
}
