import { z } from 'zod';
import { mayGiveFor } from './activation.ts';
import type { CustomerState, Step as CustomerStep } from './customer-state.ts';
import type { Observed, PartyEffect } from './party.ts';
import type { ContractTerms } from './terms.ts';
import type { ProviderState, Step } from './provider-state.ts';
import { lostRooms, senseRooms, type RoomSenses } from './room-senses.ts';

/** A customer that lives and takes nothing in: neither from its gateway nor from its provider's ring. */

export const deafTerms = z.strictObject({
  /** So many newest frames of the provider's that the customer has not acknowledged ... */
  frames: z.int().min(1).max(10_000).default(20),
  /** ... for so long, ms. */
  forMs: z.int().min(1000).max(3_600_000).default(60_000),
});

/** A customer's gateway, as its beats tell now and then; ms since, undefined for never. */
export const gatewayAge = z.strictObject({
  id: z.string().max(32),
  heardMsAgo: z.int().min(0).optional(),
  uplinkMsAgo: z.int().min(0).optional(),
});
export type GatewayAge = z.output<typeof gatewayAge>;

/** So that a beat stays one datagram. */
export const GATEWAYS_TOLD = 8;
const GATEWAYS_EVERY_MS = 5000;

/** What the next beat says of our gateways: nothing most times. Those that have been silent longest come first. */
export function gatewaysDue(state: CustomerState, now: number): { readonly gateways?: GatewayAge[] } {
  const { observed, gatewaysAt } = state;
  if (observed.gateways === undefined || now - gatewaysAt < GATEWAYS_EVERY_MS) return {};
  const age = ({ heardMsAgo = Number.MAX_SAFE_INTEGER }: GatewayAge): number => heardMsAgo;
  return { gateways: observed.gateways.toSorted((a, b) => age(b) - age(a)).slice(0, GATEWAYS_TOLD) };
}

/** `through` and what of it the customer has not acknowledged: the provider's signed word. */
export const deafClaim = z.strictObject({
  contractId: z.uuid(),
  through: z.int().min(0),
  unacknowledged: z.int().min(0),
});
type DeafClaim = z.output<typeof deafClaim>;

/** What a provider remembers of its customer's acknowledgements. */
export interface Unheard {
  /** The first frame that is not acknowledged, and since when it is so. */
  readonly from: number;
  readonly since: number;
  readonly saidAt: number;
}

const SAY_AGAIN_MS = 1000;
/** A store that refuses for so long is no passing lock. */
const STORE_PATIENCE_MS = 2000;

/** What is not acknowledged, and since when; undefined where it is too little to speak of. */
function unheardOf({ terms, observed, unheard }: ProviderState, now: number): Unheard | undefined {
  const { ring } = observed;
  if (ring === undefined || ring.next - ring.from < terms.deaf.frames) return undefined;
  return unheard?.from === ring.from ? unheard : { from: ring.from, since: now, saidAt: -Infinity };
}

/** Tells the customer that it acknowledges nothing; only its own word opens anything. */
export function tellDeaf(state: ProviderState, now: number): Step {
  const { contractId, deaf, customer } = state.terms;
  const { next = 0 } = state.observed.ring ?? {};
  const unheard = unheardOf(state, now);
  const known: ProviderState = unheard === state.unheard ? state : { ...state, unheard };
  const due =
    unheard !== undefined && now - unheard.since >= deaf.forMs && now - unheard.saidAt >= SAY_AGAIN_MS;
  if (!due) return [known, []];
  const unacknowledged = next - unheard.from;
  const body = { contractId, through: next - 1, unacknowledged };
  const detail = { cause: 'deaf', unacknowledged, forMs: Math.round(now - unheard.since) };
  const effects: PartyEffect[] = [{ type: 'send', to: customer, datagram: { kind: 'deaf', body } }];
  if (unheard.saidAt === -Infinity) effects.push({ type: 'note', milestone: 'suspected', detail });
  return [{ ...known, unheard: { ...unheard, saidAt: now } }, effects];
}

/** What a customer remembers of its own senses. */
export interface Senses {
  /** Since when what the provider offers has not all been here. */
  readonly behindSince: number | undefined;
  readonly storeBadSince: number | undefined;
  readonly rooms: RoomSenses;
  readonly saidAt: number;
}

export const keenSenses: Senses = {
  behindSince: undefined,
  storeBadSince: undefined,
  rooms: {},
  saidAt: -Infinity,
};

export function sense(
  senses: Senses,
  { source, storeOk, rooms }: Observed,
  { deaf }: Pick<ContractTerms, 'deaf'>,
  now: number,
): Senses {
  const { behindSince, storeBadSince } = senses;
  return {
    ...senses,
    behindSince: source === undefined ? behindSince : source.caughtUp ? undefined : (behindSince ?? now),
    storeBadSince: storeOk === undefined ? storeBadSince : storeOk ? undefined : (storeBadSince ?? now),
    rooms: senseRooms(senses.rooms, rooms, now, deaf.forMs),
  };
}

/** Whether the provider's claim agrees with what we see ourselves. */
function isDeaf({ senses, observed, terms }: CustomerState, claim: DeafClaim, now: number): boolean {
  const { behindSince } = senses;
  const pulled = observed.source?.pulledThrough ?? 0;
  const long = behindSince !== undefined && now - behindSince >= terms.deaf.forMs;
  return long && claim.through - pulled >= terms.deaf.frames;
}

/** Nothing is given away by itself while an operator holds us. */
export function giveWordOnce(
  state: CustomerState,
  cause: 'deaf' | 'disk' | 'room' | 'schedule' | 'overload',
  now: number,
): CustomerStep {
  const { terms, senses, held, phase, yieldPause } = state;
  if (held || !mayGiveFor(terms, cause) || phase.at !== 'guarded') return [state, []];
  const paused = yieldPause !== undefined && now < yieldPause.until;
  if (paused || now - senses.saidAt < SAY_AGAIN_MS) return [state, []];
  return [{ ...state, senses: { ...senses, saidAt: now } }, [{ type: 'lastGasp', cause }]];
}

/** Our provider says that we acknowledge nothing of what it hears. */
export function onDeafClaim(state: CustomerState, claim: DeafClaim, now: number): CustomerStep {
  return isDeaf(state, claim, now) ? giveWordOnce(state, 'deaf', now) : [state, []];
}

/** A provider whose own gateways are silent, as the ledger says, would serve no better than an edge that lacks a room. */
function hearsNothing({ record }: CustomerState): boolean {
  return record?.state === 'DEGRADED';
}

export function isStoreBad({ storeBadSince }: Senses, now: number): boolean {
  return storeBadSince !== undefined && now - storeBadSince >= STORE_PATIENCE_MS;
}

/** A store that refuses writes takes nothing in, nor does an edge that lacks a room. */
export function whileGuarded(state: CustomerState, now: number): CustomerStep {
  if (isStoreBad(state.senses, now)) return giveWordOnce(state, 'disk', now);
  const isLost = lostRooms(state.senses.rooms, state.terms.deaf.forMs).length > 0;
  return isLost && !hearsNothing(state) ? giveWordOnce(state, 'room', now) : [state, []];
}
