import { z } from 'zod';

const about = { contractId: z.uuid() } as const;

/** Whether somebody stands by for the rent. */
export const rentPayloads = [
  /** By the customer, which has not heard its provider for long. */
  z.strictObject({ type: z.literal('rent/doubt'), ...about }),
  /** By the provider: it is there. */
  z.strictObject({ type: z.literal('rent/answer'), ...about }),
] as const;
