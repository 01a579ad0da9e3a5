import type { HighWater } from '@antirio/shadow-buffer';
import type { Frame } from './frames.ts';
import type { Host } from './host.ts';

export interface RingFrame {
  readonly seq: number;
  readonly frame: Frame;
  /** Heard by the edge's own gateway; else fetched from the other edge. */
  readonly radio: boolean;
  /** True time, for whoever may answer a mote at once. */
  readonly heardAt: number;
}

/** What of a ring is on the disk. */
export interface RingDisk {
  frames: RingFrame[];
  acknowledged: number;
  /** Of the other edge's ring: everything up to here is here too. */
  /** How far another edge's ring has been fetched, by its name. */
  readonly pulled: Map<string, number>;
  /** What has left it: for who looks at the run. */
  readonly letGo: Set<string>;
}

/** A durable log of raw frames in which the same bytes are kept once. */
export interface Ring {
  /** The newest frame that is on the disk. */
  readonly last: number;
  /** Everything up to here is with its owner, who has said so. */
  readonly acknowledged: number;
  /** `refused`: the disk did not take it, and nothing is known of it. */
  take(frame: Frame, radio: boolean, now: number, durable: () => void, refused?: () => void): void;
  holds(bytes: string): boolean;
  /** Its number, on the disk or on its way there. */
  seqOf(bytes: string): number | undefined;
  /** Frames after `after`, at most so many. */
  after(after: number, limit: number): readonly RingFrame[];
  at(seq: number): RingFrame | undefined;
  acknowledge(through: number): void;
  /** Lets the oldest frame go. */
  dropOldest(): void;
  /** How far a mote has counted, as its keys have shown: nothing to a ring that takes whatever comes. */
  mark(devAddr: string, mark: HighWater): void;
  marks(): Readonly<Record<string, HighWater>>;
}

export const emptyRing = (): RingDisk => ({
  frames: [],
  acknowledged: 0,
  pulled: new Map(),
  letGo: new Set(),
});

/** Opens a ring as its disk has it. Writes that come together share one fsync; what was not synced may survive in part. */
export function openRing(host: Host, disk: RingDisk, onStored: () => void): Ring {
  const known = new Map<string, number>();
  let next = 1;
  for (const { seq, frame } of disk.frames) {
    known.set(frame.bytes, seq);
    next = seq + 1;
  }
  interface Batch {
    readonly frames: RingFrame[];
    readonly done: (() => void)[];
    readonly refused: (() => void)[];
  }
  const empty = (): Batch => ({ frames: [], done: [], refused: [] });
  let waiting = empty();
  let flushing: Batch | undefined;
  const durableLast = (): number => disk.frames.at(-1)?.seq ?? 0;

  const forget = (frames: readonly RingFrame[]): void => {
    for (const { frame } of frames) known.delete(frame.bytes);
    next = durableLast() + 1;
  };
  const flush = (): void => {
    if (flushing !== undefined || waiting.frames.length === 0) return;
    const batch = waiting;
    flushing = batch;
    waiting = empty();
    // the kernel may write some of it at once, whether the process lives on or not
    const room = host.dice.below(batch.frames.length + 1);
    const early = host.full ? 0 : room;
    disk.frames.push(...batch.frames.slice(0, early));
    host.after(host.fsyncMs(), () => {
      flushing = undefined;
      if (host.full) {
        forget([...batch.frames.slice(early), ...waiting.frames]);
        const all = [...batch.refused, ...waiting.refused];
        waiting = empty();
        for (const call of all) call();
        return;
      }
      disk.frames.push(...batch.frames.slice(early));
      host.wrote('ring');
      for (const call of batch.done) call();
      onStored();
      flush();
    });
  };
  const take: Ring['take'] = (frame, radio, now, durable, refused = () => undefined) => {
    const seq = known.get(frame.bytes);
    if (seq === undefined) {
      known.set(frame.bytes, next);
      waiting.frames.push({ seq: next, frame, radio, heardAt: now });
      waiting.done.push(durable);
      waiting.refused.push(refused);
      next += 1;
      flush();
    } else if (seq <= durableLast()) durable();
    else {
      const batch = seq >= (waiting.frames[0]?.seq ?? Infinity) ? waiting : (flushing ?? waiting);
      batch.done.push(durable);
      batch.refused.push(refused);
    }
  };
  return {
    get last() {
      return durableLast();
    },
    get acknowledged() {
      return disk.acknowledged;
    },
    take,
    holds(bytes) {
      const seq = known.get(bytes);
      return seq !== undefined && seq <= durableLast();
    },
    seqOf: (bytes) => known.get(bytes),
    after(after, limit) {
      const { frames } = disk;
      const first = frames[0]?.seq ?? 1;
      const from = Math.max(0, after + 1 - first);
      return frames.slice(from, from + limit);
    },
    at: (seq) => disk.frames[seq - (disk.frames[0]?.seq ?? 1)],
    acknowledge(through) {
      const reached = Math.min(through, durableLast());
      if (host.full || reached <= disk.acknowledged) return;
      disk.acknowledged = reached;
      host.wrote('acknowledged');
    },
    mark: () => undefined,
    marks: () => ({}),
    dropOldest() {
      const gone = disk.frames.shift();
      if (gone === undefined) return;
      known.delete(gone.frame.bytes);
      disk.letGo.add(gone.frame.bytes);
    },
  };
}
