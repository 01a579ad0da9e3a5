import type { EdgeId } from '@antirio/kernel';
import type { Confidentiality, StandbyLevel } from '@antirio/service-contract';
import type { Ask, Bid } from './order.ts';
import { lacksCapacity, type Capacity, type Qualities } from './resources.ts';

/** One side of a possible match: its terms, whose they are, and what the ledger knows besides. */
export interface Standing<T> {
  readonly id: string;
  readonly edge: EdgeId;
  readonly terms: T;
  /** Honoured minus breached contracts. */
  readonly reputation: number;
  readonly honoured: number;
  /** Disputes that were counted of it. */
  readonly undecided: number;
  /** Place in the order of arrival. */
  readonly sequence: number;
}

export interface StandingAsk extends Standing<Ask> {
  /** What other matches left of its capacity. */
  readonly remaining: Capacity;
}

/** What both orders allow, as the start of a negotiation. */
export interface Fit {
  readonly standby: StandbyLevel;
  readonly confidentiality: Confidentiality;
  /** Failure domains that both sides are in: priced and shown, not hidden. */
  readonly sharedDomains: readonly string[];
  /** The least for an hour of standing by at this level, where that is something. */
  readonly rent?: number;
}

const shared = <T>(wanted: readonly T[], offered: readonly T[]): T[] =>
  wanted.filter((item) => offered.includes(item));

function lacksQuality(wanted: Qualities, offered: Qualities): string | undefined {
  if (wanted.cores > offered.cores) return 'cores';
  if (wanted.uptimePermille > offered.uptimePermille) return 'uptime';
  if (wanted.batteryMinutes > offered.batteryMinutes) return 'battery';
  if (shared(wanted.interfaces, offered.interfaces).length < wanted.interfaces.length) return 'interfaces';
  return shared(wanted.cells, offered.cells).length === 0 ? 'cells' : undefined;
}

function quarrels({ honoured, undecided }: Standing<Bid | Ask>, { terms }: Standing<Bid | Ask>): boolean {
  const { maxUndecided = Infinity, maxUndecidedPermille = 0 } = terms;
  return undecided > maxUndecided && undecided * 1000 > maxUndecidedPermille * (honoured + undecided);
}

function distrust(bid: Standing<Bid>, ask: StandingAsk): string | undefined {
  if (bid.edge === ask.edge) return 'sameEdge';
  if (bid.terms.exclude.includes(ask.edge) || ask.terms.exclude.includes(bid.edge)) return 'excluded';
  if (ask.reputation < bid.terms.minReputation || bid.reputation < ask.terms.minReputation)
    return 'reputation';
  return quarrels(bid, ask) || quarrels(ask, bid) ? 'undecided' : undefined;
}

/** What an hour of standing by costs at least; of an ask that asks for none, nothing. */
const askedRent = ({ rent }: Ask, level: StandbyLevel): number => rent?.[level] ?? 0;

/** P and a day of standing by together: what matches are ranked by. */
const dayOf = (p: number, perHour: number): number => p + 24 * perHour;

function overpriced(bid: Bid, ask: Ask): string | undefined {
  return ask.price.p > bid.price.p || bid.price.q > ask.price.q ? 'price' : undefined;
}

/** The first level that the bid wants and the ask offers at a rent that the bid pays. */
function levelOf(bid: Bid, ask: Ask): Pick<Fit, 'standby' | 'rent'> | { readonly misfit: string } {
  const levels = shared(bid.standby, ask.standby);
  const standby = levels.find((level) => askedRent(ask, level) <= (bid.rent ?? 0));
  if (standby === undefined) return { misfit: levels.length === 0 ? 'standby' : 'rent' };
  const rent = askedRent(ask, standby);
  return rent === 0 ? { standby } : { standby, rent };
}

/** What the two can agree on, or the first thing that keeps them apart. */
export function fit(bid: Standing<Bid>, ask: StandingAsk): Fit | { readonly misfit: string } {
  const misfit =
    distrust(bid, ask) ??
    overpriced(bid.terms, ask.terms) ??
    lacksCapacity(ask.remaining, bid.terms.capacity) ??
    lacksQuality(bid.terms.qualities, ask.terms.qualities);
  if (misfit !== undefined) return { misfit };
  const level = levelOf(bid.terms, ask.terms);
  const [confidentiality] = shared(bid.terms.confidentiality, ask.terms.confidentiality);
  if ('misfit' in level) return level;
  if (confidentiality === undefined) return { misfit: 'confidentiality' };
  const sharedDomains = shared(bid.terms.qualities.failureDomains, ask.terms.qualities.failureDomains);
  const refuse = bid.terms.refuseSharedDomains || ask.terms.refuseSharedDomains;
  return refuse && sharedDomains.length > 0
    ? { misfit: 'failureDomains' }
    : { ...level, confidentiality, sharedDomains };
}

export interface Pair {
  readonly bid: Standing<Bid>;
  readonly ask: StandingAsk;
  readonly fit: Fit;
}

type Rank = readonly [number, number, number, string];

function compareRanks(a: Rank, b: Rank): number {
  for (const [i, x] of a.entries()) {
    const y = b[i];
    if (y !== undefined && x !== y) return x < y ? -1 : 1;
  }
  return 0;
}

function best(pairs: readonly Pair[], rank: (pair: Pair) => Rank): Pair | undefined {
  let found: Pair | undefined;
  for (const pair of pairs)
    if (found === undefined || compareRanks(rank(pair), rank(found)) < 0) found = pair;
  return found;
}

function pairs(bids: readonly Standing<Bid>[], asks: readonly StandingAsk[]): Pair[] {
  return bids.flatMap((bid) =>
    asks.flatMap((ask) => {
      const found = fit(bid, ask);
      return 'misfit' in found ? [] : [{ bid, ask, fit: found }];
    }),
  );
}

/** For a demand: the fewest shared failure domains, then the lowest price with a day's rent, then the first that came. */
export function bestAsk(bid: Standing<Bid>, asks: readonly StandingAsk[]): Pair | undefined {
  return best(pairs([bid], asks), ({ ask, fit: { sharedDomains, rent = 0 } }) => [
    sharedDomains.length,
    dayOf(ask.terms.price.p, rent),
    ask.sequence,
    ask.id,
  ]);
}

/** For an offer: the highest payment with a day's rent, then the fewest shared failure domains, then the first that came. */
export function bestBid(ask: StandingAsk, bids: readonly Standing<Bid>[]): Pair | undefined {
  return best(pairs(bids, [ask]), ({ bid, fit: { sharedDomains } }) => [
    -dayOf(bid.terms.price.p, bid.terms.rent ?? 0),
    sharedDomains.length,
    bid.sequence,
    bid.id,
  ]);
}
