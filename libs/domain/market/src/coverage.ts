import { z } from 'zod';
import { canonicalBytes, sha256Hex } from '@antirio/kernel';
import type { CustomerPolicy } from './policy.ts';

/** What shows that a frame was in somebody's hands, without keys. */
export const receipt = z.strictObject({
  devAddr: z.string().regex(/^[0-9a-f]{8}$/),
  /** 16 bits, as on air. */
  fcnt: z.int().min(0).max(65_535),
  mic: z.string().regex(/^[0-9a-f]{8}$/),
});
export type Receipt = z.output<typeof receipt>;

export const MAX_RECEIPTS = 2000;

/** What a provider is bound to by its commitment, and reveals later. */
export const receiptBatch = z.strictObject({
  matchId: z.string().min(1).max(128),
  batch: z.int().min(1),
  /** Keeps the customer from guessing what is in it. */
  salt: z.string().regex(/^[0-9a-f]{32}$/),
  receipts: z.array(receipt).min(1).max(MAX_RECEIPTS),
});
export type ReceiptBatch = z.output<typeof receiptBatch>;

/** What is signed before anything is revealed. */
export const commitment = z.strictObject({
  matchId: z.string().min(1).max(128),
  batch: z.int().min(1),
  count: z.int().min(1).max(MAX_RECEIPTS),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
});
export type Commitment = z.output<typeof commitment>;

export const COMMITMENT_KIND = 'antirio/coverage-commitment/1';

export function commitTo(batch: ReceiptBatch): Commitment {
  return {
    matchId: batch.matchId,
    batch: batch.batch,
    count: batch.receipts.length,
    hash: sha256Hex(canonicalBytes(batch)),
  };
}

/** Whether the revealed batch is the one that was committed to. */
export function opens(committed: Commitment, batch: ReceiptBatch): boolean {
  const now = commitTo(batch);
  return now.hash === committed.hash && now.matchId === committed.matchId && now.batch === committed.batch;
}

/** A frame in the customer's own ring. */
export interface HeardFrame extends Receipt {
  /** Wall time of the customer, in milliseconds. */
  readonly receivedAt: number;
}

/** A batch that opened its commitment, with the customer's own time at which that commitment arrived. */
export interface CommittedBatch {
  readonly committedAt: number;
  readonly receipts: readonly Receipt[];
}

export interface DeviceCoverage {
  readonly devAddr: string;
  /** By the customer, within the window. */
  readonly heard: number;
  /** Of these by the provider, committed to in time. */
  readonly shared: number;
  /** Of these by the provider, but committed to too late to prove anything. */
  readonly late: number;
}

export interface Coverage {
  readonly devices: readonly DeviceCoverage[];
  readonly heard: number;
  readonly shared: number;
  readonly late: number;
  readonly ratioPermille: number;
}

const keyOf = ({ devAddr, fcnt, mic }: Receipt): string => `${devAddr}/${fcnt}/${mic}`;

/** When the earliest commitment to each frame arrived. */
function firstCommitted(batches: readonly CommittedBatch[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const { committedAt, receipts } of batches)
    for (const one of receipts)
      found.set(keyOf(one), Math.min(found.get(keyOf(one)) ?? Infinity, committedAt));
  return found;
}

/**
 * How much of what the customer heard the provider proves to have heard as well: each frame counts once, and only where the
 * commitment arrived within `withinMs` of the frame.
 */
export function evaluateCoverage(
  heard: readonly HeardFrame[],
  batches: readonly CommittedBatch[],
  withinMs: number,
): Coverage {
  const committed = firstCommitted(batches);
  const frames = new Map(heard.map((frame) => [keyOf(frame), frame]));
  const devices = new Map<string, { heard: number; shared: number; late: number }>();
  for (const [key, { devAddr, receivedAt }] of frames) {
    const counts = devices.get(devAddr) ?? { heard: 0, shared: 0, late: 0 };
    devices.set(devAddr, counts);
    counts.heard += 1;
    const at = committed.get(key);
    if (at === undefined) continue;
    if (at <= receivedAt + withinMs) counts.shared += 1;
    else counts.late += 1;
  }
  const rows = [...devices]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([devAddr, counts]) => ({ devAddr, ...counts }));
  const sum = (key: 'heard' | 'shared' | 'late'): number => rows.reduce((total, row) => total + row[key], 0);
  const total = sum('heard');
  const ratioPermille = total === 0 ? 0 : Math.floor((sum('shared') * 1000) / total);
  return { devices: rows, heard: total, shared: sum('shared'), late: sum('late'), ratioPermille };
}

export type CoverageVerdict =
  | { readonly verdict: 'tooFew' }
  /** `unjudged`: devices of which too little was heard to say anything. */
  | { readonly verdict: 'covered'; readonly unjudged: readonly string[] }
  | { readonly verdict: 'refused'; readonly reason: string };

/** `tooFew`: the trial goes on; with `timeIsUp` it is judged by what there is. */
export function judgeCoverage(
  coverage: Coverage,
  devAddrs: readonly string[],
  policy: CustomerPolicy,
  timeIsUp: boolean,
): CoverageVerdict {
  const { minReceipts, minReceiptsPerDevice, minHearingRatioPermille } = policy;
  const byAddr = new Map(coverage.devices.map((device) => [device.devAddr, device]));
  const open = devAddrs.filter((devAddr) => (byAddr.get(devAddr)?.shared ?? 0) === 0);
  const unheard = open.filter((devAddr) => (byAddr.get(devAddr)?.heard ?? 0) >= minReceiptsPerDevice);
  if (unheard.length > 0)
    return {
      verdict: 'refused',
      reason: `${unheard.length} devices not heard: ${unheard.slice(0, 8).join(', ')}`,
    };
  if (!timeIsUp && (coverage.heard < minReceipts || open.length > 0)) return { verdict: 'tooFew' };
  if (coverage.heard < minReceipts)
    return {
      verdict: 'refused',
      reason: `${coverage.heard} frames are too few to judge by, ${minReceipts} are wanted`,
    };
  const { ratioPermille } = coverage;
  if (ratioPermille < minHearingRatioPermille)
    return {
      verdict: 'refused',
      reason: `heard ${ratioPermille} of 1000, less than ${minHearingRatioPermille}`,
    };
  return { verdict: 'covered', unjudged: open };
}
