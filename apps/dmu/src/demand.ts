import { z } from 'zod';
import type { EdgeId } from '@antirio/kernel';
import { qualities, type Capacity, type Coverage, type Negotiation } from '@antirio/market';
import {
  activationTerms,
  protectedDevice,
  volumesTerms,
  type Confidentiality,
  type ContractTerms,
  type DevAddrRange,
  type StandbyLevel,
} from '@antirio/service-contract';

const text = z.string().min(1).max(128);

const lowerCase = z.string().max(64).toLowerCase();

/** Devices may say more about themselves than the market needs, and write their ids in capitals. */
const device = z
  .looseObject({
    devEui: lowerCase.pipe(protectedDevice.shape.devEui),
    devAddr: lowerCase.pipe(protectedDevice.shape.devAddr),
  })
  .transform(({ devEui, devAddr }) => ({ devEui, devAddr }));

export const demandBody = z.strictObject({
  demandId: z
    .string()
    .regex(/^[A-Za-z0-9._~-]{1,64}$/)
    .optional()
    .describe('the same id twice is one demand'),
  imageName: text,
  imageId: z.string().max(256).optional(),
  imageCid: text,
  configCid: text,
  duration: z.int().min(1).max(3650).default(1).describe('days'),
  service: z
    .string()
    .regex(/^[A-Za-z0-9._~-]{1,128}$/)
    .optional(),
  devices: z.array(device).max(10_000).optional().describe('none: the service is not fed by LoRaWAN'),
  activation: activationTerms
    .optional()
    .describe('what it is taken over at (default: when this edge is offline)'),
  volumes: volumesTerms.describe('of its volumes, whose state moves with the service'),
  silenceMs: z.int().min(1).optional().describe('no longer may this edge be silent before it is suspected'),
  cells: qualities.shape.cells.optional().describe('where a provider must be (default: where this edge is)'),
  iTrustTheProviderWithMyKeys: z
    .boolean()
    .default(false)
    .describe('where the policy says `autonomous`: the provider has all keys from the signature on'),
});
export type DemandBody = z.output<typeof demandBody>;

export interface DemandRequest extends Omit<DemandBody, 'demandId' | 'devices' | 'service'> {
  readonly service: string;
  readonly devices: readonly { readonly devEui: string; readonly devAddr: string }[];
  /** Of devices that join. */
  readonly devAddrRange?: DevAddrRange;
}

/**
 * ACCEPTED: to be estimated and bid for. ORDERED: the bid waits for a match. MATCHED: the provider is to be reached. TRIAL:
 * it shows its coverage. NEGOTIATING. AGREED: the arbitrator is to be told. SIGNING: both arbitrators sign. RELEASING: match and
 * bid are given up, for another try or for good. CONTRACTED, CANCELLED, EXPIRED: over.
 */
export type DemandState =
  | 'ACCEPTED'
  | 'ORDERED'
  | 'MATCHED'
  | 'TRIAL'
  | 'NEGOTIATING'
  | 'AGREED'
  | 'SIGNING'
  | 'RELEASING'
  | 'CONTRACTED'
  | 'CANCELLED'
  | 'EXPIRED';

export interface DemandMatch {
  readonly matchId: string;
  readonly provider: EdgeId;
  readonly standby: StandbyLevel;
  readonly confidentiality: Confidentiality;
  readonly sharedDomains: readonly string[];
  /** The least that the provider asks for an hour of standing by. */
  readonly rent?: number;
}

export interface Exclusion {
  readonly edge: EdgeId;
  readonly until: number;
  readonly reason: string;
}

/** One wish for insurance, from the estimate to two signatures. Times are wall milliseconds. */
export interface Demand {
  readonly id: string;
  readonly request: DemandRequest;
  readonly state: DemandState;
  readonly since: number;
  readonly createdAt: number;
  readonly giveUpAt: number;
  readonly attempt: number;
  readonly needs?: Capacity;
  /** Which of the needs were measured. */
  readonly measured?: readonly string[];
  /** Our marketplace's name for the bid. */
  readonly order?: { readonly id: string; readonly renewAt: number };
  readonly match?: DemandMatch;
  readonly coverage?: Coverage;
  readonly negotiation?: Negotiation;
  /** Our last word has reached the provider. */
  readonly delivered?: boolean;
  readonly terms?: ContractTerms;
  readonly contractId?: string;
  readonly excluded: readonly Exclusion[];
  /** Why the last attempt failed, or what is in the way. */
  readonly error?: string;
  /** What RELEASING leads to. */
  readonly ending?: 'CANCELLED' | 'EXPIRED';
}

const OVER: readonly DemandState[] = ['CONTRACTED', 'CANCELLED', 'EXPIRED'];

export function isOver({ state }: Demand): boolean {
  return OVER.includes(state);
}

/** Gives up this match and bid; the demand tries again, without this provider for a while. */
export function giveUpMatch(demand: Demand, reason: string, now: number, excludeMs: number): Demand {
  const edge = demand.match?.provider;
  const others = demand.excluded.filter(({ until, edge: other }) => until > now && other !== edge).slice(-63);
  const excluded = edge === undefined ? others : [...others, { edge, until: now + excludeMs, reason }];
  return { ...demand, state: 'RELEASING', since: now, excluded, error: reason };
}

/** Match and bid are gone: another attempt, or the end. */
export function released(demand: Demand, now: number): Demand {
  const { id, request, createdAt, giveUpAt, excluded, error, attempt, ending } = demand;
  const rest = { id, request, createdAt, giveUpAt, excluded, error, since: now };
  return { ...rest, attempt: attempt + 1, state: ending ?? 'ACCEPTED' };
}

/** What callers are shown. */
export function showDemand(demand: Demand): Record<string, unknown> {
  const { id, negotiation, terms, request, delivered: _delivered, order: _order, ...rest } = demand;
  return {
    demandId: id,
    ...rest,
    imageName: request.imageName,
    service: request.service,
    devices: request.devices.length,
    rounds: negotiation?.said.length ?? 0,
    stakes: terms?.stakes,
    rent: terms?.rent,
  };
}
