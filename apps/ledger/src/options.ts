import { z } from 'zod';
import type { Log, RimAccess } from '@antirio/host';
import type { Clock, Identity } from '@antirio/kernel';
import { genesis } from '@antirio/ledger-machine';
import { edgeId } from '@antirio/service-contract';

const cometbft = z.strictObject({
  kind: z.literal('cometbft'),
  rpcUrls: z
    .array(z.url({ protocol: /^https?$/ }))
    .min(1)
    .max(8)
    .describe(
      'RPC of the own organisation’s nodes, the first that answers is asked: what they say is believed',
    ),
  submitMs: z
    .int()
    .min(500)
    .max(60_000)
    .default(4500)
    .describe(
      'a transaction that is not decided by then is answered with 504; submitted again it does no more',
    ),
  stalledMs: z
    .int()
    .min(2000)
    .default(15_000)
    .describe('not healthy where no block came for so long; a federation makes one each second'),
});
export type CometbftEngine = z.output<typeof cometbft>;

export const ledgerOptions = z.strictObject({
  engine: z
    .discriminatedUnion('kind', [z.strictObject({ kind: z.literal('local') }), cometbft])
    .default({ kind: 'local' })
    .describe(
      'who keeps the ledger: a log of this process, or a federation: `{kind: "cometbft", rpcUrls: [...], submitMs: 4500, stalledMs: 15000}`',
    ),
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
    .describe(
      'what a new local ledger starts from; it cannot be changed after. A federation’s is in its genesis.json',
    ),
  eventsKept: z
    .int()
    .min(100)
    .max(1_000_000)
    .default(20_000)
    .describe('newest events that can be read again (local engine)'),
  followers: z.int().min(1).max(10_000).default(256).describe('requests that may wait for events at once'),
});
export type LedgerOptions = z.output<typeof ledgerOptions>;

export const ledgerAppOptions = z.strictObject({
  port: z.int().min(0).max(65_535).default(59_711),
  bind: z.string().default('127.0.0.1'),
  dataDir: z.string().min(1).describe('the data folder; the room keeps to `ledger-app` in it'),
  abciPort: z
    .int()
    .min(0)
    .max(65_535)
    .default(26_658)
    .describe('where the CometBFT node of this organisation finds its application (`proxy_app`)'),
  abciBind: z.string().default('127.0.0.1').describe('the address it listens on for that'),
  abciInsecureBind: z
    .boolean()
    .default(false)
    .describe('ABCI knows neither TLS nor a login: listen beyond this host where the network is yours'),
  eventsKept: z
    .int()
    .min(100)
    .max(1_000_000)
    .default(20_000)
    .describe('newest events that can be read again'),
  snapshotEvery: z
    .int()
    .min(0)
    .default(10_000)
    .describe('blocks from one snapshot for new nodes to the next; 0 = none'),
});
export type LedgerAppOptions = z.output<typeof ledgerAppOptions>;

/** `identity` is needed where the options do not name the arbitrator. */
export interface LedgerPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  readonly identity?: Identity;
}

export const VERSION = '0.1.0';
