/**
 * What is known of a concentrator's microsecond counter: at `monotonic` (ms of this host) it stood at `tmst`, as far as the
 * quickest datagram told. Later ones tell how late they came: how long they lay in the socket of a process that was frozen.
 */
export interface GatewayClock {
  readonly tmst: number;
  readonly monotonic: number;
  /** Another time that datagrams have begun to agree on: taken over once they keep to it. */
  readonly rival?: Rival;
}

interface Rival {
  readonly delayMs: number;
  readonly since: number;
  readonly count: number;
}

const WRAP = 2 ** 32;
// Quartz against quartz, with room to spare.
const DRIFT = 1e-4;
const RESTART_MS = 600_000;
const RIVAL_TOLERANCE_MS = 100;
const RIVAL_AGE_MS = 2000;
const RIVAL_COUNT = 3;

const signed = (us: number): number => {
  const wrapped = ((us % WRAP) + WRAP) % WRAP;
  return wrapped >= WRAP / 2 ? wrapped - WRAP : wrapped;
};

function nextRival(rival: Rival | undefined, delayMs: number, now: number): Rival {
  const agrees = rival !== undefined && Math.abs(rival.delayMs - delayMs) < RIVAL_TOLERANCE_MS;
  return agrees ? { ...rival, count: rival.count + 1 } : { delayMs, since: now, count: 1 };
}

/** Takes in one reception; `delayMs` is how long before `now` its datagram was sent, as far as can be told. */
export function observe(
  clock: GatewayClock | undefined,
  tmst: number,
  now: number,
): { readonly clock: GatewayClock; readonly delayMs: number } {
  const fresh = { clock: { tmst, monotonic: now }, delayMs: 0 };
  if (clock === undefined) return fresh;
  const elapsed = now - clock.monotonic;
  const delayMs = signed(clock.tmst + elapsed * 1000 - tmst) / 1000 - elapsed * DRIFT;
  if (delayMs <= 0 || delayMs > RESTART_MS) return fresh;
  const rival = nextRival(clock.rival, delayMs, now);
  // A backlog is read at once; only a gateway that was restarted, or a slower path, keeps to the same delay.
  if (rival.count >= RIVAL_COUNT && now - rival.since >= RIVAL_AGE_MS) return fresh;
  return { clock: { ...clock, rival }, delayMs };
}

/** How far ahead of the gateway's clock a counter value is, in ms; negative when it has passed. */
export function aheadMs(clock: GatewayClock, tmst: number, now: number): number {
  return signed(tmst - (clock.tmst + (now - clock.monotonic) * 1000)) / 1000;
}

/** The counter value some microseconds after another, or before it. */
export function tmstAfter(tmst: number, us: number): number {
  return (((tmst + us) % WRAP) + WRAP) % WRAP;
}
