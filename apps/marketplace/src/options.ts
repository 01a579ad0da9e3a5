import { z } from 'zod';
import type { HttpPeer, Log, RimAccess } from '@antirio/host';
import type { Clock, Identity, Random } from '@antirio/kernel';

export const marketplaceOptions = z.strictObject({
  port: z.int().min(0).max(65_535).default(59_705),
  bind: z.string().default('127.0.0.1'),
  dataDir: z.string().min(1).describe('the data folder; the room keeps to `marketplace` in it'),
  role: z
    .enum(['edge', 'central'])
    .default('edge')
    .describe('edge: its own orders and matches; central: listing and statistics of all'),
  retryIntervalMs: z.int().min(20).max(60_000).default(500).describe('between attempts to reach the ledger'),
  refreshIntervalMs: z
    .int()
    .min(50)
    .max(600_000)
    .default(5000)
    .describe('how often matches are read again where the ledger reports no event'),
  maxOrders: z.int().min(1).max(100_000).default(1000).describe('own orders kept, ended ones included'),
});
export type MarketplaceOptions = z.output<typeof marketplaceOptions>;

/** `peers`: edge2edge on an edge, ledger at the centre. */
export interface MarketplacePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  readonly identity: Identity;
  readonly peers: Readonly<Record<string, HttpPeer>>;
}

export const VERSION = '0.1.0';
