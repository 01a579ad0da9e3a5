import type { Random } from './random.ts';
import type { Frame } from './transmission.ts';

/** What an eavesdropper kept of one mote: its newest frames, and a few from all the time before. */
export interface FrameHistory {
  add(frame: Frame): void;
  newest(): Frame | undefined;
  /** A frame first sent at or before `latestAt`, the old and the new with even chances. Always draws twice. */
  pick(latestAt: number): Frame | undefined;
}

const OLD_FRAMES = 4;

/** A bounded history: `depth` newest frames and a uniform sample (reservoir) of 4 of the older ones. */
export function createFrameHistory(depth: number, random: Random): FrameHistory {
  const recent: Frame[] = [];
  const old: Frame[] = [];
  let evicted = 0;

  const keepOld = (frame: Frame): void => {
    evicted += 1;
    if (old.length < OLD_FRAMES) old.push(frame);
    else {
      const place = random.integer(evicted);
      if (place < OLD_FRAMES) old[place] = frame;
    }
  };
  return {
    add(frame) {
      recent.push(frame);
      if (recent.length <= depth) return;
      const oldest = recent.shift();
      if (oldest !== undefined) keepOld(oldest);
    },
    newest: () => recent.at(-1),
    pick(latestAt) {
      const fromOld = random.chance(0.5) && old.length > 0;
      const eligible = fromOld ? old : recent.filter((frame) => frame.firstAt <= latestAt);
      return eligible[random.integer(eligible.length)];
    },
  };
}
