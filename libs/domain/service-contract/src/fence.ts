import { slotOf, type CounterBlock } from './fcnt-down.ts';
import { MAX_DOWNLINK_LEAD_MS } from './lease.ts';

/** What was sent before under the counters of one device. */
export interface CounterMarks {
  readonly highest: number | undefined;
  /** The hash of the frame that used the counter; undefined where none is remembered. */
  hashOf(fcnt: number): string | undefined;
}

/** The fence of one device: on its own, or in a protected set. */
export type Fence =
  | { readonly kind: 'free'; readonly marks: CounterMarks }
  | {
      readonly kind: 'set';
      /** Shut until the arbitrator has opened it after our start. */
      readonly open: boolean;
      /** Which of the four interleaved sequences of blocks is ours. */
      readonly slot: number;
      /** Monotonic ms of this host. */
      readonly actFrom: number;
      readonly actUntil: number;
      readonly blocks: readonly CounterBlock[];
      readonly marks: CounterMarks;
    };

/** A downlink as the fence sees it. */
export interface FencedFrame {
  readonly fcnt16: number;
  /** Hash of the whole PHYPayload. */
  readonly hash: string;
  /** Ms until it goes on air by the gateway's clock; undefined when it is not timed on that clock. */
  readonly aheadMs: number | undefined;
}

export type DownlinkRefusal =
  | 'shut'
  | 'notYet'
  | 'leaseEnded'
  | 'notTimed'
  | 'tooLate'
  | 'tooFarAhead'
  | 'noBlock'
  | 'counterBack'
  | 'counterReused';

export type DownlinkVerdict =
  | { readonly allowed: true; readonly fcnt: number }
  | { readonly allowed: false; readonly reason: DownlinkRefusal };

const HALF = 0x1_0000;

const refuse = (reason: DownlinkRefusal): DownlinkVerdict => ({ allowed: false, reason });

function judgeLease(fence: Extract<Fence, { kind: 'set' }>, now: number): DownlinkRefusal | undefined {
  if (!fence.open) return 'shut';
  if (now < fence.actFrom) return 'notYet';
  return now < fence.actUntil ? undefined : 'leaseEnded';
}

export function judgeTiming(aheadMs: number | undefined): DownlinkRefusal | undefined {
  if (aheadMs === undefined) return 'notTimed';
  if (aheadMs <= 0) return 'tooLate';
  return aheadMs <= MAX_DOWNLINK_LEAD_MS ? undefined : 'tooFarAhead';
}

/** The 32-bit counter in a granted block of the slot that the frame's 16 bits stand for; the highest one if there are several. */
export function grantedCounter(
  blocks: readonly CounterBlock[],
  slot: number,
  fcnt16: number,
): number | undefined {
  let found: number | undefined;
  for (const { first, last } of blocks) {
    let fcnt = Math.floor(first / HALF) * HALF + fcnt16;
    if (fcnt < first) fcnt += HALF;
    const ours = fcnt <= last && slotOf(fcnt) === slot;
    if (ours && (found === undefined || fcnt > found)) found = fcnt;
  }
  return found;
}

// Without blocks the counter is the nearest to what was sent last.
function freeCounter(highest: number | undefined, fcnt16: number): number {
  if (highest === undefined) return fcnt16;
  const base = Math.floor(highest / HALF) * HALF + fcnt16;
  const all = [base - HALF, base, base + HALF].filter((fcnt) => fcnt >= 0);
  return all.reduce((best, fcnt) => (Math.abs(fcnt - highest) < Math.abs(best - highest) ? fcnt : best));
}

export function judgeCounter(marks: CounterMarks, fcnt: number, hash: string): DownlinkRefusal | undefined {
  const used = marks.hashOf(fcnt);
  if (used !== undefined) return used === hash ? undefined : 'counterReused';
  return marks.highest !== undefined && fcnt <= marks.highest ? 'counterBack' : undefined;
}

/**
 * Whether a downlink may go to the gateway now: epoch and lease, time on air, counter. The last word before the socket.
 * `now` is the host's monotonic clock in ms.
 */
export function judgeDownlink(fence: Fence, frame: FencedFrame, now: number): DownlinkVerdict {
  const lease = fence.kind === 'set' ? judgeLease(fence, now) : undefined;
  const early = lease ?? judgeTiming(frame.aheadMs);
  if (early !== undefined) return refuse(early);
  const fcnt =
    fence.kind === 'set'
      ? grantedCounter(fence.blocks, fence.slot, frame.fcnt16)
      : freeCounter(fence.marks.highest, frame.fcnt16);
  if (fcnt === undefined) return refuse('noBlock');
  const counter = judgeCounter(fence.marks, fcnt, frame.hash);
  return counter === undefined ? { allowed: true, fcnt } : refuse(counter);
}

/**
 * Whether the answer to a join may go to the gateway now: it has no counter, so that only lease and time on air are asked for.
 * `fences` are those of the sets that the device is in, or may get into by it.
 */
export function judgeJoinAccept(
  fences: readonly Extract<Fence, { kind: 'set' }>[],
  aheadMs: number | undefined,
  now: number,
): DownlinkRefusal | undefined {
  for (const fence of fences) {
    const refusal = judgeLease(fence, now);
    if (refusal !== undefined) return refusal;
  }
  return judgeTiming(aheadMs);
}
