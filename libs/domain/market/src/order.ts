import { z } from 'zod';
import { confidentiality, edgeId, standbyLevel } from '@antirio/service-contract';
import { capacity, qualities } from './resources.ts';

const amount = z.int().min(0).max(1_000_000_000_000);

/** P, the customer's stake and the payment of a takeover, and Q, the provider's stake, in the smallest unit. */
export const price = z.strictObject({ p: amount, q: amount });
export type Price = z.output<typeof price>;

/** R: an hour of standing by. Nothing is said of what is nothing, which orders of before did not know. */
const rent = z.int().min(1).max(1_000_000_000);

const common = {
  capacity,
  qualities,
  /** In the order of preference. */
  standby: z.array(standbyLevel).min(1).max(3),
  confidentiality: z.array(confidentiality).min(1).max(3),
  /** Edges not to be matched with. */
  exclude: z.array(edgeId).max(64).default([]),
  /** Honoured minus breached contracts that the other side must have at least. */
  minReputation: z.int().min(-1_000_000).max(1_000_000).default(-1_000_000),
  /** So many undecided disputes may be counted of anybody on the other side; without it any number. */
  maxUndecided: z.int().min(0).max(1_000_000).optional(),
  /**
   * More may be counted of whom they are no larger a share of, in thousandths of its honoured contracts and undecided disputes; without it
   * of nobody. Who serves well outgrows what others have inflicted on it.
   */
  maxUndecidedPermille: z.int().min(0).max(1000).optional(),
  /** Whether a match that shares a failure domain is refused (otherwise it is shown in the match). */
  refuseSharedDomains: z.boolean().default(false),
  /** Ledger time in milliseconds. */
  expiresAt: z.int().positive(),
};

/** An offer: `price.p` is the least payment, `price.q` the highest own stake. */
export const ask = z.strictObject({
  side: z.literal('ask'),
  ...common,
  price,
  /** The least an hour, by level; a level that is not named costs nothing. */
  rent: z.strictObject({ hot: rent.optional(), warm: rent.optional(), cold: rent.optional() }).optional(),
  /** Whether several bids may share it, each with its part of the capacity. */
  divisible: z.boolean().default(true),
});

/** A demand: `price.p` is the highest payment, `price.q` the least stake of the provider. */
export const bid = z.strictObject({
  side: z.literal('bid'),
  ...common,
  price,
  /** The most an hour; without it nothing. */
  rent: rent.optional(),
  /** How many sensors are to be protected; none where the service is not fed by LoRaWAN. */
  devices: z.int().min(0).max(10_000),
});

export const orderTerms = z.discriminatedUnion('side', [ask, bid]);
export type Ask = z.output<typeof ask>;
export type Bid = z.output<typeof bid>;
export type OrderTerms = z.output<typeof orderTerms>;
