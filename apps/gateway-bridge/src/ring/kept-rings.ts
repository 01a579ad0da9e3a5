import { z } from 'zod';
import type { Clock } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import type { Ring } from './ring.ts';

/** Of a ring whose contract is over: it takes nothing any more, and what it holds stays for its owner. */
export const keptSchema = z.object({
  /** For so long, counted while we are up. */
  forMs: z.int().min(0),
  agedMs: z.number().min(0).default(0),
  /** Frames that went before their time, for living rings' sake. */
  yielded: z.int().min(0).default(0),
  /** Frames that had left when its contract ended, for newer ones or for their age. */
  before: z.int().min(0).default(0),
});
export type Kept = z.output<typeof keptSchema>;

/** A ring as its keeping sees it. */
export interface Keepable {
  readonly id: string;
  readonly ring: Ring;
  readonly owner: string | undefined;
  readonly kept: Kept | undefined;
}

/** What became of kept rings' frames since the start. */
export interface KeptCounts {
  /** Had left when the contract ended. */
  readonly before: number;
  readonly expired: number;
  readonly yielded: number;
}

export interface KeptView {
  readonly leftS: number;
  readonly yielded: number;
  readonly before: number;
}

export interface KeptRings {
  /** Of a kept ring: how long it still stays, and what of it went before. */
  of(id: string, kept: Kept): KeptView;
  /** Its time begins now. `before`: frames that had left by then, where that is not known yet. */
  begin(id: string, before: number): void;
  /** Those whose time is over, or that hold nothing, go. Of all others frames go until living rings have their room: of the owner who has most, of the ring that ends first, the oldest first; where the disk lacks room, whole files, as nothing less gives it any. */
  tidy(): Promise<void>;
  /** Ages reach the disk. */
  save(): void;
  counts(): KeptCounts;
}

export interface KeptRingsPorts {
  readonly all: () => readonly Keepable[];
  /** Durably. */
  readonly change: (id: string, kept: Kept) => void;
  readonly remove: (id: string) => Promise<void>;
  /** Bytes that all rings may fill. */
  readonly total: number;
  /** How many rings are kept at most. */
  readonly most: number;
  /** Bytes that the disk has left. */
  readonly free: () => number;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
}

const SAVE_EVERY_MS = 600_000;
/** Left on the disk for everything else that this edge writes. */
const DISK_KEPT = 64 << 20;

type Yielding = Keepable & { readonly kept: Kept };
const isKept = (one: Keepable): one is Yielding => one.kept !== undefined;

