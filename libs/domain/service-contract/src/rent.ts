import { z } from 'zod';

/** R: what a provider is paid for standing by, whether or not there is anything to take over. */
export const rentTerms = z
  .strictObject({
    /** In the smallest unit, for each hour that the ledger shows the provider READY or ACTIVE. */
    perHour: z
      .int()
      .min(1, 'at least 1 an hour; a contract without rent has no rent in its terms')
      .max(1_000_000_000),
  })
  .optional();

/** What may be in escrow for it at once. */
const MOST_PREPAID = 1_000_000_000_000n;
const HOUR_MS = 3_600_000n;

/** What so long is worth, the last part of a unit not paid. */
export function rentFor(perHour: number, ms: number): number {
  return Number((BigInt(perHour) * BigInt(ms)) / HOUR_MS);
}

interface RentOf {
  readonly rent?: z.output<typeof rentTerms>;
  readonly expiresAt: number;
  readonly maxActiveS: number;
}

/**
 * R: rent from the contract's validation to its end, and as long again as an activation may outlive that; rounded up. `undefined` where
 * no escrow takes so much.
 */
export function prepaidRent(
  { rent, expiresAt, maxActiveS }: RentOf,
  validatedAt: number,
): number | undefined {
  if (rent === undefined) return 0;
  const ms = BigInt(Math.max(0, expiresAt - validatedAt)) + BigInt(maxActiveS) * 1000n;
  const prepaid = (BigInt(rent.perHour) * ms + HOUR_MS - 1n) / HOUR_MS;
  return prepaid <= MOST_PREPAID ? Number(prepaid) : undefined;
}
