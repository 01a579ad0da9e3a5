import type { TxError } from './gwmp.ts';

/** When a programmed frame occupies the one transmitter. */
export interface TxSlot {
  readonly startMs: number;
  readonly endMs: number;
}

/** Limits of a transmitter, ms. */
export interface TxLimits {
  readonly leadMs: number;
  readonly advanceMs: number;
}

// Reference forwarder (jitqueue.c): TX_START_DELAY plus TX_MARGIN_DELAY between two frames; JIT_QUEUE_MAX.
const GUARD_MS = 2.5;
const QUEUE_SIZE = 32;

/** The just-in-time queue of a half-duplex gateway: what may still be programmed. */
export interface TxQueue {
  /** Frames programmed and not yet sent to their end. */
  waiting(nowMs: number): number;
  /** Programs a slot, or says why not. */
  program(slot: TxSlot, nowMs: number): TxError | undefined;
}

export function createTxQueue(limits: TxLimits): TxQueue {
  let slots: TxSlot[] = [];
  const prune = (nowMs: number): number => {
    slots = slots.filter((slot) => slot.endMs > nowMs);
    return slots.length;
  };
  return {
    waiting: prune,
    program(slot, nowMs) {
      prune(nowMs);
      if (slot.startMs - nowMs <= limits.leadMs) return 'TOO_LATE';
      if (slot.startMs - nowMs > limits.advanceMs) return 'TOO_EARLY';
      const collides = slots.some(
        (other) => slot.startMs <= other.endMs + GUARD_MS && other.startMs <= slot.endMs + GUARD_MS,
      );
      if (collides || slots.length >= QUEUE_SIZE) return 'COLLISION_PACKET';
      slots.push(slot);
      return undefined;
    },
  };
}
