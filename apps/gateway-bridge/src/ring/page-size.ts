const LEAST_SHARE = 1 / 32;
/** A line that was too slow a moment ago is not tried with more at once: each try that fails costs a pause. */
const PAGES_BEFORE_MORE = 16;

/** How much is asked for at once: over a slow line the full page would never come in time. */
export interface PageSize {
  /** Of what is asked for on a good line, at least 1. */
  of(full: number): number;
  /** A page came whole. */
  came(): void;
  failed(): void;
}

/** Halved by each failure, doubled after some pages that came, never more than the full page. */
export function createPageSize(): PageSize {
  let share = 1;
  let inRow = 0;
  return {
    of: (full) => Math.max(1, Math.floor(full * share)),
    came() {
      inRow += 1;
      if (inRow % PAGES_BEFORE_MORE === 0) share = Math.min(1, share * 2);
    },
    failed() {
      inRow = 0;
      share = Math.max(LEAST_SHARE, share / 2);
    },
  };
}
