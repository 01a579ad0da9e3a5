import { z } from 'zod';
import { signedRingRoot } from '@antirio/ledger-machine';
import { edgeId } from '@antirio/service-contract';

const count = z.int().min(0);
const word = z.string().max(64);

/** Contracts that go with one report, roots and devices of each. */
export const REPORTED_AT_ONCE = 32;
export const ROOTS_TOLD = 8;
export const DEVICES_TOLD = 100;

/** What an edge tells the arbitrator that speaks for it, of one contract: how its beats stand, and what its provider has signed. */
export const contractReport = z.strictObject({
  contractId: z.uuid(),
  phase: word,
  /** The last beat that was sent. */
  beat: z.strictObject({ bootId: word, sequence: count, epoch: count }).optional(),
  /** As the ledger's record says. */
  known: z.strictObject({ state: word, epoch: count, holder: edgeId }).optional(),
  leaseBy: word.optional(),
  /** How far sensors had counted by the newest marks that both parties signed. */
  heard: z
    .array(z.strictObject({ devEui: z.string().regex(/^[0-9a-f]{16}$/), last: count }))
    .max(DEVICES_TOLD),
  /** The provider's roots over its ring, as it signed them: the newest, and two that contradict each other. */
  roots: z.array(signedRingRoot).max(ROOTS_TOLD + 2),
});
export type ContractReport = z.output<typeof contractReport>;

export const speakerReport = z.strictObject({
  contracts: z.array(contractReport).max(REPORTED_AT_ONCE),
});
