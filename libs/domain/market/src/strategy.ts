import { canonicalJson, type EdgeId } from '@antirio/kernel';
import type { ContractTerms } from '@antirio/service-contract';
import type { Judge, Verdict } from './negotiation.ts';
import { concede, type CustomerPolicy, type ProviderPolicy } from './policy.ts';

type Stakes = ContractTerms['stakes'];

/** What one side says at its n-th own offer. */
function customerStakes(policy: CustomerPolicy, n: number): Stakes {
  const { payment, guarantee, concessionPermille } = policy;
  return {
    customer: concede(payment, n, concessionPermille),
    provider: concede(guarantee, n, concessionPermille),
  };
}

function providerStakes(policy: ProviderPolicy, n: number): Stakes {
  const { payment, guarantee, concessionPermille } = policy;
  return {
    customer: concede(payment, n, concessionPermille),
    provider: concede(guarantee, n, concessionPermille),
  };
}

const pleasesCustomer = (given: Stakes, wanted: Stakes): boolean =>
  given.customer <= wanted.customer && given.provider >= wanted.provider;
const pleasesProvider = (given: Stakes, wanted: Stakes): boolean =>
  given.customer >= wanted.customer && given.provider <= wanted.provider;

/** The first offer of a customer. */
export function firstOffer(policy: CustomerPolicy, terms: ContractTerms): ContractTerms {
  return { ...terms, stakes: customerStakes(policy, 0) };
}

function haggle(
  terms: ContractTerms,
  next: Stakes,
  limits: Stakes,
  pleases: (given: Stakes, wanted: Stakes) => boolean,
  last: boolean,
): Verdict {
  if (pleases(terms.stakes, last ? limits : next)) return { say: 'accept' };
  return last
    ? { say: 'refuse', reason: 'no agreement on the stakes' }
    : { say: 'offer', terms: { ...terms, stakes: next } };
}

const limitsOf = ({ payment, guarantee }: CustomerPolicy | ProviderPolicy): Stakes => ({
  customer: payment.limit,
  provider: guarantee.limit,
});

/** Haggles over the stakes; everything else must stay as the customer said it. */
export function customerJudge(policy: CustomerPolicy, offered: ContractTerms): Judge {
  return (terms, { own, last }) => {
    if (canonicalJson({ ...terms, stakes: offered.stakes }) !== canonicalJson(offered))
      return { say: 'refuse', reason: 'only the stakes are open to negotiation' };
    return haggle(terms, customerStakes(policy, own), limitsOf(policy), pleasesCustomer, last);
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
  return policy.opening.includes(terms.opening) ? undefined : 'opening';
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

/** Checks what a provider cannot give, then haggles over the stakes. */
export function providerJudge(policy: ProviderPolicy, view: ProviderView): Judge {
  return (terms, { own, last }) => {
    const wrong = wrongParties(terms, view);
    if (wrong !== undefined) return { say: 'refuse', reason: wrong };
    const limits = limitsOf(policy);
    const highest = Math.min(limits.provider, last ? terms.stakes.provider : Infinity);
    const missing =
      notOffered(terms, policy, view) ?? tooMuch(terms, policy, view) ?? tooRisky(terms, policy, highest);
    if (missing !== undefined) return { say: 'refuse', reason: `not offered: ${missing}` };
    const least = stakeForPenalty(terms, policy);
    const next = providerStakes(policy, own);
    const pleases = (given: Stakes, wanted: Stakes): boolean =>
      given.provider >= least && pleasesProvider(given, wanted);
    return haggle(terms, { ...next, provider: Math.max(next.provider, least) }, limits, pleases, last);
  };
}
