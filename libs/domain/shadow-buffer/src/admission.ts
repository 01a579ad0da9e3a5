import type { Clock } from '@antirio/kernel';
import { devAddrOf } from '@antirio/lorawan';
import { LATE_BY, type HighWaters } from './high-water.ts';
import type { RateLimit } from './rate.ts';
import type { Buffered, Slots } from './slots.ts';

/** Whose frames a buffer takes, and how many bytes of them. */
export interface BufferFilter {
  /** Lower-case hex. */
  readonly devAddrs: readonly string[];
  /** DevAddrs of one device, which have one share together: those of its sessions. */
  readonly sharing?: readonly (readonly string[])[] | undefined;
  /** Divided evenly among its DevAddrs, or those that share: a mote's share is never another's. */
  readonly budgetBytes: number;
}

/**
 * Why a frame is not taken. `budget`: its mote's share is full of what nobody has acknowledged, or what is left of it is for the mote's
 * next frames. `rate`: faster than a mote may send. `slots`: more frames under one counter than a mote can have sent.
 */
export type DropReason = 'budget' | 'rate' | 'slots';

export interface AdmissionPorts {
  readonly slots: Slots;
  readonly rate: RateLimit;
  /** Where its motes are; without them every frame is taken alike. */
  readonly marks?: Pick<HighWaters, 'of' | 'standing' | 'windowOf' | 'keepOnly'> | undefined;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Everything up to this frame is with its owner. */
  readonly acknowledged: () => number;
  /** Whether the oldest frame may leave. */
  readonly mayRelease: () => boolean;
  /** Lets it go. */
  readonly release: () => void;
  /** Bytes beyond its budget that acknowledged frames may fill, where they are held; undefined where they are not. */
  readonly spare: () => number | undefined;
  /** One budget for all motes and no limit of their rates, oldest frames first to go. */
  readonly shared: boolean;
}

/** Decides what a buffer takes, so that no flood of forgeries displaces what its motes have sent. */
export interface Admission {
  configure(filter: BufferFilter): void;
  /** Lets acknowledged frames go where this one needs their room. `isNew`: not heard by this edge or another before. */
  refusal(frame: Buffered, isNew: boolean): DropReason | undefined;
}

/** Of a mote's share so much is kept for its next frames, as long as these have not come: forgeries fill the rest. */
const NEAR_PART = 2 / 3;

/** By each DevAddr of a device all that it has; of those that stand for themselves nothing. */
function sharingOf({ devAddrs, sharing = [] }: BufferFilter): Map<number, readonly number[]> {
  const known = new Set(devAddrs);
  const groups = new Map<number, readonly number[]>();
  for (const group of sharing) {
    const numbers = group.filter((one) => known.has(one)).map((one) => Number.parseInt(one, 16));
    for (const one of numbers) groups.set(one, numbers);
  }
  return groups;
}

export function createAdmission(ports: AdmissionPorts): Admission {
  const { slots, marks, shared, mayRelease } = ports;
  let budgetBytes = 0;
  let share = 0;
  let sharing = new Map<number, readonly number[]>();

  const sumOf = (devAddr: number, of: (one: number) => number): number =>
    (sharing.get(devAddr) ?? [devAddr]).reduce((sum, one) => sum + of(one), 0);
  const isFullFor = ({ devAddr, length }: Buffered): boolean =>
    shared
      ? slots.bytes + length > budgetBytes
      : sumOf(devAddr, (one) => slots.bytesOf(one)) + length > share;
  /** Frames that cannot be a mote's next leave room for those. */
  const isCrowdingOut = ({ devAddr, fcnt16, length }: Buffered): boolean => {
    const name = devAddrOf(devAddr);
    const mark = marks?.of(name);
    if (marks === undefined || mark === undefined || marks.standing(name, fcnt16) !== 'far') return false;
    const room = share - length - sumOf(devAddr, (one) => slots.pendingOf(one));
    const kept = share * NEAR_PART;
    const near = LATE_BY + marks.windowOf(name) + 1;
    return room < kept && room < kept - slots.pendingWithin(devAddr, (mark.fcnt - LATE_BY) & 0xffff, near);
  };
  const isTooFast = ({ devAddr, fcnt16 }: Buffered): boolean =>
    !ports.rate.take(devAddrOf(devAddr), fcnt16, ports.clock.monotonic());
  const hasSpareFor = ({ length }: Buffered): boolean => {
    const more = ports.spare();
    return more !== undefined && slots.bytes + length <= budgetBytes + more;
  };
  /** What is acknowledged stays as long as nothing needs its room. */
  const makeRoomFor = (frame: Buffered): boolean => {
    const fits = (): boolean => !isFullFor(frame) || (mayRelease() && hasSpareFor(frame));
    while (!fits() && mayRelease()) ports.release();
    return fits();
  };
  return {
    configure(filter) {
      ({ budgetBytes } = filter);
      sharing = sharingOf(filter);
      const alone = filter.devAddrs.filter((devAddr) => !sharing.has(Number.parseInt(devAddr, 16)));
      share = Math.floor(budgetBytes / Math.max(1, alone.length + new Set(sharing.values()).size));
      const wanted = new Set(filter.devAddrs);
      ports.rate.keepOnly(wanted);
      marks?.keepOnly(wanted);
    },
    refusal(frame, isNew) {
      if (!slots.hasRoom(frame, ports.acknowledged())) return 'slots';
      const isLimited = isNew && frame.radio && !shared;
      if (isLimited && isCrowdingOut(frame)) return 'budget';
      if (!makeRoomFor(frame)) return 'budget';
      return isLimited && isTooFast(frame) ? 'rate' : undefined;
    },
  };
}
