import { z } from 'zod';
import type { HttpPeer, Log, RimAccess } from '@antirio/host';
import type { Clock, Identity, Random } from '@antirio/kernel';
import { capacity, customerPolicy, providerPolicy, qualities } from '@antirio/market';
import {
  coverageTerms,
  deafTerms,
  devAddrRange,
  downlinkDrillTerms,
  drillTerms,
  edgeId,
  escrowTerms,
  flappingTerms,
  forwardingTerms,
  rekeyTerms,
} from '@antirio/service-contract';

const ms = z.int().min(10).max(86_400_000);

const estimate = z.strictObject({
  cpuMillis: z
    .int()
    .min(1)
    .default(250)
    .describe('where the service was not measured: thousandths of a core'),
  memoryMiB: z.int().min(1).default(128).describe('where the service was not measured'),
  imageMiB: z.int().min(1).default(128).describe('where the content store does not know the size'),
  uplinksPermille: z.int().min(1).default(500).describe('of one device: thousandths of an uplink per second'),
});

/** As in the terms, but for what they have where nothing is said of it. */
const drills = drillTerms
  .unwrap()
  .extend({
    perMonth: z
      .int()
      .min(0)
      .max(31)
      .default(1)
      .describe('so many in 30 days, and one that is passed before READY; 0: none'),
    maxMs: z
      .int()
      .min(10_000)
      .max(3_600_000)
      .optional()
      .describe(
        'so long may the provider take of its own, ms (default: a minute; ten where the service is `cold`, as its image is unpacked and loaded)',
      ),
  })
  .prefault({});

/** As in the terms, but that payments wait where nothing is said of it. */
const rekey = rekeyTerms
  .extend({
    waitS: rekeyTerms.shape.waitS
      .unwrap()
      .default(600)
      .describe(
        'for so long at most, in seconds of the ledger’s time from when both statements agree; 0: the takeover is paid then, whoever has new keys',
      ),
  })
  .prefault({});

const termsFields = z.strictObject({
  heartbeatIntervalMs: z.int().min(50).max(60_000).optional(),
  missedBeats: z.int().min(2).max(100).optional(),
  leaseMs: z.int().min(500).max(60_000).optional(),
  returnBackoffMs: z.int().min(0).max(3_600_000).optional(),
  takeoverSlaMs: z.int().min(1000).optional(),
  outageS: z
    .int()
    .min(60)
    .default(3600)
    .describe('for how long a provider’s ring is to have room, s; less than an hour is taken for an hour'),
  maxActiveS: z.int().min(60).optional(),
  disputeS: z
    .int()
    .min(1)
    .max(31_536_000)
    .default(259_200)
    .describe(
      'for so long the two statements on a handback may differ, in seconds of the ledger’s time: then both stakes go back',
    ),
  disputeCounts: z
    .boolean()
    .default(true)
    .describe('whether what ends undecided is counted of both on the ledger, for whom it may concern'),
  forwarding: forwardingTerms
    .optional()
    .describe('where a provider that serves forwards the readings to: the own cloud'),
  escrow: escrowTerms
    .optional()
    .describe(
      'who holds the arbitrators’ part of the keys, and how many of them open it (default: the central arbitrator)',
    ),
  devAddrRange: devAddrRange
    .optional()
    .describe(
      'addresses that joining devices may be given (default: the device service’s own range, where some join)',
    ),
  rootKeys: z
    .literal(true)
    .optional()
    .describe(
      'give providers that may process the root keys of devices that join, so that they answer joins while they serve: they could make sessions for these devices for ever, until their root keys are others',
    ),
  coverage: coverageTerms
    .optional()
    .describe(
      'whether the ledger rules what an outage shows of a provider’s hearing, or it is only reported',
    ),
  drills: drills.describe(
    'takeovers without a failure: how many a month, how fast, and what a failed one costs',
  ),
  downlinkDrills: downlinkDrillTerms
    .optional()
    .describe(
      'downlinks that providers’ gateways are lent to show that sensors hear them: how many, how often, what they decide',
    ),
  deaf: deafTerms
    .optional()
    .describe(
      'from when on a customer that lives counts as deaf: so many frames that it has not, for so long; for as long may a room of it give no answer',
    ),
  flapping: flappingTerms
    .optional()
    .describe('how long a customer that fails again and again waits before it asks for its sensors back'),
  rekey: rekey.describe('how long the payment of a takeover waits for devices that join anew'),
  exposed: z
    .enum(['accept', 'refuse'])
    .optional()
    .describe('whether a contract goes on with keys that the provider has seen, or waits for new ones'),
});
const terms = termsFields.refine(
  ({ drills: { full }, exposed }) => full === undefined || exposed !== 'refuse',
  { path: ['drills', 'full'], message: 'each full drill exposes the keys: `exposed` has to be `accept`' },
);

