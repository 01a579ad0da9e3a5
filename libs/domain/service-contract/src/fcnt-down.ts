/**
 * Downlink counters in blocks of 16 per device. Each party of a set owns every fourth block, so that no partition, freeze or
 * clock makes two parties use one counter (one counter twice is one AES-CTR nonce twice).
 */
export const BLOCK_SIZE = 16;
export const SLOTS = 4;

export interface CounterBlock {
  readonly first: number;
  readonly last: number;
}

export function blockOf(index: number): CounterBlock {
  return { first: index * BLOCK_SIZE, last: index * BLOCK_SIZE + BLOCK_SIZE - 1 };
}

export function blockIndexOf(counter: number): number {
  return Math.floor(counter / BLOCK_SIZE);
}

export function slotOf(counter: number): number {
  return blockIndexOf(counter) % SLOTS;
}

/** The party's first block that begins above every block known to be reserved (-1: none yet). */
export function nextBlock(slot: number, highestReserved: number): number {
  const next = highestReserved + 1;
  return next + ((slot - (next % SLOTS) + SLOTS) % SLOTS);
}
