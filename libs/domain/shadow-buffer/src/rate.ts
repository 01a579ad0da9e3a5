import type { HighWaters, Standing } from './high-water.ts';
import { createTokenBuckets } from './token-buckets.ts';

/** Where nobody has told where a mote is, forgeries must not be able to take all of its tokens: so many frames may come in all. */
const UNKNOWN_TIMES = 8;
/** Counters that share their tokens there. */
const BLOCK_BITS = 10;
/** Above its mark a mote's frames have tokens of their own up to each of these: forgeries all over the window leave the next ones theirs. */
const STEPS = [16, 64, 256, 1024, 4096, 16_384];

export interface RateLimit {
  /** Whether a new frame of this mote may be taken now (monotonic ms); takes a token if so. */
  take(devAddr: string, fcnt16: number, now: number): boolean;
  /** Forgets the motes that are not in the filter any more. */
  keepOnly(devAddrs: ReadonlySet<string>): void;
  /** Lets go of what is known of motes that sent nothing lately (monotonic ms); changes no answer. */
  tidy(now: number): void;
}

/** Which of a mote's frames share their tokens with this one. */
function groupOf(standing: Standing, fcnt16: number): string {
  if (standing === 'far' || standing === 'behind') return standing;
  // a flood goes over all blocks, and a mote is in one or two
  if (standing === 'unknown') return `block ${fcnt16 >> BLOCK_BITS}`;
  return `near ${STEPS.filter((step) => standing >= step).length}`;
}

/** Token buckets of a mote: those for counters that cannot be its next are all that a flood of forgeries takes. */
export function createRateLimit(
  perSecond: number,
  burst: number,
  marks: Pick<HighWaters, 'standing'> = { standing: () => 'unknown' },
): RateLimit {
  const buckets = createTokenBuckets(perSecond, burst);
  const inAll = createTokenBuckets(perSecond * UNKNOWN_TIMES, burst * UNKNOWN_TIMES);
  return {
    take(devAddr, fcnt16, now) {
      const standing = marks.standing(devAddr, fcnt16);
      const isTaken = buckets.spend(`${devAddr}/${groupOf(standing, fcnt16)}`, now);
      return isTaken && (standing !== 'unknown' || inAll.spend(devAddr, now));
    },
    tidy(now) {
      buckets.tidy(now);
      inAll.tidy(now);
    },
    keepOnly(devAddrs) {
      const wanted = (key: string): boolean => devAddrs.has(key.slice(0, 8));
      buckets.keepOnly(wanted);
      inAll.keepOnly(wanted);
    },
  };
}
