import { z } from 'zod';

/** What comes of it where a provider hands back less of an outage than it hears. */
export const coverageTerms = z.strictObject({
  /** Whether the ledger rules what an outage has shown, or the customer reports it only. */
  breach: z.enum(['reported', 'ruled']).default('reported'),
  /** A customer has so long, ms, to claim once both statements agree. */
  claimWithinMs: z.int().min(1000).max(86_400_000).default(120_000),
  /** A provider has so long, ms, to answer a claim: after that the customer's word on the ends stands. */
  answerWithinMs: z.int().min(1000).max(604_800_000).default(3_600_000),
});
