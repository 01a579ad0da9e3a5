import type { HttpPeer, Log } from '@antirio/host';
import {
  AntirioError,
  isAntirioError,
  uuidV4,
  type Clock,
  type Identity,
  type Random,
} from '@antirio/kernel';
import type { LedgerClient } from '@antirio/ledger-http';
import { keys } from '@antirio/ledger-machine';
import {
  customerJudge,
  estimateNeeds,
  firstOffer,
  ofKeeping,
  openNegotiation,
  rentBid,
  say,
  towards,
  undecidedBorne,
  type Bid,
} from '@antirio/market';
import { giveUpMatch, isOver, released, type Demand, type DemandMatch, type DemandState } from './demand.ts';
import { measure } from './measure.ts';
import type { DmuOptions } from './options.ts';
import { levelsFor, propose, setIdOf } from './proposal.ts';
import { uncoveredRent } from './rent-cover.ts';
import type { MarketOrder, Rooms } from './rooms.ts';
import { exchange, signOffer } from './talk.ts';
import { CoverageTrial, beginTrial } from './trial.ts';

export interface CustomerParts {
  readonly options: DmuOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly identity: Identity;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly rooms: Rooms;
  readonly ledger: LedgerClient;
  /** Trials under way, by demand: they are not kept over a restart. */
  readonly trials: Map<string, CoverageTrial>;
}

const BID_LIFE_MS = 3_600_000;

type Step = (demand: Demand, parts: CustomerParts) => Promise<Demand>;

function to(
  demand: Demand,
  state: DemandState,
  { clock }: CustomerParts,
  change: Partial<Demand> = {},
): Demand {
  return { ...demand, ...change, state, since: clock.now() };
}

function matchOf({ match }: Demand): DemandMatch {
  if (match === undefined) throw new AntirioError('internal', 'a demand in this state has a match');
  return match;
}

const giveUp = (demand: Demand, { clock, options }: CustomerParts, reason: string): Demand =>
  giveUpMatch(demand, reason, clock.now(), options.excludeMs);

function bidFor(demand: Demand, { options, clock }: CustomerParts, capacity: Bid['capacity']): Bid {
  const { policy, qualities } = options;
  const now = clock.now();
  const { cells = qualities.cells } = demand.request;
  const excluded = demand.excluded.filter(({ until }) => until > now).map(({ edge }) => edge);
  return {
    side: 'bid',
    capacity,
    // What the customer is, is no measure of what a provider must be; where it is, and what would fail with it, is.
    qualities: { ...qualities, cells, cores: 1, uptimePermille: 0, batteryMinutes: 0 },
    standby: policy.standby,
    confidentiality: levelsFor(policy, demand.request),
    exclude: excluded,
    minReputation: policy.minReputation,
    ...undecidedBorne(policy),
    refuseSharedDomains: policy.refuseSharedDomains,
    price: { p: policy.payment.limit, q: policy.guarantee.limit },
    ...rentBid(policy),
    devices: demand.request.devices.length,
    expiresAt: Math.min(demand.giveUpAt, now + BID_LIFE_MS),
  };
}

/** Before another attempt, so that a bid which is refused is no flood. */
function pauseBefore({ attempt }: Demand): number {
  return attempt === 0 ? 0 : Math.min(30_000, 250 * 2 ** Math.min(attempt, 10));
}

/** Phases 1 and 2: what the service needs, and the demand for it. */
const estimateAndBid: Step = async (demand, parts) => {
  const { options, peers, clock, log, rooms } = parts;
  if (clock.now() - demand.since < pauseBefore(demand)) return demand;
  const { imageCid, configCid, devices } = demand.request;
  const measured = await measure(peers, [imageCid, configCid], clock.now(), log);
  const all = estimateNeeds(measured, devices.length, options.terms.outageS, options.estimate);
  const isKeptOnly = levelsFor(options.policy, demand.request).every((level) => level === 'relay');
  const needs = isKeptOnly ? ofKeeping(all) : all;
  const bid = bidFor(demand, parts, needs);
  const order = await rooms.placeOrder(bid, `demand/${demand.id}/${demand.attempt}`);
  const firstFree = Math.min(
    ...demand.excluded.filter(({ edge }) => bid.exclude.includes(edge)).map(({ until }) => until),
  );
  const renewAt = Math.min(firstFree, bid.expiresAt);
  return to(demand, 'ORDERED', parts, {
    needs,
    measured: Object.keys(measured),
    order: { id: order.id, renewAt },
  });
};

