import {
  createAdmission,
  createHighWaters,
  createRateLimit,
  createSlots,
  type Buffered,
  type DropReason,
  type HighWater,
} from '@antirio/shadow-buffer';
import type { Frame } from './frames.ts';
import type { Ring, RingDisk, openRing } from './ring.ts';

/** What a ring takes, by the product's own rules. */
export interface BufferPieces {
  readonly createAdmission: typeof createAdmission;
  readonly createRateLimit: typeof createRateLimit;
  readonly createHighWaters: typeof createHighWaters;
}

export const bufferPieces: BufferPieces = { createAdmission, createRateLimit, createHighWaters };

/** A frame that a ring did not take. */
export interface Drop {
  readonly frame: Frame;
  readonly why: DropReason;
  /** How far its mote has counted was known to the ring. */
  readonly isMarked: boolean;
}

export interface RingLimits {
  readonly devAddrs: readonly string[];
  readonly shareBytes: number;
  /** Everything up to this frame is with its owner. */
  readonly acknowledged: (disk: RingDisk) => number;
  /** Nothing leaves it: a statement is to be made of its frames. */
  readonly isHeld: () => boolean;
  readonly onDropped: (drop: Drop) => void;
  /** It is taken: what no mote has sent, too. `pendingBytes`: of its mote, not acknowledged; 0 where its share does not bind, as the ring was held. */
  readonly onTaken: (frame: Frame, isMarked: boolean, pendingBytes: number) => void;
}

/** Of a frame of a dozen bytes with its head in the log. */
export const FRAME_BYTES = 84;
/** A gateway-bridge's own for EU868. */
const FRAMES_PER_SECOND = 1;
const BURST = 30;
const SAVE_EVERY_MS = 60_000;

/** Numbers for bytes: as good as their hashes. */
function createDigests(): (bytes: string) => bigint {
  const known = new Map<string, bigint>();
  return (bytes) => {
    const digest = known.get(bytes) ?? BigInt(known.size);
    known.set(bytes, digest);
    return digest;
  };
}

/** A ring with a budget for each mote, and limits of what may come under its address. */
export function limitedRing(
  open: typeof openRing,
  pieces: BufferPieces,
  limits: RingLimits,
): typeof openRing {
  const digestOf = createDigests();
  /** What is on the disk of the marks. */
  const saved = new WeakMap<RingDisk, Readonly<Record<string, HighWater>>>();
  const rowFor = (frame: Frame, radio: boolean): Buffered => ({
    devAddr: Number.parseInt(frame.devAddr, 16),
    fcnt16: frame.fcnt16,
    digest: digestOf(frame.bytes),
    length: FRAME_BYTES,
    radio,
  });
  return (host, disk, onStored) => {
    const ring = open(host, disk, onStored);
    const { clock } = host;
    const rows = new Map(disk.frames.map(({ seq, frame, radio }) => [seq, rowFor(frame, radio)]));
    const rowOf = (seq: number): Buffered => {
      const row = rows.get(seq);
      if (row === undefined) throw new Error(`no frame ${seq}`);
      return row;
    };
    const before = saved.get(disk) ?? {};
    const marks = pieces.createHighWaters(Object.entries(before), {
      framesPerSecond: FRAMES_PER_SECOND,
      clock,
    });
    const told = new Map(Object.entries(before));
    let savedAt = -Infinity;
    let wasHeld = false;
    const save = (): void => {
      if (clock.monotonic() - savedAt < SAVE_EVERY_MS) return;
      savedAt = clock.monotonic();
      saved.set(disk, Object.fromEntries(told));
    };
    const slots = createSlots(rowOf, (seq) => rows.has(seq), limits.acknowledged(disk));
    for (const [seq, row] of rows) slots.add(seq, row);
    const forget = (seq: number): void => {
      const row = rows.get(seq);
      if (row !== undefined) slots.remove(seq, row);
      rows.delete(seq);
    };
    const budgetBytes = limits.shareBytes * limits.devAddrs.length;
    const acknowledged = (): number => Math.min(limits.acknowledged(disk), ring.last);
    // the newest says with which number to go on
    const mayRelease = (): boolean =>
      disk.frames.length > 1 && (disk.frames[0]?.seq ?? Infinity) <= acknowledged();
    const release = (): void => {
      forget(disk.frames[0]?.seq ?? 0);
      ring.dropOldest();
    };
    const admission = pieces.createAdmission({
      ...{ slots, marks, clock, acknowledged, mayRelease, release, shared: false },
      rate: pieces.createRateLimit(FRAMES_PER_SECOND, BURST, marks),
      spare: () => (limits.isHeld() ? Infinity : undefined),
    });
    admission.configure({ devAddrs: limits.devAddrs, budgetBytes });
    const tidy = (): void => {
      slots.acknowledge(acknowledged());
      wasHeld ||= limits.isHeld();
      while (!limits.isHeld() && mayRelease() && slots.bytes > budgetBytes) release();
    };
    const take: Ring['take'] = (frame, radio, now, durable, refused = () => undefined) => {
      if (ring.seqOf(frame.bytes) !== undefined) {
        ring.take(frame, radio, now, durable, refused);
        return;
      }
      tidy();
      const row = rowFor(frame, radio);
      const why = admission.refusal(row, true);
      const isMarked = told.has(frame.devAddr);
      if (why !== undefined) {
        limits.onDropped({ frame, why, isMarked });
        // who fetches it goes on with the next one; what there is no room for yet stays where it is
        if (!radio) (why === 'budget' ? refused : durable)();
        return;
      }
      let seq = 0;
      ring.take(frame, radio, now, durable, () => {
        forget(seq);
        refused();
      });
      seq = ring.seqOf(frame.bytes) ?? 0;
      rows.set(seq, row);
      slots.add(seq, row);
      limits.onTaken(frame, isMarked, wasHeld ? 0 : slots.pendingOf(row.devAddr));
    };
    return {
      ...ring,
      get last() {
        return ring.last;
      },
      get acknowledged() {
        return ring.acknowledged;
      },
      take,
      mark(devAddr, mark) {
        told.set(devAddr, mark);
        marks.raise(devAddr, mark);
        save();
      },
      marks: () => Object.fromEntries(told),
    };
  };
}