export function createKeptRings(ports: KeptRingsPorts): KeptRings {
  const { clock } = ports;
  /** Until when the age on the disk says all, monotonic ms. */
  const countedTo = new Map<string, number>();
  let counts: KeptCounts = { before: 0, expired: 0, yielded: 0 };

  const ageOf = (id: string, { agedMs }: Kept): number => {
    const now = clock.monotonic();
    const since = countedTo.get(id) ?? now;
    countedTo.set(id, since);
    return agedMs + now - since;
  };
  const leftOf = (id: string, kept: Kept): number => Math.max(0, kept.forMs - ageOf(id, kept));
  const change = (id: string, kept: Kept, changed: Partial<Kept> = {}): void => {
    ports.change(id, { ...kept, agedMs: ageOf(id, kept), ...changed });
    countedTo.set(id, clock.monotonic());
  };
  const sumOfLiving = (bytes: (one: Keepable['ring']) => number): number =>
    ports
      .all()
      .filter((one) => !isKept(one))
      .reduce((sum, { ring }) => sum + bytes(ring), 0);
  /** What they may fill beside the living ones. */
  const allowed = (): number =>
    ports.total - sumOfLiving(({ settings, bytes }) => Math.max(settings.budgetBytes, bytes));
  /** Bytes that the disk lacks for what living rings may still fill. */
  const lacking = (): number =>
    DISK_KEPT +
    sumOfLiving(({ settings, bytes }) => Math.max(0, settings.budgetBytes - bytes)) -
    ports.free();
  const isThere = (id: string): boolean => ports.all().some((one) => one.id === id);
  const yielded = ({ id, kept }: Yielding, frames: number, bytes: number): void => {
    counts = { ...counts, yielded: counts.yielded + frames };
    const facts = { ring: id, frames, bytes };
    ports.log.warn(facts, 'frames of a contract that is over made room before their time');
    if (isThere(id)) change(id, kept, { yielded: kept.yielded + frames });
  };
  const end = async (id: string): Promise<void> => {
    countedTo.delete(id);
    await ports.remove(id);
  };
  /** Of the owner who has most of what is lacking, the one that ends first: no customer's copies go for another's. */
  const nextOf = (from: readonly Yielding[], weight: (ring: Ring) => number): Yielding | undefined => {
    const weightOf = (ones: readonly Yielding[]): number =>
      ones.reduce((sum, { ring }) => sum + weight(ring), 0);
    const [most = []] = [...Map.groupBy(from, ({ owner }) => owner).values()].toSorted(
      (a, b) => weightOf(b) - weightOf(a),
    );
    return most.toSorted((a, b) => leftOf(a.id, a.kept) - leftOf(b.id, b.kept))[0];
  };
  /** Files go until the disk has what it lacks; a ring that has but the one that is written goes with it. */
  const makeDiskRoom = async (): Promise<void> => {
    let lacks = lacking();
    let rest = ports.all().filter(isKept);
    for (;;) {
      const one = lacks > 0 ? nextOf(rest, ({ onDisk }) => onDisk) : undefined;
      if (one === undefined) return;
      const { ring } = one;
      let gone = { frames: 0, bytes: 0 };
      while (gone.bytes < lacks) {
        const file = ring.dropFile();
        if (file === undefined) break;
        gone = { frames: gone.frames + file.frames, bytes: gone.bytes + file.bytes };
      }
      const isAllGone = gone.bytes < lacks;
      if (isAllGone) gone = { frames: gone.frames + ring.status().count, bytes: gone.bytes + ring.onDisk };
      lacks -= gone.bytes;
      rest = rest.filter((other) => other !== one);
      // first: what is noted takes room, too
      if (isAllGone) await end(one.id);
      yielded(one, gone.frames, gone.bytes);
    }
  };
  const shrink = (one: Yielding, bytes: number): void => {
    const before = one.ring.bytes;
    const gone = one.ring.shrink(bytes);
    if (gone > 0) yielded(one, gone, before - one.ring.bytes);
  };
  const makeRoom = (): void => {
    let rest = ports.all().filter(isKept);
    const without = (one: Yielding): Yielding[] => rest.filter((other) => other !== one);
    while (rest.length > ports.most) {
      const one = nextOf(rest, () => 1);
      if (one === undefined) return;
      shrink(one, 0);
      rest = without(one);
    }
    let excess = rest.reduce((sum, { ring }) => sum + ring.bytes, 0) - Math.max(0, allowed());
    for (;;) {
      const one = excess > 0 ? nextOf(rest, ({ bytes }) => bytes) : undefined;
      if (one === undefined) return;
      const { bytes } = one.ring;
      shrink(one, Math.max(0, bytes - excess));
      excess -= bytes - one.ring.bytes;
      rest = without(one);
    }
  };
  return {
    of: (id, kept) => ({
      leftS: Math.round(leftOf(id, kept) / 1000),
      yielded: kept.yielded,
      before: kept.before,
    }),
    begin(id, before) {
      counts = { ...counts, before: counts.before + before };
      countedTo.set(id, clock.monotonic());
    },
    async tidy() {
      makeRoom();
      await makeDiskRoom();
      for (const { id, ring, kept } of ports.all().filter(isKept)) {
        if (leftOf(id, kept) === 0 || ring.status().count === 0) {
          counts = { ...counts, expired: counts.expired + ring.status().count };
          await end(id);
        } else if (ageOf(id, kept) - kept.agedMs >= SAVE_EVERY_MS) change(id, kept);
      }
    },
    save() {
      for (const { id, kept } of ports.all().filter(isKept)) change(id, kept);
    },
    counts: () => counts,
  };
}
