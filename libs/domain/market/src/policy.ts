import { z } from 'zod';
import { confidentiality, opening, standbyLevel } from '@antirio/service-contract';
import type { Ask, Bid } from './order.ts';

const MOST = 1_000_000_000_000;
const amount = z.int().min(0).max(MOST);
const permille = z.int().min(0).max(1000);

/** From the first word to the last: `first` is said at the beginning, `limit` never passed. */
const range = z.strictObject({ first: amount, limit: amount });
export type PriceRange = z.output<typeof range>;

/** An hour of standing by. */
const rent = z.int().min(0).max(1_000_000_000);
const rentRange = z.strictObject({ first: rent, limit: rent }).default({ first: 0, limit: 0 });

const common = {
  /** In the order of preference. */
  standby: z.array(standbyLevel).min(1).default(['hot', 'warm', 'cold']),
  confidentiality: z
    .array(confidentiality)
    .min(1)
    .default(['process', 'forward'])
    .describe('in the order of preference; `relay` is a provider that keeps frames and never takes over'),
  /** How the keys may be opened; `autonomous` gives the provider all of them at once. */
  opening: z.array(opening).min(1).default(['witnessed']),
  /** Part of the way from `first` to `limit` that each own offer goes further, in thousandths. */
  concessionPermille: permille.default(250),
  minReputation: z.int().min(-1_000_000).max(1_000_000).default(-1_000_000),
  maxUndecided: z
    .int()
    .min(0)
    .max(1_000_000)
    .optional()
    .describe('so many undecided disputes of the other side are borne of anybody; without it any number'),
  maxUndecidedPermille: permille
    .default(100)
    .describe(
      'with maxUndecided: more are borne of whom they are no larger a share of, in thousandths of its honoured contracts and undecided disputes',
    ),
  refuseSharedDomains: z.boolean().default(false),
};

/** What a customer wants, declared once. */
export const customerPolicy = z.strictObject({
  ...common,
  payment: range
    .default({ first: 100, limit: 120 })
    .describe('P: what it pays for a takeover; `first` is its first word, `limit` the most'),
  guarantee: range
    .default({ first: 100, limit: 80 })
    .describe('Q: the provider’s stake; `first` is its first word, `limit` the least'),
  rent: rentRange.describe(
    'R: what it pays for an hour of standing by, whatever the level; `limit` is the most, and 0 is none',
  ),
  /** Of what the customer hears, the provider must hear so much. */
  minHearingRatioPermille: permille.default(700),
  /** Frames that the customer heard during the trial, at least. */
  minReceipts: z.int().min(1).max(100_000).default(20),
  /** A device heard so often and never by the provider is not covered. */
  minReceiptsPerDevice: z.int().min(1).max(1000).default(10),
});
export type CustomerPolicy = z.output<typeof customerPolicy>;

/** What a provider offers, declared once. */
export const providerPolicy = z.strictObject({
  ...common,
  payment: range
    .default({ first: 100, limit: 80 })
    .describe('P: what a takeover costs; `first` is its first word, `limit` the least'),
  guarantee: range
    .default({ first: 100, limit: 120 })
    .describe('Q: its own stake; `first` is its first word, `limit` the most'),
  rent: z
    .strictObject({ hot: rentRange, warm: rentRange, cold: rentRange })
    .prefault({})
    .describe('R: what an hour of standing by costs, by level; `limit` is the least, and 0 is none'),
  maxDevices: z.int().min(1).max(10_000).default(1000),
  maxDurationS: z
    .int()
    .min(60)
    .default(90 * 86_400),
  maxOutageS: z.int().min(60).default(86_400),
  maxDrillPenaltyPermille: permille
    .default(100)
    .describe('what one failed drill may cost it, at most, in thousandths of its own stake'),
  minFullDrillEveryS: z
    .int()
    .min(10)
    .max(366 * 86_400)
    .default(86_400)
    .describe('full drills by themselves are so far apart, at least, s; each exposes the keys'),
  minDisputeS: z
    .int()
    .min(1)
    .max(31_536_000)
    .default(3600)
    .describe('a dispute gives both so much time to better their statements, at least, s'),
});
export type ProviderPolicy = z.output<typeof providerPolicy>;

/** What a market order says of undecided disputes: nothing where any are borne. */
export function undecidedBorne({ maxUndecided, maxUndecidedPermille }: CustomerPolicy | ProviderPolicy) {
  return maxUndecided === undefined ? {} : { maxUndecided, maxUndecidedPermille };
}

/** What an ask says of rent: nothing where no level costs any. */
export function rentAsked({ rent }: ProviderPolicy): Pick<Ask, 'rent'> {
  const levels = Object.entries(rent).filter(([, { limit }]) => limit > 0);
  if (levels.length === 0) return {};
  return { rent: Object.fromEntries(levels.map(([level, { limit }]) => [level, limit])) };
}

/** What a bid says of rent. */
export function rentBid({ rent }: CustomerPolicy): Pick<Bid, 'rent'> {
  return rent.limit === 0 ? {} : { rent: rent.limit };
}

/** The policy towards a provider that was matched: who asks for no rent is offered none. */
export function towards(policy: CustomerPolicy, { rent }: { readonly rent?: number }): CustomerPolicy {
  return rent === undefined ? { ...policy, rent: { first: 0, limit: 0 } } : policy;
}

/** The policy of a provider that what it promises costs so much: it is paid for on top of the least payment. */
export function withCost(policy: ProviderPolicy, cost: number): ProviderPolicy {
  const raised = (paid: number): number => Math.min(MOST, paid + cost);
  const { first, limit } = policy.payment;
  return { ...policy, payment: { first: raised(first), limit: raised(limit) } };
}

/** What an edge says at its n-th own offer (from 0): time-dependent, linear, in integers. */
export function concede({ first, limit }: PriceRange, n: number, concessionPermille: number): number {
  return first + Math.trunc(((limit - first) * Math.min(1000, n * concessionPermille)) / 1000);
}
