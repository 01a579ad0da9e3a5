import { blockOf } from './fcnt-down.ts';

/**
 * A device takes no downlink whose counter is 16384 or more above the last one that it heard (LoRaWAN 1.0.3, MAX_FCNT_GAP), and
 * which one that is only its own proofs tell. Well before that nothing is sent any more, so that new keys find it still hearing.
 */
export const PROOF_WANTED_FROM = 2048;
export const GAP_ALARM = 4096;
export const GAP_LIMIT = 8192;

/**
 * What is said that a device heard, where that can be: nothing above the last counter of the highest block that was given out, for
 * a number too high would make every gap small for good.
 */
export function provenWithin(proven: number | undefined, highestBlock: number): number | undefined {
  return proven === undefined || proven > blockOf(highestBlock).last ? undefined : proven;
}

export interface CounterGap {
  /** The next counter to be used. */
  readonly next: number;
  /** The highest that the device surely heard; -1: none of this session. */
  readonly proven: number;
}

export const gapOf = ({ next, proven }: CounterGap): number => next - proven;

/** `wanted`: a proof is asked for. `near`: an operator is told. `exhausted`: silence. */
export type GapState = 'well' | 'wanted' | 'near' | 'exhausted';

export function gapState(gap: CounterGap): GapState {
  const width = gapOf(gap);
  if (width >= GAP_LIMIT) return 'exhausted';
  if (width >= GAP_ALARM) return 'near';
  return width >= PROOF_WANTED_FROM ? 'wanted' : 'well';
}
