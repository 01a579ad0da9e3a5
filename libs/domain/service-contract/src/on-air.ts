import { MAX_DOWNLINK_LEAD_MS, surelyPassed } from './lease.ts';

/**
 * What a fence let through comes on air up to three seconds later. Where its edge takes a later epoch meanwhile that is still a frame of
 * the earlier one: nothing passes under the later epoch before. The grantor waits for what others sent by the leases that it gave; of
 * what an edge sent by promises, while somebody else had an epoch and never acted, only its own fence knows. Monotonic ms of its host.
 */
export interface OnAir {
  readonly epoch: number;
  /** Until then, what passed under this epoch may come on air. */
  readonly until: number;
  /** The same of all epochs before it. */
  readonly before: number;
}

/** Of a set that is new to the fence. */
export const nothingOnAir: OnAir = { epoch: 0, until: -Infinity, before: -Infinity };

/**
 * After a start: what passed before it is not known any more, nor under which epoch. The one on the disk may have been opened just
 * before, with a frame of the one before it still ahead: nothing passes under the same one either before that is on air.
 */
export function startedUnder(epoch: number, now: number): OnAir {
  const until = epoch === 0 ? -Infinity : now + surelyPassed(MAX_DOWNLINK_LEAD_MS);
  return { epoch, until, before: until };
}

export function underEpoch(air: OnAir, epoch: number): OnAir {
  if (epoch <= air.epoch) return air;
  return { epoch, until: -Infinity, before: Math.max(air.before, air.until) };
}

/** A frame that goes on air `aheadMs` from now. */
export function passedAhead(air: OnAir, aheadMs: number, now: number): OnAir {
  return { ...air, until: Math.max(air.until, now + surelyPassed(aheadMs)) };
}

/** From when on the set may be acted for, of an edge whose arbitrator says `actFrom`. */
export function actsFrom({ before }: OnAir, actFrom: number): number {
  return Math.max(actFrom, before);
}

/** The right to act for a set under an epoch, in words: the same ones only while nobody else can have had it. */
export const tenureWords = (setId: string, epoch: number): string => `${setId}/${epoch}`;
