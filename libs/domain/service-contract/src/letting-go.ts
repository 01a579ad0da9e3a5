import type { CustomerState } from './customer-state.ts';
import { isStoreBad } from './deaf.ts';
import { isDisputed } from './dispute.ts';
import { COMES_BACK } from './full-disk.ts';
import { isRekeying } from './rekey-wait.ts';

/**
 * Whether a customer that is just back leaves its epoch alone, as its disk takes nothing: nothing that it hears is stored, answered or
 * stated. It has no lease then, and its provider takes over again; where nobody does, it goes on once there is room.
 */
export function letsGo({ phase, senses, held, record }: CustomerState, now: number): boolean {
  if (!COMES_BACK.has(phase.at) || held) return false;
  return isStoreBad(senses, now) && !isRekeying(record) && !isDisputed(record);
}