const provider = z.strictObject({
  enabled: z.boolean().default(false).describe('whether this edge insures others'),
  policy: providerPolicy.prefault({}),
  capacity: capacity
    .default({
      cpuMillis: 1000,
      memoryMiB: 512,
      storageMiB: 4096,
      bandwidthKbps: 1000,
      ringBytes: 256 << 20,
    })
    .describe('what it can spare in all'),
  storageCost: z
    .boolean()
    .default(true)
    .describe(
      'whether the least payment grows by what the content store asks for the image of a contract, in units of the ledger (by default it asks nothing)',
    ),
  maxContracts: z.int().min(1).max(1000).default(8).describe('at once, those under negotiation included'),
  askPeriodMs: z
    .int()
    .min(2000)
    .max(86_400_000)
    .default(3_600_000)
    .describe('how often the offer is renewed'),
  trialRingBytes: z
    .int()
    .min(65_536)
    .default(1 << 20)
    .describe('shadow buffer of one coverage trial'),
  receiptIntervalMs: ms.default(400).describe('how often a trial commits to what was heard'),
});

export const dmuOptions = z.strictObject({
  port: z.int().min(0).max(65_535).default(59_703),
  bind: z.string().default('127.0.0.1'),
  dataDir: z.string().min(1).describe('the data folder; the room keeps to `dmu` in it'),
  central: z.looseObject({ edgeId }).optional().describe('the central arbitrator of its contracts'),
  protectedService: z
    .strictObject({ configFile: z.string() })
    .optional()
    .describe('description of the device service (serviceName, devices), for demands that name no devices'),
  qualities: qualities
    .prefault({ cells: ['local'] })
    .describe('where and what this edge is, for both sides of the market'),
  policy: customerPolicy.prefault({}).describe('as a customer'),
  provider: provider.prefault({}),
  estimate: estimate.prefault({}),
  terms: terms.prefault({}).describe('of contracts that this edge proposes'),
  tickIntervalMs: ms.default(200).describe('how often demands are looked at'),
  commitWithinMs: ms.default(2000).describe('a commitment proves only what was on air within this time'),
  maxTrialMs: ms.default(60_000).describe('a trial is judged by what there is after this'),
  negotiationMs: ms.default(30_000),
  maxRounds: z.int().min(2).max(100).default(8),
  patienceMs: ms.default(30_000).describe('a provider that does not answer for so long is given up'),
  excludeMs: ms.default(30_000).describe('how long a provider that failed is not matched again'),
  demandLifetimeS: z
    .int()
    .min(10)
    .max(30 * 86_400)
    .default(86_400),
  maxDemands: z.int().min(1).max(10_000).default(64),
});
export type DmuOptions = z.output<typeof dmuOptions>;

/** `peers`: marketplace, edge2edge, gatewayBridge, arbitrator; for measuring, and for what storing costs: filecoinInterface, deviceLora. */
export interface DmuPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  readonly identity: Identity;
  readonly peers: Readonly<Record<string, HttpPeer>>;
}

export const VERSION = '0.1.0';
