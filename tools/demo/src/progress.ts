import type { TakeoverMs } from './result.ts';
import type { ContractedRun } from './run.ts';

/** How far a play came, for a verdict also on one that broke off. */
export interface Progress {
  contracted?: ContractedRun;
  /** With edge C in the place of edge B: the other contract over the same set. */
  second?: ContractedRun;
  takeoverMs: TakeoverMs;
  /** Edge B took over when a further kill hit edge A: that was the failure then, and there is no other. */
  early: boolean;
  /** What happened was no failure that anybody took over. */
  quiet: boolean;
  /** While edge A was away edge B only kept frames, monotonic ms. */
  kept?: { readonly from: number; readonly until: number };
}
