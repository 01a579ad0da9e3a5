/** Of so many moments it is known what was here then; frames stay longer by a share of their time, never shorter. */
const MOMENTS = 64;

/** How long frames have been here, by their order and this process's monotonic clock: no wall clock that is set makes one of them old. */
export interface Ages {
  /** Everything up to `last` is here at `now`; frames are to stay for `retainMs`. */
  seen(last: number, now: number, retainMs: number): void;
  /** The newest frame that was here `retainMs` before `now`, 0 where that is not known. */
  olderThan(retainMs: number, now: number): number;
}

/** Begins anew with each start: what was here before has then just come. */
export function createAges(): Ages {
  let moments: { readonly at: number; readonly last: number }[] = [];
  return {
    seen(last, now, retainMs) {
      const newest = moments.at(-1);
      if (newest?.last === last || now - (newest?.at ?? -Infinity) < retainMs / MOMENTS) return;
      moments.push({ at: now, last });
      // of those that are long past, the newest says all
      const past = moments.findLastIndex(({ at }) => at <= now - retainMs);
      moments = moments.slice(Math.max(0, past));
    },
    olderThan: (retainMs, now) => moments.findLast(({ at }) => at <= now - retainMs)?.last ?? 0,
  };
}
