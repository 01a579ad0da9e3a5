import type { Clock } from '@antirio/kernel';
import type { Tracker } from './tracker.ts';
import type { Uplink } from './event-up.ts';

/** Asks the ring for what is missing, a window at a time, and now and then for what may have been missed. */
export interface CatchUp {
  /** A frame came: what the ring has at least, and whether an answer to our question is coming. */
  noted(uplink: Uplink): void;
  /** Asks where something is missing and there is room for it. */
  ask(tracker: Tracker): void;
  /** Asks in any case. */
  askNow(tracker: Tracker): void;
  /** Frames of the ring above the cursor. */
  behind(tracker: Tracker): number;
  /** The ring begins anew. */
  reset(): void;
}

/** An answer that brings nothing for so long has brought all that it will. */
export const QUIET_MS = 300;
const PAGE = 200;

export function createCatchUp(
  clock: Clock,
  window: number,
  pollMs: number,
  request: (after: number, limit: number) => void,
): CatchUp {
  let highest = 0;
  let asked: { readonly limit: number; got: number; quietSince: number } | undefined;

  const isAnswering = (now: number): boolean =>
    asked !== undefined && asked.got < asked.limit && now - asked.quietSince < QUIET_MS;
  const send = (after: number, limit: number): void => {
    asked = { limit, got: 0, quietSince: clock.monotonic() };
    request(after, limit);
  };
  return {
    noted(uplink) {
      highest = Math.max(highest, uplink.last, uplink.seq);
      if (asked === undefined || uplink.heardAt !== undefined) return;
      asked.got += 1;
      asked.quietSince = clock.monotonic();
    },
    ask(tracker) {
      const now = clock.monotonic();
      if (isAnswering(now)) return;
      const { received, size } = tracker;
      const limit = Math.min(PAGE, window - size);
      const isMissing = received < highest && limit >= Math.min(PAGE, window) / 4;
      const isTime = asked === undefined || now - asked.quietSince >= pollMs;
      if (isMissing || (isTime && limit > 0)) send(received, limit);
    },
    askNow: (tracker) => send(tracker.received, PAGE),
    behind: (tracker) => Math.max(0, highest - tracker.cursor),
    reset() {
      highest = 0;
      asked = undefined;
    },
  };
}
