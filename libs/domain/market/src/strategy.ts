import { canonicalJson, type EdgeId } from '@antirio/kernel';
import type { ContractTerms } from '@antirio/service-contract';
import type { Judge, Verdict } from './negotiation.ts';
import { concede, type CustomerPolicy, type PriceRange, type ProviderPolicy } from './policy.ts';

/** What is haggled over: P, Q, and R for an hour. */
interface Price {
  readonly customer: number;
  readonly provider: number;
  readonly rent: number;
}

const priceOf = ({ stakes, rent }: ContractTerms): Price => ({ ...stakes, rent: rent?.perHour ?? 0 });

/** Terms at this price. Without rent they are as they were before there was any. */
function priced({ rent: _other, ...terms }: ContractTerms, { rent, ...stakes }: Price): ContractTerms {
  return { ...terms, stakes, ...(rent === 0 ? {} : { rent: { perHour: rent } }) };
}

/** What one side says at its n-th own offer. */
function sayNth(
  { payment, guarantee, concessionPermille }: CustomerPolicy | ProviderPolicy,
  rent: PriceRange,
  n: number,
): Price {
  return {
    customer: concede(payment, n, concessionPermille),
    provider: concede(guarantee, n, concessionPermille),
    rent: concede(rent, n, concessionPermille),
  };
}

const pleasesCustomer = (given: Price, wanted: Price): boolean =>
  given.customer <= wanted.customer && given.provider >= wanted.provider && given.rent <= wanted.rent;
const pleasesProvider = (given: Price, wanted: Price): boolean =>
  given.customer >= wanted.customer && given.provider <= wanted.provider && given.rent >= wanted.rent;

/** The first offer of a customer. */
export function firstOffer(policy: CustomerPolicy, terms: ContractTerms): ContractTerms {
  return priced(terms, sayNth(policy, policy.rent, 0));
}

function haggle(
  terms: ContractTerms,
  next: Price,
  limits: Price,
  pleases: (given: Price, wanted: Price) => boolean,
  last: boolean,
): Verdict {
  const given = priceOf(terms);
  if (pleases(given, last ? limits : next)) return { say: 'accept' };
  return last
    ? {
        say: 'refuse',
        reason: `no agreement on the stakes${given.rent + limits.rent > 0 ? ', or the rent' : ''}`,
      }
    : { say: 'offer', terms: priced(terms, next) };
}

function limitsOf({ payment, guarantee }: CustomerPolicy | ProviderPolicy, rent: PriceRange): Price {
  return { customer: payment.limit, provider: guarantee.limit, rent: rent.limit };
}

/** Haggles over the stakes and the rent; everything else must stay as the customer said it. */
export function customerJudge(policy: CustomerPolicy, offered: ContractTerms): Judge {
  return (terms, { own, last }) => {
    if (canonicalJson(priced(terms, priceOf(offered))) !== canonicalJson(offered))
      return { say: 'refuse', reason: 'only the stakes and the rent are open to negotiation' };
    const { rent } = policy;
    return haggle(terms, sayNth(policy, rent, own), limitsOf(policy, rent), pleasesCustomer, last);
  };
}

/** What a provider knows besides the offer. */
export interface ProviderView {
  readonly self: EdgeId;
  readonly customer: EdgeId;
  readonly central: EdgeId;
  readonly matchId: string;
  readonly now: number;
  /** Bytes of shadow buffer that are not promised yet. */
  readonly freeRingBytes: number;
  /** What the match allows. */
  readonly standby: ContractTerms['standby'];
  readonly confidentiality: ContractTerms['confidentiality'];
  /** Trial rings hold these; a contract for others was never tried. */
  readonly devAddrs: ReadonlySet<string>;
}

function wrongParties(terms: ContractTerms, view: ProviderView): string | undefined {
  if (terms.provider !== view.self || terms.customer !== view.customer)
    return 'the parties are not those of the match';
  if (terms.central !== view.central) return 'another central arbitrator';
  return terms.matchId === view.matchId ? undefined : 'another match';
}

function tooMuch(terms: ContractTerms, policy: ProviderPolicy, view: ProviderView): string | undefined {
  const seconds = Math.ceil((terms.expiresAt - view.now) / 1000);
  if (seconds <= 0 || seconds > policy.maxDurationS) return 'duration';
  if (terms.set.devices.length > policy.maxDevices) return 'number of devices';
  if (terms.outageS > policy.maxOutageS) return 'outage to be covered';
  if (terms.ringBudgetBytes > view.freeRingBytes) return 'shadow buffer';
  return terms.set.devices.every(({ devAddr }) => view.devAddrs.has(devAddr))
    ? undefined
    : 'devices outside the trial';
}

function notOffered(terms: ContractTerms, policy: ProviderPolicy, view: ProviderView): string | undefined {
  if (terms.standby !== view.standby || !policy.standby.includes(terms.standby)) return 'standby level';
  if (
    terms.confidentiality !== view.confidentiality ||
    !policy.confidentiality.includes(terms.confidentiality)
  )
    return 'confidentiality';
  // where there are no keys nothing is opened
  const isOpened = terms.confidentiality !== 'relay';
  return !isOpened || policy.opening.includes(terms.opening) ? undefined : 'opening';
}

/** The least own stake of which the penalty of a drill is no larger a part than is borne. */
function stakeForPenalty({ drills }: ContractTerms, { maxDrillPenaltyPermille }: ProviderPolicy): number {
  return drills.penalty === 0 ? 0 : Math.ceil((drills.penalty * 1000) / maxDrillPenaltyPermille);
}

/** What would let a customer take the stake of a provider that serves as it should. A `highest` own stake is open to it. */
function tooRisky(terms: ContractTerms, policy: ProviderPolicy, highest: number): string | undefined {
  if (stakeForPenalty(terms, policy) > highest) return 'drills: so large a penalty';
  const { everyS = Infinity } = terms.drills.full ?? {};
  if (everyS < policy.minFullDrillEveryS) return 'drills: full ones so often';
  // terms of before have no time for disputes, which end by agreement or ruling only
  return (terms.disputeS ?? Infinity) < policy.minDisputeS ? 'dispute: so little time for it' : undefined;
}

/** Checks what a provider cannot give, then haggles over the stakes and the rent. */
export function providerJudge(policy: ProviderPolicy, view: ProviderView): Judge {
  return (terms, { own, last }) => {
    const wrong = wrongParties(terms, view);
    if (wrong !== undefined) return { say: 'refuse', reason: wrong };
    const rent = policy.rent[view.standby];
    const limits = limitsOf(policy, rent);
    const highest = Math.min(limits.provider, last ? terms.stakes.provider : Infinity);
    const missing =
      notOffered(terms, policy, view) ?? tooMuch(terms, policy, view) ?? tooRisky(terms, policy, highest);
    if (missing !== undefined) return { say: 'refuse', reason: `not offered: ${missing}` };
    const least = stakeForPenalty(terms, policy);
    const next = sayNth(policy, rent, own);
    const pleases = (given: Price, wanted: Price): boolean =>
      given.provider >= least && pleasesProvider(given, wanted);
    return haggle(terms, { ...next, provider: Math.max(next.provider, least) }, limits, pleases, last);
  };
}
