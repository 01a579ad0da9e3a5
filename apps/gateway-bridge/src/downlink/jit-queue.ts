/** What a gateway is going to send, as far as it was given by us: Semtech's forwarders call it their just-in-time queue. */
export interface JitQueue {
  /** Takes a time on air, ms of the host's monotonic clock; undefined where the gateway sends something else then. */
  reserve(gatewayId: string, startMs: number, airtimeMs: number): Reservation | undefined;
  /** The first time from `earliestMs` on when the gateway is free for so long. */
  firstFree(gatewayId: string, earliestMs: number, airtimeMs: number): number;
}

export interface Reservation {
  release(): void;
}

interface Slot {
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * Before a packet the concentrator is programmed: TX_START_DELAY, TX_MARGIN_DELAY and the smallest TX_JIT_DELAY of Semtech's
 * forwarders (packet_forwarder and sx1302_hal, jitqueue.c). What keeps this distance they may refuse still, and say so.
 */
const BEFORE_MS = 1.5 + 1 + 30;

const overlaps = (a: Slot, b: Slot): boolean =>
  a.startMs - BEFORE_MS < b.endMs && b.startMs - BEFORE_MS < a.endMs;

/** `now` in ms of the monotonic clock. */
export function createJitQueue(now: () => number): JitQueue {
  const queues = new Map<string, Set<Slot>>();
  const slotsOf = (gatewayId: string): Set<Slot> => {
    const slots = queues.get(gatewayId) ?? new Set<Slot>();
    const passed = now();
    for (const slot of slots) if (slot.endMs < passed) slots.delete(slot);
    queues.set(gatewayId, slots);
    return slots;
  };
  return {
    reserve(gatewayId, startMs, airtimeMs) {
      const slots = slotsOf(gatewayId);
      const slot = { startMs, endMs: startMs + airtimeMs };
      for (const other of slots) if (overlaps(slot, other)) return undefined;
      slots.add(slot);
      return {
        release() {
          slots.delete(slot);
          if (slots.size === 0 && queues.get(gatewayId) === slots) queues.delete(gatewayId);
        },
      };
    },
    firstFree(gatewayId, earliestMs, airtimeMs) {
      const inOrder = [...slotsOf(gatewayId)].sort((a, b) => a.endMs - b.endMs);
      let startMs = earliestMs;
      for (const slot of inOrder)
        if (overlaps({ startMs, endMs: startMs + airtimeMs }, slot)) startMs = slot.endMs + BEFORE_MS + 1;
      return startMs;
    },
  };
}
