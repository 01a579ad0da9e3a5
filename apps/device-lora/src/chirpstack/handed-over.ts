import type { Clock } from '@antirio/kernel';

/** Frames that the bridge published to ChirpStack, with QoS 0: nothing tells whether it had them, but that it goes on telling of some. */
export interface HandedOver {
  /**
   * At each look at the ring.
   * @param frames that were handed over since the last one
   * @param told what ChirpStack has told of, ever
   * @returns frames that are held to be lost by now
   */
  look(frames: number, told: number): number;
  counts(): HandedOverCounts;
}

export interface HandedOverCounts {
  readonly frames: number;
  /** Handed over while ChirpStack told of nothing at all, from the look before to half a minute after. */
  readonly unheard: number;
}

interface Batch {
  readonly frames: number;
  /** What had been told at the look before. */
  readonly told: number;
  /** Monotonic ms. */
  readonly at: number;
}

const JUDGED_AFTER_MS = 30_000;

export function createHandedOver(clock: Pick<Clock, 'monotonic'>): HandedOver {
  const batches: Batch[] = [];
  let toldBefore = 0;
  let frames = 0;
  let unheard = 0;
  return {
    look(more, told) {
      const now = clock.monotonic();
      if (more > 0) batches.push({ frames: more, told: toldBefore, at: now });
      frames += more;
      toldBefore = told;
      let lost = 0;
      for (let first = batches[0]; first !== undefined; first = batches[0]) {
        const isHeard = told > first.told;
        if (!isHeard && now - first.at < JUDGED_AFTER_MS) break;
        if (!isHeard) lost += first.frames;
        batches.shift();
      }
      unheard += lost;
      return lost;
    },
    counts: () => ({ frames, unheard }),
  };
}
