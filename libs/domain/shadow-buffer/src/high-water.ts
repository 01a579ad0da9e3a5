import { z } from 'zod';
import type { Clock } from '@antirio/kernel';

/** The highest counter of a mote that its keys have verified. */
export const highWater = z.strictObject({
  /** Names the session keys, and tells nothing of them. */
  session: z.string().regex(/^[0-9a-f]{1,32}$/),
  /** How often the mote has begun to count anew under the same keys; the edge that has the keys counts that. */
  resets: z.int().min(0).optional(),
  fcnt: z.int().min(0).max(0xffff_ffff),
});
export type HighWater = z.output<typeof highWater>;

/**
 * How many counters a frame is above its mote's mark. `behind`: shortly below it, as what was on its way for longer, or heard while this
 * edge was held up, when another one had counted on. `unknown`: nobody has told where the mote is.
 */
export type Standing = number | 'behind' | 'far' | 'unknown';

/** Frames within this distance above a mote's mark are taken for its next ones; more as time goes by. */
const WINDOW = 1024;
/** So many counters below a mark a frame may be late. */
export const LATE_BY = 256;
/** Further on a counter of 16 bits may as well be below the mark. */
const MOST_WINDOW = 0x8000;
/** Marks that are told in one request. */
export const MARKS_AT_ONCE = 1000;

/** High-water marks of a ring's motes, by DevAddr; what they say goes for frames that nobody here can verify. */
export interface HighWaters {
  /** Whether it is news. In a session marks only rise; a mote that counts anew (`resets`) or has other keys begins again. */
  raise(devAddr: string, told: HighWater): boolean;
  of(devAddr: string): HighWater | undefined;
  all(): Readonly<Record<string, HighWater>>;
  readonly count: number;
  /** A frame was heard: how it stands to its mote's mark. */
  standing(devAddr: string, fcnt16: number): Standing;
  /** How far above its mark a mote may have counted: on from the first frame that was heard after the mark was told. */
  windowOf(devAddr: string): number;
  /** Forgets the motes that are not in the filter any more. */
  keepOnly(devAddrs: ReadonlySet<string>): void;
  /** Changes with whatever there is to write down. */
  readonly version: number;
}

export interface Growth {
  /** What a mote sends at most. */
  readonly framesPerSecond: number;
  readonly clock: Pick<Clock, 'monotonic'>;
}

/** Begins with what was written down before; time begins anew with it. Without `growth` the window stays as it is. */
export function createHighWaters(
  before: Iterable<readonly [devAddr: string, mark: HighWater]>,
  growth?: Growth,
): HighWaters {
  const marks = new Map(before);
  /** When the first frame after the mote's mark was heard, monotonic ms. */
  const heardAt = new Map<string, number>();
  const windowOf = (devAddr: string): number => {
    const since = heardAt.get(devAddr);
    if (growth === undefined || since === undefined) return WINDOW;
    const seconds = (growth.clock.monotonic() - since) / 1000;
    return Math.min(MOST_WINDOW, WINDOW + Math.ceil(seconds * growth.framesPerSecond));
  };
  let version = 0;
  /** A counter that falls, as the edge says that has the keys, is one that began anew. */
  const counted = (
    known: HighWater | undefined,
    { session, fcnt, resets }: HighWater,
  ): Required<HighWater> => {
    const before = known?.session === session ? known : undefined;
    if (resets !== undefined || before === undefined) return { session, fcnt, resets: resets ?? 0 };
    return { session, fcnt, resets: (before.resets ?? 0) + (fcnt < before.fcnt ? 1 : 0) };
  };
  return {
    raise(devAddr, told) {
      const known = marks.get(devAddr);
      const next = counted(known, told);
      if (known?.session === next.session) {
        const { resets = 0, fcnt } = known;
        if (next.resets < resets || (next.resets === resets && next.fcnt <= fcnt)) return false;
      }
      marks.set(devAddr, next);
      heardAt.delete(devAddr);
      version += 1;
      return true;
    },
    of: (devAddr) => marks.get(devAddr),
    all: () => Object.fromEntries(marks),
    get count() {
      return marks.size;
    },
    standing(devAddr, fcnt16) {
      const mark = marks.get(devAddr);
      if (mark === undefined) return 'unknown';
      if (growth !== undefined && !heardAt.has(devAddr)) heardAt.set(devAddr, growth.clock.monotonic());
      const above = (fcnt16 - mark.fcnt) & 0xffff;
      if (above <= windowOf(devAddr)) return above;
      return above >= 0x1_0000 - LATE_BY ? 'behind' : 'far';
    },
    windowOf,
    keepOnly(devAddrs) {
      for (const devAddr of marks.keys())
        if (!devAddrs.has(devAddr)) {
          marks.delete(devAddr);
          heardAt.delete(devAddr);
          version += 1;
        }
    },
    get version() {
      return version;
    },
  };
}
