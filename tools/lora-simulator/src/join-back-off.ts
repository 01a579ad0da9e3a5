import { JOIN_RX2_DELAY_MS } from './eu868.ts';

const HOUR_MS = 3_600_000;
// LoRaWAN 1.0.x, section 7: 36 s on air in the first hour, 36 s in the next ten, 8.7 s in each 24 hours after that.
const DUTY_CYCLES = [
  { untilMs: HOUR_MS, ratio: 1 / 100 },
  { untilMs: 11 * HOUR_MS, ratio: 1 / 1_000 },
  { untilMs: Infinity, ratio: 8.7 / 86_400 },
] as const;
/** Motes that lost power together must not ask together. */
const LARGEST_DELAY_MS = 2_000;

/**
 * When a JoinRequest that nobody answered goes out again, as a delay in ms from the start of the last one: after its
 * windows, never above the duty cycle for JoinRequests, and at random. `sinceFirstMs` is how long the mote tries by
 * now; `draw` is uniform in [0, 1).
 */
export function joinRetryDelayMs(sinceFirstMs: number, airMs: number, draw: number): number {
  const { ratio } = DUTY_CYCLES.find(({ untilMs }) => sinceFirstMs < untilMs) ?? DUTY_CYCLES[2];
  const windowsMs = airMs + JOIN_RX2_DELAY_MS + 500;
  return Math.max(windowsMs, airMs / ratio) + draw * LARGEST_DELAY_MS;
}
