import { z } from 'zod';
import { coverageAnswer, coverageClaim } from '@antirio/service-contract';

const about = { contractId: z.uuid(), epoch: z.int().min(1) } as const;

/** What parties tell the ledger of how well a provider heard under an epoch. */
export const coveragePayloads = [
  /** By the customer, while it may: too little was handed back. */
  z.strictObject({ type: z.literal('coverage/claim'), ...about, claim: coverageClaim }),
  /** By the provider: what its own ring says. */
  z.strictObject({ type: z.literal('coverage/answer'), ...about, answer: coverageAnswer }),
  /** By the customer: there is nothing to claim. */
  z.strictObject({ type: z.literal('coverage/waive'), ...about }),
  /** By anyone concerned, once the provider has answered or its time is up: the ledger judges what it has. */
  z.strictObject({ type: z.literal('coverage/rule'), ...about }),
] as const;
