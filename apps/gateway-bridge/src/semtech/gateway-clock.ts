/**
 * What is known of a concentrator's microsecond counter: at `monotonic` (ms of this host) it stood at `tmst`, as far as the
 * quickest datagram told. Later ones tell how late they came: how long they lay in the socket of a process that was frozen.
 */
export interface GatewayClock {
  readonly tmst: number;
  readonly monotonic: number;
  /** When the last frame was received by radio, in ms of this host. */
  readonly heardAt: number;
  /** Where its datagrams come from: a forwarder that was restarted has another port. */
  readonly source: string;
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
// Of a delay that stays the same: a backlog's becomes less with every frame.
const RIVAL_COUNT = 2;
// A network changes the order of datagrams by less, and makes no frame later by more in a moment.
const REORDERED_MS = 1000;

const signed = (us: number): number => {
  const wrapped = ((us % WRAP) + WRAP) % WRAP;
  return wrapped >= WRAP / 2 ? wrapped - WRAP : wrapped;
};

function nextRival(rival: Rival | undefined, delayMs: number, now: number): Rival {
  const agrees = rival !== undefined && Math.abs(rival.delayMs - delayMs) < RIVAL_TOLERANCE_MS;
  return agrees ? { ...rival, count: rival.count + 1 } : { delayMs, since: now, count: 1 };
}

/**
 * Takes in one reception; `delayMs` is how long before `now` its datagram was sent, as far as can be told: never by a counter from
 * before a restart of the gateway. Frames come in the order of their reception, so that one from before the last one tells of a restart.
 */
export function observe(
  clock: GatewayClock | undefined,
  tmst: number,
  now: number,
  source: string,
): { readonly clock: GatewayClock; readonly delayMs: number } {
  const fresh = { clock: { tmst, monotonic: now, heardAt: now, source }, delayMs: 0 };
  if (clock === undefined) return fresh;
  const elapsed = now - clock.monotonic;
  const delayMs = signed(clock.tmst + elapsed * 1000 - tmst) / 1000 - elapsed * DRIFT;
  if (delayMs <= 0 || delayMs > RESTART_MS) return fresh;
  if (delayMs > REORDERED_MS && source !== clock.source) return fresh;
  const rival = nextRival(clock.rival, delayMs, now);
  // A backlog is read at once; only a gateway that was restarted, or a slower path, keeps to the same delay.
  if (rival.count >= RIVAL_COUNT && now - rival.since >= RIVAL_AGE_MS) return fresh;
  const receivedAt = now - delayMs;
  if (receivedAt < clock.heardAt - REORDERED_MS) return { clock: { ...clock, rival }, delayMs: 0 };
  const heardAt = Math.max(clock.heardAt, receivedAt);
  return { clock: { ...clock, heardAt, source, rival }, delayMs };
}

/** How far ahead of the gateway's clock a counter value is, in ms; negative when it has passed. */
export function aheadMs(clock: GatewayClock, tmst: number, now: number): number {
  return signed(tmst - (clock.tmst + (now - clock.monotonic) * 1000)) / 1000;
}

/** Drift makes it uncertain by less than half of the lead of an immediate packet for so long. */
const TOLD_FOR_MS = 3_600_000;

/** The counter value in so many ms; undefined where the clock was told too long ago to time a packet by it. */
export function tmstIn(clock: GatewayClock, ms: number, now: number): number | undefined {
  const age = now - clock.monotonic;
  return age > TOLD_FOR_MS ? undefined : tmstAfter(clock.tmst, Math.round((age + ms) * 1000));
}

/** The counter value some microseconds after another, or before it. */
export function tmstAfter(tmst: number, us: number): number {
  return (((tmst + us) % WRAP) + WRAP) % WRAP;
}
