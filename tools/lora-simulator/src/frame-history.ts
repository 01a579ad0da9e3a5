import type { Random } from './random.ts';
import type { Frame } from './transmission.ts';

/** What an eavesdropper kept of one mote: its newest frames, and a few from all the time before. */
export interface FrameHistory {
  add(frame: Frame): void;
  newest(): Pick<Frame, 'devAddr' | 'fcnt'> | undefined;
  /** A frame first sent at or before `latestAt`, the old and the new with even chances. Always draws twice. */
  pick(latestAt: number): Frame | undefined;
}

const OLD_FRAMES = 4;

// Thousands of motes keep some dozen frames each: as strings they take a quarter of what buffers of their own would.
interface KeptFrame extends Omit<Frame, 'payload' | 'phyPayload'> {
  readonly payload: string;
  readonly phyPayload: string;
}

const keep = (frame: Frame): KeptFrame => ({
  ...frame,
  payload: frame.payload.toString('latin1'),
  phyPayload: frame.phyPayload.toString('latin1'),
});

const restore = (kept: KeptFrame): Frame => ({
  ...kept,
  payload: Buffer.from(kept.payload, 'latin1'),
  phyPayload: Buffer.from(kept.phyPayload, 'latin1'),
});

/** A bounded history: `depth` newest frames and a uniform sample (reservoir) of 4 of the older ones. */
export function createFrameHistory(depth: number, random: Random): FrameHistory {
  const recent: KeptFrame[] = [];
  const old: KeptFrame[] = [];
  let evicted = 0;

  const keepOld = (frame: KeptFrame): void => {
    evicted += 1;
    if (old.length < OLD_FRAMES) old.push(frame);
    else {
      const place = random.integer(evicted);
      if (place < OLD_FRAMES) old[place] = frame;
    }
  };
  return {
    add(frame) {
      recent.push(keep(frame));
      if (recent.length <= depth) return;
      const oldest = recent.shift();
      if (oldest !== undefined) keepOld(oldest);
    },
    newest: () => recent.at(-1),
    pick(latestAt) {
      const fromOld = random.chance(0.5) && old.length > 0;
      const eligible = fromOld ? old : recent.filter((frame) => frame.firstAt <= latestAt);
      const picked = eligible[random.integer(eligible.length)];
      return picked && restore(picked);
    },
  };
}
