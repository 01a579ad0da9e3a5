const HALF = 0x1_0000;
const LAST = 0xffff_ffff;
// With no counter known, as many rollovers are tried: some hundred thousand frames of a mote's life.
const HALVES_TRIED = 16;

/**
 * The 32-bit counters that a frame's 16 bits may stand for, most likely first: the half of the highest one seen, the
 * next (rollover), the one before (backlog). The MIC decides among them.
 */
export function fcntCandidates(fcnt16: number, highest: number | undefined): number[] {
  if (highest === undefined) return Array.from({ length: HALVES_TRIED }, (_, half) => half * HALF + fcnt16);
  const half = Math.floor(highest / HALF);
  const upward = half * HALF + fcnt16;
  const candidates = upward + HALF / 2 < highest ? [upward + HALF, upward] : [upward, upward + HALF];
  return [...candidates, upward - HALF].filter((fcnt) => fcnt >= 0 && fcnt <= LAST);
}

/** The 32-bit counter nearest to a known one: for counters that nobody can verify. */
export function nearestFcnt(fcnt16: number, known: number): number {
  const [best = fcnt16] = fcntCandidates(fcnt16, known).sort(
    (a, b) => Math.abs(a - known) - Math.abs(b - known),
  );
  return best;
}