const BID_OVER = ['refused', 'withdrawn', 'ended'];

async function ownMatch(
  { orderId }: MarketOrder,
  { rooms }: CustomerParts,
): Promise<DemandMatch | undefined> {
  const found = orderId === undefined ? undefined : await rooms.liveMatchOf(orderId);
  if (found === undefined) return undefined;
  const { id: matchId, provider, standby, confidentiality, sharedDomains, rent } = found;
  const asked = rent === undefined ? {} : { rent };
  return { matchId, provider, standby, confidentiality, sharedDomains, ...asked };
}

const awaitMatch: Step = async (demand, parts) => {
  const { rooms, clock } = parts;
  const own = demand.order === undefined ? undefined : await rooms.order(demand.order.id);
  if (own === undefined || BID_OVER.includes(own.state))
    return giveUp(demand, parts, own?.refusal ?? 'the bid is over');
  const match = await ownMatch(own, parts);
  if (match !== undefined) return to(demand, 'MATCHED', parts, { match });
  return clock.now() >= (demand.order?.renewAt ?? 0) ? giveUp(demand, parts, 'the bid is renewed') : demand;
};

const reachProvider: Step = async (demand, parts) => {
  await parts.rooms.introduce(matchOf(demand).provider);
  return to(demand, 'TRIAL', parts);
};

/** Phase 3, before the talk: the provider shows that it hears the sensors. */
const tryCoverage: Step = async (demand, parts) => {
  const { rooms, trials, options, clock } = parts;
  const { matchId, provider } = matchOf(demand);
  const devAddrs = [...new Set(demand.request.devices.map(({ devAddr }) => devAddr))];
  // Nothing on the radio is part of it: there is nothing to be heard.
  if (devAddrs.length === 0) {
    await beginTrial(rooms, provider, matchId, devAddrs);
    return to(demand, 'NEGOTIATING', parts);
  }
  const trial = trials.get(demand.id) ?? new CoverageTrial(rooms, provider, matchId, devAddrs, options);
  trials.set(demand.id, trial);
  const { verdict, coverage } = await trial
    .advance(() => clock.now())
    .catch((error: unknown) => {
      // What was committed to while we could not ask came late: the next trial begins with a clean slate.
      trials.delete(demand.id);
      throw error;
    });
  if (verdict.verdict === 'tooFew') return demand;
  const seen = { ...demand, coverage };
  trials.delete(demand.id);
  if (verdict.verdict === 'covered') return to(seen, 'NEGOTIATING', parts);
  return giveUp(seen, parts, `coverage: ${verdict.reason}`);
};

const beginTalk: Step = async (demand, parts) => {
  const { options, identity, random, clock, ledger } = parts;
  const match = matchOf(demand);
  const customer = identity.edgeId;
  const set = await ledger.read(keys.set(setIdOf(customer, demand.request.service)));
  const now = clock.now();
  const contractId = uuidV4(random);
  const base = propose({ options, request: demand.request, match, customer, contractId, set, now });
  const uncovered = await uncoveredRent(ledger, customer, base, match, now);
  if (uncovered !== undefined) return giveUp(demand, parts, uncovered);
  const { matchId, provider: other } = match;
  const deadline = now + options.negotiationMs;
  const opened = openNegotiation({ matchId, self: customer, other, deadline, maxRounds: options.maxRounds });
  const terms = firstOffer(towards(options.policy, match), base);
  const offer = signOffer(identity, { matchId, round: 1, say: 'offer', terms, reason: '' });
  return { ...demand, negotiation: say(opened, offer), delivered: false };
};

