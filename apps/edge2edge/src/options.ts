import { z } from 'zod';
import type { Bus, HttpPeer, Log, RimAccess } from '@antirio/host';
import { parseEdgeId, type Clock, type EdgeId, type Identity, type Random } from '@antirio/kernel';

export const edgeId = z.string().transform((text, context): EdgeId => {
  try {
    return parseEdgeId(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'not an edge id (PeerId of an Ed25519 key)' });
    return z.NEVER;
  }
});

const port = z.int().min(0).max(65_535);
const rate = z.number().positive();

export const udpAddress = z.strictObject({
  host: z.string().min(1).max(253),
  port: z.int().min(1).max(65_535),
});
export const peerUrl = z.url({ protocol: /^https?$/ }).max(512);

/** Where another edge is reached. */
export const peerAddress = z.strictObject({ url: peerUrl, udp: udpAddress.optional() });
export type PeerAddress = z.output<typeof peerAddress>;

export const sealKey = z.strictObject({
  edgeId,
  x25519: z.string().max(64),
  signature: z.string().max(128),
});

export const edge2edgeOptions = z.strictObject({
  port: port.default(59_706).describe('HTTP for the rooms of this edge'),
  peerPort: port.default(59_716).describe('HTTP for other edges: every request is signed'),
  udpPort: port.default(59_717).describe('signed datagrams from other edges'),
  bind: z.string().default('127.0.0.1').describe('address for the rooms of this edge'),
  peerBind: z
    .string()
    .default('127.0.0.1')
    .describe('address for other edges (signed, not encrypted: put TLS in front where that matters)'),
  dataDir: z.string().min(1).describe("the edge's data folder; the room keeps to `edge2edge` in it"),
  role: z.enum(['edge', 'central']).default('edge'),
  name: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe('what the ledger calls this edge (default: the end of its id)'),
  advertise: peerAddress
    .optional()
    .describe('what others should use to reach this edge (default: peerBind and its ports)'),
  central: peerAddress
    .extend({ edgeId })
    .optional()
    .describe('the central arbitrator, where this edge registers and looks others up'),
  neighbours: z
    .record(z.string(), peerAddress)
    .default({})
    .describe('edges by id with fixed addresses; these win over what others advertise'),
  vetted: z
    .union([z.literal('all'), z.array(edgeId)])
    .default([])
    .describe('central: the edges that may register; all others must be on the ledger already'),
  requestsPerSecond: rate.default(300).describe('of one edge; bursts of twice that'),
  strangerRequestsPerSecond: rate.default(5).describe('of an edge that is not known here'),
  concurrentRequests: z.int().min(1).max(1024).default(32).describe('of one edge at once'),
  datagramsPerSecond: rate.default(500).describe('of one edge; bursts of twice that'),
  contentBytesPerSecond: rate
    .default(64 << 20)
    .describe(
      'of stored content that goes to other edges, all together: the rest of the line is for their requests and beats',
    ),
  relay: z
    .strictObject({
      enabled: z.boolean().default(true),
      directMs: z
        .int()
        .min(100)
        .max(10_000)
        .default(1500)
        .describe('how long the other edge itself may take to answer before the centre is asked'),
      requestsPerSecond: rate
        .default(20)
        .describe('central: of one party of a contract; bursts of twice that'),
      bytesPerSecond: rate.default(256 << 10).describe('central: for one contract'),
    })
    .prefault({})
    .describe('gap filling by way of the centre, where the way between the two edges is cut'),
  devices: z
    .strictObject({
      enabled: z.boolean().default(true),
      aliveInterval: z.string().default('10s'),
      stateInterval: z.string().default('60s'),
    })
    .prefault({})
    .describe('other edges as devices in core-metadata, and how often they are asked whether they are there'),
  maxPeers: z.int().min(1).max(100_000).default(1024).describe('addresses remembered'),
});
export type Edge2EdgeOptions = z.output<typeof edge2edgeOptions>;

/** `peers`: the local rooms by name in camel case, as far as they are there. */
export interface Edge2EdgePorts {
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
