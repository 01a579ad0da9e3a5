import { z } from 'zod';
import type { Log, RimAccess } from '@antirio/host';
import type { Clock, Identity } from '@antirio/kernel';
import { genesis } from '@antirio/ledger-machine';
import { edgeId } from '@antirio/service-contract';

export const ledgerOptions = z.strictObject({
  port: z.int().min(0).max(65_535).default(59_707),
  bind: z.string().default('127.0.0.1'),
  dataDir: z.string().min(1).describe('the data folder; the room keeps to `ledger` in it'),
  genesis: genesis
    .extend({
      arbitrator: edgeId
        .optional()
        .describe('the central arbitrator (default: the identity of this process)'),
    })
    .prefault({})
    .describe('what a new ledger starts from; it cannot be changed after'),
  eventsKept: z
    .int()
    .min(100)
    .max(1_000_000)
    .default(20_000)
    .describe('newest events that can be read again'),
  followers: z.int().min(1).max(10_000).default(256).describe('requests that may wait for events at once'),
});
export type LedgerOptions = z.output<typeof ledgerOptions>;

/** `identity` is needed where the options do not name the arbitrator. */
export interface LedgerPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  readonly identity?: Identity;
}

export const VERSION = '0.1.0';
