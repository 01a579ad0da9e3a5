/**
 * What of a ring has been taken and what is done with, out of order: the cursor moves only past frames that are done. Each frame
 * names its predecessor, so that a missing one is noticed and one that no longer exists is not waited for.
 */
export interface Tracker {
  /** Everything up to here is done. */
  readonly cursor: number;
  /** Everything up to here has been taken. */
  readonly received: number;
  /** Frames taken and not yet passed by the cursor. */
  readonly size: number;
  /** Whether the frame was taken and is above the cursor. */
  has(seq: number): boolean;
  /** Takes a frame; false when it was taken before. Its predecessor is noted either way. */
  begin(seq: number, previous: number): boolean;
  done(seq: number): void;
}

interface Entry {
  done: boolean;
  readonly previous: number[];
}

export function createTracker(start: number): Tracker {
  const entries = new Map<number, Entry>();
  const nextOf = new Map<number, number>();
  let cursor = start;
  // as far as was looked: whoever asks goes on from here, not from the cursor
  let reached = start;

  const link = (seq: number, entry: Entry, previous: number): void => {
    // what is below the cursor is done: to follow it is to follow the cursor
    const after = Math.max(previous, cursor);
    const known = nextOf.get(after);
    if (after >= seq || (known !== undefined && known <= seq)) return;
    nextOf.set(after, seq);
    entry.previous.push(after);
    if (after < reached) reached = cursor;
  };
  const drop = (seq: number): void => {
    for (const previous of entries.get(seq)?.previous ?? [])
      if (nextOf.get(previous) === seq) nextOf.delete(previous);
    entries.delete(seq);
  };
  const advance = (): void => {
    for (let next = nextOf.get(cursor); next !== undefined; next = nextOf.get(cursor)) {
      if (entries.get(next)?.done !== true) return;
      // what lay between was taken once, and its ring has let go of it
      if (next > cursor + 1) for (const seq of entries.keys()) if (seq < next) drop(seq);
      drop(next);
      nextOf.delete(cursor);
      cursor = next;
    }
  };
  return {
    get cursor() {
      return cursor;
    },
    get received() {
      if (reached < cursor) reached = cursor;
      for (let next = nextOf.get(reached); next !== undefined; next = nextOf.get(reached)) reached = next;
      return reached;
    },
    get size() {
      return entries.size;
    },
    has: (seq) => entries.has(seq),
    begin(seq, previous) {
      if (seq <= cursor) return false;
      const known = entries.get(seq);
      const entry = known ?? { done: false, previous: [] };
      entries.set(seq, entry);
      link(seq, entry, previous);
      advance();
      return known === undefined;
    },
    done(seq) {
      const entry = entries.get(seq);
      if (entry === undefined) return;
      entry.done = true;
      advance();
    },
  };
}
