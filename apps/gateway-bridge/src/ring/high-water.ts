import { z } from 'zod';
import { fromUtf8, type Clock } from '@antirio/kernel';
import { parseInput, readFileIfThere, writeFileDurably } from '@antirio/host';

/** The highest counter of a mote that its keys have verified. */
export const highWater = z.strictObject({
  /** Names the session keys, and tells nothing of them. */
  session: z.string().regex(/^[0-9a-f]{1,32}$/),
  /** How often the mote has begun to count anew under the same keys; the edge that has the keys counts that. */
  resets: z.int().min(0).optional(),
  fcnt: z.int().min(0).max(0xffff_ffff),
});
export type HighWater = z.output<typeof highWater>;

/** How many counters a frame is above its mote's mark; `unknown`: nobody has told where the mote is. */
export type Standing = number | 'far' | 'unknown';

/** Frames within this distance above a mote's mark are taken for its next ones; more as time goes by. */
const WINDOW = 1024;
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
  /** Writes down what is new, where that is due (monotonic ms), or at once; where it cannot, old marks do as well. */
  save(now?: number): void;
}

const fileSchema = z.record(z.string().regex(/^[0-9a-f]{8}$/), highWater);
const SAVE_EVERY_MS = 60_000;

/** What is there is taken; a file that cannot be read counts for none, and comes again from who has the keys. */
function stored(path: string): [string, HighWater][] {
  const bytes = readFileIfThere(path);
  if (bytes === undefined) return [];
  try {
    return Object.entries(parseInput(fileSchema, JSON.parse(fromUtf8(bytes))));
  } catch {
    return [];
  }
}

export interface Growth {
  /** What a mote sends at most. */
  readonly framesPerSecond: number;
  readonly clock: Pick<Clock, 'monotonic'>;
}

/** In the file at `path`, which is read again after a start; time begins anew with it. Without `growth` the window stays as it is. */
export function openHighWaters(path: string, growth?: Growth): HighWaters {
  const marks = new Map(stored(path));
  /** When the first frame after the mote's mark was heard, monotonic ms. */
  const heardAt = new Map<string, number>();
  const windowOf = (devAddr: string): number => {
    const since = heardAt.get(devAddr);
    if (growth === undefined || since === undefined) return WINDOW;
    const seconds = (growth.clock.monotonic() - since) / 1000;
    return Math.min(MOST_WINDOW, WINDOW + Math.ceil(seconds * growth.framesPerSecond));
  };
  let isNew = false;
  let savedAt = -Infinity;
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
      isNew = true;
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
      return above <= windowOf(devAddr) ? above : 'far';
    },
    windowOf,
    keepOnly(devAddrs) {
      for (const devAddr of marks.keys())
        if (!devAddrs.has(devAddr)) {
          marks.delete(devAddr);
          heardAt.delete(devAddr);
          isNew = true;
        }
    },
    save(now = Infinity) {
      if (!isNew || now - savedAt < SAVE_EVERY_MS) return;
      savedAt = now;
      try {
        writeFileDurably(path, JSON.stringify(Object.fromEntries(marks)));
        isNew = false;
      } catch {
        // what the disk does not take is told by the ring itself
      }
    },
  };
}
