import { z } from 'zod';
import { canonicalBytes, sha256Hex } from '@antirio/kernel';
import { activationTerms } from './activation.ts';
import { coverageTerms } from './coverage-terms.ts';
import { deafTerms } from './deaf.ts';
import { hearingTerms } from './degraded.ts';
import { downlinkDrillTerms } from './downlink-drill.ts';
import { drillTerms } from './drill.ts';
import { edgeId } from './edge-id.ts';
import { escrowTerms, exposedKeys } from './escrow.ts';
import { flappingTerms } from './flapping.ts';
import { forwardingTerms } from './forwarding.ts';
import { devAddrRange } from './joined-addresses.ts';
import { rekeyTerms } from './rekey-terms.ts';
import { rentTerms } from './rent.ts';
import { volumesTerms } from './volumes.ts';
import { yieldTerms } from './yield-word.ts';

export { edgeId } from './edge-id.ts';

const amount = z.int().min(0).max(1_000_000_000_000);
const hexOf = (bytes: number): z.ZodString => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));

/** One sensor of a protected set. `devAddr` is what radio filters know; the DevEUI is what the contract is about. */
export const protectedDevice = z.strictObject({ devEui: hexOf(8), devAddr: hexOf(4) });
export type ProtectedDevice = z.output<typeof protectedDevice>;

/** What an epoch belongs to: one customer's service with its sensors. A DevEUI is in at most one set. */
export const protectedSet = z.strictObject({
  setId: z.string().regex(/^[A-Za-z0-9._~-]{1,64}$/),
  service: z.string().regex(/^[A-Za-z0-9._~-]{1,128}$/),
  /** Empty where the service is not fed by LoRaWAN: epoch, lease and images only. */
  devices: z.array(protectedDevice).max(10_000),
});

export const confidentiality = z.enum(['relay', 'forward', 'process']);
export type Confidentiality = z.output<typeof confidentiality>;
export const opening = z.enum(['witnessed', 'autonomous']);
export type Opening = z.output<typeof opening>;
export const standbyLevel = z.enum(['hot', 'warm', 'cold']);
export type StandbyLevel = z.output<typeof standbyLevel>;

/**
 * The one document that both edges sign. Money is in the smallest unit; `...Ms` and `...S` are durations; `expiresAt` is the
 * ledger's time in milliseconds.
 */
export const contractTerms = z.strictObject({
  version: z.literal(1),
  contractId: z.uuid(),
  matchId: z.string().max(128).optional(),
  customer: edgeId,
  provider: edgeId,
  /** The central arbitrator: holds the escrow, gives the epochs and leases, keeps its share of the keys, and is the witness. */
  central: edgeId,
  set: protectedSet,
  image: z.strictObject({
    imageName: z.string().min(1).max(128),
    imageCid: z.string().max(128),
    configCid: z.string().max(128),
  }),
  confidentiality,
  opening,
  standby: standbyLevel,
  /** P: the customer's stake, which is the payment for an honoured takeover; Q: the provider's. */
  stakes: z.strictObject({ customer: amount, provider: amount }),
  /** R: what standing by is paid; without it nothing is. */
  rent: rentTerms,
  heartbeatIntervalMs: z.int().min(50).max(60_000).default(200),
  missedBeats: z.int().min(2).max(100).default(3),
  leaseMs: z.int().min(500).max(60_000).default(3000),
  returnBackoffMs: z.int().min(0).max(3_600_000).default(30_000),
  /** A provider that has not taken over this long after the customer's lease ended is in breach. */
  takeoverSlaMs: z.int().min(1000).default(60_000),
  outageS: z.int().min(60).default(3600),
  maxActiveS: z.int().min(60).default(86_400),
  /** For so long the two statements may differ, s of the ledger's time: then both stakes go back. Absent in terms of before, which keep the rules of then. */
  disputeS: z.int().min(1).max(31_536_000).optional(),
  /** What ends undecided is counted of both on the ledger, and seen by whom they want contracts with. */
  disputeCounts: z.boolean().optional(),
  ringBudgetBytes: z
    .int()
    .min(65_536)
    .default(16 << 20),
  /** Who holds the arbitrators' part of the keys. */
  escrow: escrowTerms,
  exposed: exposedKeys,
  /** FCntDown blocks with index = slot (mod 4) are the party's. */
  slots: z.strictObject({ customer: z.int().min(0).max(3), provider: z.int().min(0).max(3) }),
  activation: activationTerms.prefault({}),
  yielding: yieldTerms.prefault({}),
  deaf: deafTerms.prefault({}),
  flapping: flappingTerms.prefault({}),
  drills: drillTerms,
  downlinkDrills: downlinkDrillTerms,
  hearing: hearingTerms.prefault({}),
  coverage: coverageTerms.prefault({}),
  forwarding: forwardingTerms.optional(),
  devAddrRange: devAddrRange.optional(),
  /** The provider is given the root keys of devices that join, sealed as all keys are: it could make their sessions for ever. */
  rootKeys: z.literal(true).optional(),
  rekey: rekeyTerms.prefault({}),
  volumes: volumesTerms,
  expiresAt: z.int().positive(),
});
export type ContractTerms = z.output<typeof contractTerms>;

const LATER = [
  'escrow',
  'exposed',
  'yielding',
  'deaf',
  'hearing',
  'activation',
  'flapping',
  'drills',
  'downlinkDrills',
  'coverage',
  'rekey',
] as const;

/**
 * Terms as they were kept: what had no field for something yet is read with its default. Signatures and hashes are over what was
 * kept, not over this.
 */
export function readTerms(kept: ContractTerms): ContractTerms {
  return LATER.every((field) => field in kept) ? kept : contractTerms.parse(kept);
}

/** Terms that were read with their defaults, as they were kept: without what came later where they did not have it. */
export function keptTerms(read: ContractTerms, kept: object): ContractTerms {
  const later: readonly string[] = LATER;
  const had = Object.entries(read).filter(([field]) => !later.includes(field) || Object.hasOwn(kept, field));
  return Object.fromEntries(had) as ContractTerms;
}

/** What the two signatures are over, as hex: the hash by which everybody names these terms. */
export function termsHash(terms: ContractTerms): string {
  return sha256Hex(canonicalBytes(terms));
}

/** The `kind` of the signed document; signatures for anything else do not count. */
export const TERMS_KIND = 'antirio/contract-terms/1';