const negotiate: Step = async (demand, parts) => {
  if (demand.negotiation === undefined) return beginTalk(demand, parts);
  const { rooms, identity, options, clock } = parts;
  const offered = demand.negotiation.said[0]?.body.terms;
  if (offered === undefined) throw new AntirioError('internal', 'a negotiation begins with our offer');
  const talk = { negotiation: demand.negotiation, delivered: demand.delivered ?? false };
  const judge = customerJudge(towards(options.policy, matchOf(demand)), offered);
  const { negotiation, delivered } = await exchange(rooms, identity, talk, judge, clock.now());
  const said = { ...demand, negotiation, delivered };
  if (negotiation.outcome === 'open' || !delivered) return said;
  if (negotiation.agreed === undefined)
    return giveUp(said, parts, `negotiation: ${negotiation.reason ?? negotiation.outcome}`);
  return to(said, 'AGREED', parts, { terms: negotiation.agreed });
};

/** Phase 4 is the arbitrators': they get the agreed terms. */
const handOver: Step = async (demand, parts) => {
  const { terms } = demand;
  if (terms === undefined) throw new AntirioError('internal', 'an agreed demand has terms');
  await parts.rooms.propose(terms, matchOf(demand).matchId);
  return to(demand, 'SIGNING', parts);
};

const followSigning: Step = async (demand, parts) => {
  const contractId = demand.terms?.contractId ?? '';
  const contract = await parts.rooms.contractState(contractId);
  if (contract === undefined) return to(demand, 'AGREED', parts);
  if (contract.state === 'refused')
    return giveUp(demand, parts, `not signed: ${contract.refused ?? 'refused'}`);
  return contract.state === 'signing'
    ? demand
    : to(demand, 'CONTRACTED', parts, { contractId, error: undefined });
};

const release: Step = async (demand, { rooms, clock, trials }) => {
  trials.delete(demand.id);
  if (demand.match !== undefined) await rooms.releaseMatch(demand.match.matchId, demand.error ?? '');
  if (demand.order !== undefined) await rooms.withdrawOrder(demand.order.id);
  return released(demand, clock.now());
};

const STEPS: Readonly<Partial<Record<DemandState, Step>>> = {
  ACCEPTED: estimateAndBid,
  ORDERED: awaitMatch,
  MATCHED: reachProvider,
  TRIAL: tryCoverage,
  NEGOTIATING: negotiate,
  AGREED: handOver,
  SIGNING: followSigning,
  RELEASING: release,
};

/** States in which the provider, or the match with it, may fail us. */
const WITH_PROVIDER: readonly DemandState[] = ['MATCHED', 'TRIAL', 'NEGOTIATING'];
/** The other side said no: another try with it is no use now. */
const NO = ['forbidden', 'conflict', 'gone', 'invalidInput', 'unauthenticated', 'busy', 'tooLarge'] as const;

function isNo(error: unknown): boolean {
  return NO.some((code) => isAntirioError(error, code));
}

function outOfTime(demand: Demand, parts: CustomerParts): Demand | undefined {
  if (demand.state === 'RELEASING' || demand.state === 'SIGNING' || demand.state === 'AGREED')
    return undefined;
  if (parts.clock.now() < demand.giveUpAt) return undefined;
  const reason = demand.error ?? 'no provider was found in time';
  return { ...giveUp(demand, parts, reason), ending: 'EXPIRED' };
}

/** One step of a demand; each can be repeated. What it returns is to be kept before the next one. */
export async function advanceDemand(demand: Demand, parts: CustomerParts): Promise<Demand> {
  const step = STEPS[demand.state];
  if (step === undefined || isOver(demand)) return demand;
  const late = outOfTime(demand, parts);
  if (late !== undefined) return late;
  try {
    return await step(demand, parts);
  } catch (error) {
    if (!WITH_PROVIDER.includes(demand.state)) throw error;
    const { patienceMs, maxTrialMs } = parts.options;
    const patience = patienceMs + (demand.state === 'TRIAL' ? maxTrialMs : 0);
    const impatient = parts.clock.now() - demand.since > patience;
    if (!isNo(error) && !impatient) throw error;
    parts.trials.delete(demand.id);
    return giveUp(demand, parts, error instanceof Error ? error.message : String(error));
  }
}
