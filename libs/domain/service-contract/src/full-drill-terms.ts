import { z } from 'zod';

/**
 * Drills with the real keys: the customer gives its word, the provider opens, takes the epoch, serves and gives it back. Terms without
 * them know none.
 */
export const fullDrillTerms = z.strictObject({
  /** So often by itself, seconds of ledger time; without it only when an operator asks. */
  everyS: z
    .int()
    .min(10)
    .max(366 * 86_400)
    .optional(),
  /** So long the provider is to serve before the customer asks for its service back, ms. */
  servesMs: z.int().min(1000).max(3_600_000).default(60_000),
});
