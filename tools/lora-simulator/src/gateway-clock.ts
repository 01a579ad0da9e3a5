/** A concentrator's clock: microseconds in 32 bits, wrapping after 71.6 minutes, with an error of its own. */
export interface GatewayClock {
  /** Counter value at a monotonic time. */
  tmstAt(monoMs: number): number;
  /** Monotonic time that a counter value means, taken as the one nearest to `nowMs`. */
  monoOf(tmst: number, nowMs: number): number;
}

const WRAP = 0x1_0000_0000;

/** A clock that shows `startUs` at `originMs` and runs `driftPpm` fast. */
export function createGatewayClock(originMs: number, startUs: number, driftPpm: number): GatewayClock {
  const rate = 1_000 * (1 + driftPpm / 1e6);
  const tmstAt = (monoMs: number): number => {
    const us = Math.floor(startUs + (monoMs - originMs) * rate) % WRAP;
    return us < 0 ? us + WRAP : us;
  };
  return {
    tmstAt,
    monoOf(tmst, nowMs) {
      const ahead = (tmst - tmstAt(nowMs)) >>> 0;
      return nowMs + (ahead >= WRAP / 2 ? ahead - WRAP : ahead) / rate;
    },
  };
}
