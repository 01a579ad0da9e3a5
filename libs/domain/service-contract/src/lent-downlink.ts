import { z } from 'zod';
import { edgeId } from './edge-id.ts';
import { slotOf } from './fcnt-down.ts';
import {
  judgeCounter,
  judgeTiming,
  type CounterMarks,
  type DownlinkRefusal,
  type FencedFrame,
} from './fence.ts';
import { MAX_DOWNLINK_LEAD_MS } from './lease.ts';

/**
 * A downlink of the customer's own that its provider's gateway sends, to show that sensors hear that gateway. The provider offers
 * the windows of one uplink; only then the customer brings the frame past its own fence. What is lent is on air within the time of
 * the offer, or never: so no later after the customer's fence has let it through than what its own gateways send.
 */

/** The `kind` of the customer's signature under a frame that it lends. */
export const LENT_DOWNLINK_KIND = 'antirio/lent-downlink/1';

export const signedLoan = z.strictObject({
  kind: z.literal(LENT_DOWNLINK_KIND),
  by: edgeId,
  body: z.strictObject({
    contractId: z.uuid(),
    /** The provider's, of the windows that it is for. */
    offer: z.string().regex(/^[0-9a-f]{32}$/),
    setId: z.string().max(64),
    epoch: z.int().min(0),
    devAddr: z.string().regex(/^[0-9a-f]{8}$/),
    fcnt: z.int().min(0).max(0xffff_ffff),
    /** SHA-256 of the PHYPayload. */
    hash: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  signature: z.string().max(128),
});
export type SignedLoan = z.output<typeof signedLoan>;

/** From the offer to air time, by the provider's clock, which may go 2 % slow against the customer's. */
export const LENT_WITHIN_MS = MAX_DOWNLINK_LEAD_MS * 0.98;

/** What the provider's fence knows of the set and of the device. */
export interface LendersFence {
  /** Whether this edge may act for the set itself. */
  readonly open: boolean;
  /** The highest that it knows of the set; 0 where it knows none. */
  readonly epoch: number;
  readonly marks: CounterMarks;
}

export interface Loan {
  /** Monotonic ms of the provider. */
  readonly offeredAt: number;
  readonly epoch: number;
  /** The customer's, by the terms. */
  readonly slot: number;
  readonly fcnt: number;
}

export type LentRefusal = DownlinkRefusal | 'offerOver' | 'olderEpoch' | 'weAct';

export type LentVerdict =
  | { readonly allowed: true; readonly fcnt: number }
  | { readonly allowed: false; readonly reason: LentRefusal };

function refusalOf(
  fence: LendersFence,
  { offeredAt, epoch, slot, fcnt }: Loan,
  { fcnt16, hash, aheadMs }: FencedFrame,
  now: number,
): LentRefusal | undefined {
  if (fence.open) return 'weAct';
  if (epoch < fence.epoch) return 'olderEpoch';
  const untimely = judgeTiming(aheadMs);
  if (untimely !== undefined) return untimely;
  if (now + (aheadMs ?? Infinity) > offeredAt + LENT_WITHIN_MS) return 'offerOver';
  if (fcnt % 0x1_0000 !== fcnt16 || slotOf(fcnt) !== slot) return 'noBlock';
  return judgeCounter(fence.marks, fcnt, hash);
}

/** Whether a lent downlink may go to the provider's gateway now. `now` is the provider's monotonic clock in ms. */
export function judgeLentDownlink(
  fence: LendersFence,
  loan: Loan,
  frame: FencedFrame,
  now: number,
): LentVerdict {
  const reason = refusalOf(fence, loan, frame, now);
  return reason === undefined ? { allowed: true, fcnt: loan.fcnt } : { allowed: false, reason };
}
