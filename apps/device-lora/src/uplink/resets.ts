import type { MacState } from '@antirio/lorawan';
import type { HeardUplink } from './reader.ts';
import { highestOf, type Session } from './sessions.ts';

/** Tells frames of a count that a device has begun anew from those of the count before that come late. */
export interface Resets {
  /**
   * Whether the frame is from before the device's last reset: a reading still, but no part of its count. With the second of two in order above what the device
   * had counted to, that reset was none (a frame recorded long ago and played again): it is taken back, and the MAC layer is as before.
   */
  isEarlier(heard: Pick<HeardUplink, 'session' | 'fcnt' | 'uplink'>): boolean;
  /** Whether the device counts from the beginning again with this frame, which is new. */
  begins(heard: Pick<HeardUplink, 'session' | 'fcnt' | 'uplink'>): boolean;
  /** The device's MAC layer as it was before the reset that just began, for the case that it was none. */
  keepFormerMac(session: Session, mac: MacState): void;
  /** The highest counter before the last reset. */
  formerOf(session: Session): number | undefined;
  /** Resets of the device since the start. */
  countOf(session: Session): number;
}

interface Former {
  readonly highest: number;
  /** Wall ms of the reset. */
  readonly endedAt: number;
  readonly resets: number;
  /** A frame above `highest` that came since. */
  above?: number;
  mac?: MacState;
  /** The old count went on. */
  isTakenBack?: true;
}

/** No gateway is so slow that a frame comes later than as many of its device's next ones. */
const LATE_BY = 64;
/** A count that begins anew: a device's first frames may be lost. */
const FIRST_ONES = 8;
/** Nor so slow that it comes later than this. */
const SLOWEST_MS = 900_000;

/** What is known since the start: frames that come later than that are judged by their counters alone. */
export function createResets(onTakenBack: (session: Session) => void): Resets {
  const former = new WeakMap<Session, Former>();
  /** Counters that a late frame may have, or a count that begins anew; the next frame tells. */
  const suspects = new WeakMap<Session, number>();

  const isNewCount: Resets['begins'] = ({ session, fcnt }) => {
    // other bytes under a counter that is stored: no gateway is slow in that way
    if (session.seen.has(fcnt)) return true;
    const back = (highestOf(session) ?? 0) - fcnt;
    const isFirst = fcnt < FIRST_ONES;
    if (isFirst && back >= LATE_BY) return true;
    // the count goes on: what was suspected was late
    if (back <= 0) suspects.delete(session);
    if (back < (isFirst ? FIRST_ONES : LATE_BY)) return false;
    const suspect = suspects.get(session);
    suspects.set(session, fcnt);
    return suspect !== undefined && fcnt > suspect && fcnt - suspect <= LATE_BY;
  };
  /** Whether the old count goes on: one frame above it may be late, two in order are not. */
  const goesOn = (session: Session, before: Former, fcnt: number): boolean => {
    if (fcnt <= before.highest) return false;
    const { above = fcnt } = before;
    before.above = fcnt;
    if (fcnt <= above) return false;
    before.isTakenBack = true;
    suspects.delete(session);
    if (before.mac !== undefined) {
      // numbers only rise: the count that is taken back had some of its own
      const { number = 0 } = session.mac ?? {};
      const isNumbered = before.mac.number !== undefined && number !== before.mac.number;
      session.mac = isNumbered ? { ...before.mac, number: number + 1 } : before.mac;
      session.macUnsaved = true;
    }
    onTakenBack(session);
    return true;
  };
  const countOf: Resets['countOf'] = (session) => former.get(session)?.resets ?? 0;
  return {
    isEarlier({ session, fcnt, uplink }) {
      const before = former.get(session);
      if (before === undefined || before.isTakenBack) return false;
      if (uplink.heardAt === undefined) return uplink.receivedAt < before.endedAt;
      const isSoon = uplink.receivedAt - before.endedAt <= SLOWEST_MS;
      const isFar = fcnt > (highestOf(session) ?? 0) + LATE_BY;
      if (!isSoon || !isFar || Math.abs(fcnt - before.highest) > LATE_BY) return false;
      return !goesOn(session, before, fcnt);
    },
    begins(heard) {
      const { session, uplink } = heard;
      if (!session.device.mayReset || uplink.heardAt === undefined || !isNewCount(heard)) return false;
      const highest = highestOf(session) ?? 0;
      former.set(session, { highest, endedAt: uplink.receivedAt, resets: countOf(session) + 1 });
      suspects.delete(session);
      return true;
    },
    keepFormerMac(session, mac) {
      const before = former.get(session);
      if (before !== undefined) before.mac = mac;
    },
    formerOf: (session) => former.get(session)?.highest,
    countOf,
  };
}
