import { z } from 'zod';
import type { Bus, HttpPeer, Log, RimAccess } from '@antirio/host';
import { SILENCE_OF_EDGE, speakerAct } from '@antirio/ledger-machine';
import { edgeId } from '@antirio/service-contract';
import { lastGaspOptions } from './machine-state.ts';
import type { Clock, Identity, Random } from '@antirio/kernel';

export const arbitratorOptions = z.strictObject({
  port: z.int().min(0).max(65_535).default(59_704),
  bind: z.string().default('127.0.0.1'),
  dataDir: z.string(),
  role: z
    .enum(['edge', 'central', 'cloud'])
    .default('edge')
    .describe(
      'edge: party to contracts; central: escrow, grantor and witness; cloud: keeps shares of keys, and speaks for its owner’s edges',
    ),
  speaker: z
    .strictObject({
      edgeId: edgeId.describe('of the cloud arbitrator'),
      everyS: z.int().min(1).max(3600).default(30).describe('how often it is told how contracts stand'),
      silentS: z
        .int()
        .min(SILENCE_OF_EDGE.least / 1000)
        .max(SILENCE_OF_EDGE.most / 1000)
        .default(21_600)
        .describe(
          'it says nothing unless this edge has been silent for so long; the ledger is told four times as often that this edge lives',
        ),
      forDays: z
        .int()
        .min(1)
        .max(365)
        .default(90)
        .describe('how long it may speak after the last word of this edge'),
      acts: z
        .array(speakerAct)
        .min(1)
        .max(speakerAct.options.length)
        .default([...speakerAct.options])
        .describe(
          'cancel: contracts that never became READY; expire: those whose time is over; coverage: have a claim judged; roots: claim a breach that the provider’s own signatures show',
        ),
    })
    .optional()
    .describe('who speaks for this edge where it cannot (role edge); without it nobody does'),
  speaksFor: z
    .array(edgeId)
    .max(256)
    .default([])
    .describe('edges whose contracts are followed, and for which is spoken where they say so (role cloud)'),
  followS: z
    .int()
    .min(1)
    .max(3600)
    .default(30)
    .describe('how often their contracts are looked at (role cloud)'),
  escrow: z
    .strictObject({
      maxContracts: z
        .int()
        .min(0)
        .max(100_000)
        .default(1000)
        .describe('contracts of others for which shares of keys are kept at once; 0: none'),
    })
    .prefault({}),
  tickIntervalMs: z
    .int()
    .min(5)
    .max(250)
    .default(20)
    .describe('how often the contract machines look at the time'),
  observeIntervalMs: z
    .int()
    .min(20)
    .max(5000)
    .default(200)
    .describe('how often the other rooms are asked what they do'),
  maxContracts: z
    .int()
    .min(1)
    .max(1000)
    .default(32)
    .describe('contracts under way at once, as customer and as provider'),
  takeoversAtOnce: z
    .int()
    .min(1)
    .max(1000)
    .default(8)
    .describe(
      'services that are opened at once where many customers fall silent; the others follow in order',
    ),
  listenOnS: z
    .int()
    .min(0)
    .max(86_400)
    .default(60)
    .describe('how long a provider listens on after a contract, so that one that follows finds no gap'),
  unclaimedRetainS: z
    .int()
    .min(60)
    .default(7 * 86_400)
    .describe('how long an ended contract waits for a party that is away before its frames are given up'),
  handedBackRetainS: z
    .int()
    .min(0)
    .max(31_536_000)
    .default(7 * 86_400)
    .describe(
      'how long the provider of an ended contract keeps what was handed back, as far as living contracts leave room',
    ),
  lastGasp: lastGaspOptions.describe('when this edge gives its service away by itself'),
  operatorKeys: z
    .array(z.string().max(64))
    .max(16)
    .default([])
    .describe('ids (of identity files) that confirm forced acts, beside this edge'),
  /** What a customer protects: its device service's configuration and its session keys (files of this edge). */
  protectedService: z
    .strictObject({
      configFile: z.string(),
      secretsFile: z.string(),
      /** 64 hexadecimal digits, of which the logins of contracts at the own cloud are made (`forwarding` in the terms). */
      forwardingKeyFile: z.string().optional(),
    })
    .optional()
    .describe('the device service that contracts of this edge are about'),
});
export type ArbitratorOptions = z.output<typeof arbitratorOptions>;

/** `peers`: edge2edge, orchestrator, migration, gatewayBridge, dmu on an edge; edge2edge and ledger at the centre. */
export interface ArbitratorPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  readonly bus: Bus;
  readonly identity: Identity;
  readonly peers: Readonly<Record<string, HttpPeer>>;
}

export const VERSION = '0.1.0';
