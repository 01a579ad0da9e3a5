import { AntirioError, sha256Hex, utf8, type EdgeId } from '@antirio/kernel';
import type { SetRecord } from '@antirio/ledger-machine';
import { ringBudget } from '@antirio/market';
import {
  LEAST_OUTAGE_S,
  activationTerms,
  contractTerms,
  withinSilence,
  type Confidentiality,
  type ContractTerms,
} from '@antirio/service-contract';
import type { DemandMatch, DemandRequest } from './demand.ts';
import type { DmuOptions } from './options.ts';

/** One set for each service of an edge, for good: its epochs and slots outlive contracts. */
export function setIdOf(customer: EdgeId, service: string): string {
  const tail = sha256Hex(utf8(`${customer}/${service}`)).slice(0, 16);
  return `${service.slice(0, 40)}-${tail}`;
}

const SLOTS = [0, 1, 2, 3];

/** A party keeps its slot; a new one gets the lowest that is free. @throws AntirioError conflict when there is none. */
export function slotsFor(
  known: SetRecord['slots'],
  customer: EdgeId,
  provider: EdgeId,
): ContractTerms['slots'] {
  const taken = new Set(Object.values(known));
  const own = known[customer] ?? SLOTS.find((slot) => !taken.has(slot));
  const theirs = known[provider] ?? SLOTS.find((slot) => slot !== own && !taken.has(slot));
  if (own === undefined || theirs === undefined)
    throw new AntirioError('conflict', 'all four slots of the set belong to other edges');
  return { customer: own, provider: theirs };
}

export interface ProposalParts {
  readonly options: DmuOptions;
  readonly request: DemandRequest;
  readonly match: DemandMatch;
  readonly customer: EdgeId;
  readonly contractId: string;
  readonly set: SetRecord | undefined;
  readonly now: number;
}

/** What the demand says of them; the rest is the edge's own. */
function eventsOf({ activation, silenceMs }: DemandRequest, terms: DmuOptions['terms']) {
  const { heartbeatIntervalMs, missedBeats } = terms;
  const patience = beatsOf.parse({ heartbeatIntervalMs, missedBeats });
  return {
    ...(activation === undefined ? {} : { activation }),
    ...withinSilence(patience, silenceMs),
  };
}

const beatsOf = contractTerms.pick({ heartbeatIntervalMs: true, missedBeats: true });

const TRUST =
  'autonomous: the provider would have all keys from the signature on; say so with iTrustTheProviderWithMyKeys';
const DAY_MS = 86_400_000;

/** Whether somebody who keeps frames and never takes over is of use for what is demanded. */
function isKeepable({ devices, volumes, activation }: DemandRequest): boolean {
  const { events, takeovers } = activationTerms.parse(activation ?? {});
  return devices.length > 0 && volumes === undefined && events.join() === 'offline' && takeovers === 1;
}

/**
 * What the policy says of who may see what, for this demand.
 * @throws AntirioError invalidInput where that leaves nobody
 */
export function levelsFor(
  { confidentiality }: Pick<DmuOptions['policy'], 'confidentiality'>,
  request: DemandRequest,
): Confidentiality[] {
  const levels = confidentiality.filter((level) => level !== 'relay' || isKeepable(request));
  if (levels.length > 0) return levels;
  throw new AntirioError('invalidInput', ONLY_KEPT);
}

const ONLY_KEPT =
  'dmu.policy.confidentiality is `relay` only: its providers keep frames of sensors, and have no volumes, schedules or further takeovers';

/** What of the edge's own terms there is to say where the provider only keeps frames. */
function termsOfKeeping({ devAddrRange, ...terms }: DmuOptions['terms']) {
  const { heartbeatIntervalMs, missedBeats, leaseMs, returnBackoffMs, takeoverSlaMs } = terms;
  const { maxActiveS, disputeS, disputeCounts, deaf, flapping } = terms;
  const beats = { heartbeatIntervalMs, missedBeats, leaseMs, returnBackoffMs, takeoverSlaMs };
  const said = { ...beats, maxActiveS, disputeS, disputeCounts, deaf, flapping, devAddrRange };
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}

/** The same without root keys where nothing could be answered with them, or no opening would tell that they were seen. */
function rootsStay(
  { terms: { rootKeys, ...terms }, policy }: DmuOptions,
  { devAddrRange }: DemandRequest,
  { confidentiality }: DemandMatch,
): DmuOptions['terms'] {
  const range = terms.devAddrRange ?? devAddrRange;
  const areOfUse = range !== undefined && confidentiality === 'process' && policy.opening[0] === 'witnessed';
  return rootKeys === true && areOfUse ? { ...terms, rootKeys } : terms;
}

/** Long enough for the provider to bring a service up from where its standby leaves it. */
const DRILL_MS = { hot: 60_000, warm: 60_000, cold: 600_000 } as const;

/** The same where it takes over. */
function termsOfServing(options: DmuOptions, request: DemandRequest, match: DemandMatch) {
  const { drills } = options.terms;
  const maxMs = drills.maxMs ?? DRILL_MS[match.standby];
  return { ...rootsStay(options, request, match), drills: { ...drills, maxMs } };
}

/** @throws AntirioError forbidden where the provider would have all keys, and that was not said in words */
function openingFor(
  { opening: [wanted] }: DmuOptions['policy'],
  { iTrustTheProviderWithMyKeys }: DemandRequest,
  { confidentiality }: DemandMatch,
): ContractTerms['opening'] | undefined {
  // where there are no keys nothing is opened
  const opening = confidentiality === 'relay' ? 'witnessed' : wanted;
  if (opening === 'autonomous' && !iTrustTheProviderWithMyKeys) throw new AntirioError('forbidden', TRUST);
  return opening;
}

/** What this edge proposes, but for the stakes, which are what is negotiated. */
export function propose({
  options,
  request,
  match,
  customer,
  contractId,
  set,
  now,
}: ProposalParts): ContractTerms {
  const { central, policy, estimate, terms } = options;
  if (central === undefined)
    throw new AntirioError('badConfig', 'dmu.central: no central arbitrator is configured');
  const { imageName, imageCid, configCid, service, devices, duration } = request;
  return contractTerms.parse({
    version: 1,
    contractId,
    matchId: match.matchId,
    customer,
    provider: match.provider,
    central: central.edgeId,
    set: { setId: setIdOf(customer, service), service, devices },
    image: { imageName, imageCid, configCid },
    confidentiality: match.confidentiality,
    opening: openingFor(policy, request, match),
    standby: match.standby,
    stakes: { customer: 0, provider: 0 },
    ...(request.volumes === undefined ? {} : { volumes: request.volumes }),
    ...(request.devAddrRange === undefined ? {} : { devAddrRange: request.devAddrRange }),
    ...(match.confidentiality === 'relay' ? termsOfKeeping(terms) : termsOfServing(options, request, match)),
    ...eventsOf(request, terms),
    // less is signed by nobody
    outageS: Math.max(LEAST_OUTAGE_S, terms.outageS),
    ringBudgetBytes: ringBudget(devices.length, terms.outageS, estimate.uplinksPermille),
    slots: slotsFor(set?.slots ?? {}, customer, match.provider),
    expiresAt: now + duration * DAY_MS,
  });
}
