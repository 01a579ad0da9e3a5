import { z } from 'zod';
import {
  MOST_DRILL_FRAMES,
  drillAnswer,
  drillTimes,
  signedBackAsk,
  signedDrillReceipt,
  signedWord,
} from '@antirio/service-contract';

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const about = { contractId: z.uuid(), drill: z.int().min(1) } as const;
const frame = z.string().regex(/^(?:[0-9a-f]{2}){12,96}$/);

/** What parties and holders tell the ledger of drills. `drill` is the number of the contract's. */
export function drillPayloads<R extends z.ZodType>(signedRingRoot: R) {
  return [
    /** By the customer: with test frames, and a commitment to what they say. */
    z.strictObject({
      type: z.literal('drill/start'),
      ...about,
      keyVersion: z.int().min(1),
      frames: z.array(frame).min(1).max(MOST_DRILL_FRAMES),
      answer: hash,
      /** The provider's word that it has the keys; a drill without it costs nobody. */
      receipt: signedDrillReceipt.optional(),
    }),
    /** By the provider, which asks for the drill keys with its word on its ring, as for the real ones. */
    z.strictObject({ type: z.literal('drill/open'), ...about, root: signedRingRoot }),
    /** By a holder, before its share of the drill keys leaves. */
    z.strictObject({ type: z.literal('drill/release'), ...about }),
    /** By the provider: what it read. */
    z.strictObject({ type: z.literal('drill/read'), ...about, answer: drillAnswer, times: drillTimes }),
    /** By the arbitrator: the customer's own keys and frames do not say what it committed to. It had the keys. */
    z.strictObject({
      type: z.literal('drill/excuse'),
      ...about,
      found: z.enum(['doesNotOpen', 'otherAnswer']),
    }),
    /** By the customer: of so many of its sensors as were sent drill downlinks so many have answered at all. */
    z.strictObject({
      type: z.literal('drill/downlinks'),
      contractId: z.uuid(),
      sampled: z.int().min(0).max(10_000),
      answered: z.int().min(0).max(10_000),
    }),
    /** By the customer: its word for a full drill; the second one of a drill has the same number. */
    z.strictObject({ type: z.literal('drill/full'), ...about, word: signedWord }),
    /** By the provider, which the centre does not open for: its word on its ring, while the customer's counts. */
    z.strictObject({ type: z.literal('drill/full-open'), ...about, root: signedRingRoot }),
    /** By the provider, which is held. */
    z.strictObject({ type: z.literal('drill/decline'), ...about }),
    /** By the customer: it wants back what is served under this epoch. */
    z.strictObject({ type: z.literal('drill/back'), contractId: z.uuid(), epoch: z.int().min(1) }),
    /** By the provider, before it states: what it was asked for by the customer itself, while the ledger may have been away. */
    z.strictObject({ type: z.literal('drill/back-asked'), contractId: z.uuid(), ask: signedBackAsk }),
    /** By the provider, ms since it heard the word. */
    z.strictObject({
      type: z.literal('drill/first-reading'),
      ...about,
      firstReadingMs: z.int().min(0).max(86_400_000),
    }),
    /** By either party: a full drill that is not being served is over, or the customer gives it up. */
    z.strictObject({ type: z.literal('drill/full-end'), ...about, givenUp: z.boolean().default(false) }),
    /** By either party, where the time is up or something else came; the customer gives one up at any time. */
    z.strictObject({ type: z.literal('drill/end'), ...about, givenUp: z.boolean().default(false) }),
  ] as const;
}
