import { z } from 'zod';
import { callJson, parseInput, type HttpCall, type HttpPeer } from '@antirio/host';
import { AntirioError, isAntirioError, type EdgeId } from '@antirio/kernel';
import type { LedgerClient } from '@antirio/ledger-http';
import { keys, type MatchRecord } from '@antirio/ledger-machine';
import type { HeardFrame, orderTerms } from '@antirio/market';
import type { ContractTerms } from '@antirio/service-contract';

const ownOrder = z.looseObject({
  id: z.string(),
  reference: z.string().optional(),
  state: z.string(),
  orderId: z.string().optional(),
  refusal: z.string().optional(),
  createdAt: z.number(),
});
export type MarketOrder = z.output<typeof ownOrder>;

const orders = z.looseObject({ orders: z.array(ownOrder) });
const matches = z.looseObject({
  matches: z.array(z.looseObject({ id: z.string(), bid: z.string(), state: z.string() })),
});
const offer = z.looseObject({
  seq: z.int(),
  devAddr: z.string(),
  fcnt: z.int(),
  mic: z.string(),
  receivedAt: z.number(),
});
const offers = z.looseObject({ offers: z.array(offer), next: z.int(), last: z.int().optional() });
const ringStatus = z.looseObject({ last: z.int() });
const contractState = z.looseObject({ state: z.string(), refused: z.string().optional() });

const PAGE = 500;

export interface RingPage {
  readonly frames: readonly HeardFrame[];
  readonly next: number;
  readonly full: boolean;
}

/** The other rooms of this edge, and other edges through edge2edge. */
export interface Rooms {
  placeOrder(order: z.input<typeof orderTerms>, reference: string): Promise<MarketOrder>;
  order(id: string): Promise<MarketOrder | undefined>;
  orders(): Promise<MarketOrder[]>;
  withdrawOrder(id: string): Promise<void>;
  liveMatchOf(orderId: string): Promise<MatchRecord | undefined>;
  holdMatch(matchId: string, until: number): Promise<void>;
  releaseMatch(matchId: string, reason: string): Promise<void>;
  /** Makes sure that edge2edge knows where an edge is and what it seals to. */
  introduce(edge: EdgeId): Promise<void>;
  neighbour(edge: EdgeId, call: HttpCall): Promise<unknown>;
  ringOffers(ringId: string, after: number): Promise<RingPage>;
  /** The newest sequence number of the edge's own ring. */
  ownRingEnd(): Promise<number>;
  makeRing(ringId: string, devAddrs: readonly string[], budgetBytes: number, owner: EdgeId): Promise<void>;
  hasRing(ringId: string): Promise<boolean>;
  removeRing(ringId: string): Promise<void>;
  propose(terms: ContractTerms, matchId: string): Promise<void>;
  contractState(contractId: string): Promise<z.output<typeof contractState> | undefined>;
}

async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isAntirioError(error, 'notFound')) return undefined;
    throw error;
  }
}

/** What is over already need not be ended. */
async function unlessOver(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!isAntirioError(error, 'notFound') && !isAntirioError(error, 'gone')) throw error;
  }
}

type Call = Omit<HttpCall, 'path'>;
type AskRoom = (room: string, call: HttpCall) => Promise<unknown>;

type MarketRoom = Pick<
  Rooms,
  'placeOrder' | 'order' | 'orders' | 'withdrawOrder' | 'liveMatchOf' | 'holdMatch' | 'releaseMatch'
>;

function marketRoom(ask: AskRoom): MarketRoom {
  const market = (path: string, call: Call = {}): Promise<unknown> =>
    ask('marketplace', { ...call, path: `/marketplace/v1/${path}` });
  return {
    placeOrder: async (order, reference) =>
      parseInput(ownOrder, await market('order', { method: 'POST', json: { order, reference } })),
    order: (id) => orUndefined(market(`order/${id}`).then((found) => parseInput(ownOrder, found))),
    orders: async () => parseInput(orders, await market('order')).orders,
    withdrawOrder: (id) => unlessOver(market(`order/${id}`, { method: 'DELETE' })),
    async liveMatchOf(orderId) {
      const found = parseInput(matches, await market('match')).matches;
      const live = found.find(({ bid, state }) => bid === orderId && state === 'reserved');
      // What our own marketplace shows are the ledger's records.
      return live as unknown as MatchRecord | undefined;
    },
    async holdMatch(matchId, until) {
      await market(`match/${matchId}/hold`, { method: 'POST', json: { until } });
    },
    releaseMatch: (matchId, reason) =>
      unlessOver(
        market(`match/${matchId}/release`, { method: 'POST', json: { reason: reason.slice(0, 128) } }),
      ),
  };
}

type RadioRoom = Pick<Rooms, 'ringOffers' | 'ownRingEnd' | 'makeRing' | 'hasRing' | 'removeRing'>;

function radioRoom(ask: AskRoom): RadioRoom {
  const ring = (path: string, call: Call = {}): Promise<unknown> =>
    ask('gatewayBridge', { ...call, path: `/api/v3/ring/${path}` });
  return {
    async ringOffers(ringId, after) {
      const page = parseInput(offers, await ring(`${ringId}/offers?after=${after}&limit=${PAGE}`));
      const frames = page.offers.map(({ devAddr, fcnt, mic, receivedAt }) => ({
        devAddr,
        fcnt,
        mic,
        receivedAt,
      }));
      return { frames, next: page.next, full: page.offers.length === PAGE };
    },
    ownRingEnd: async () => parseInput(ringStatus, await ring('own')).last,
    async makeRing(ringId, devAddrs, budgetBytes, owner) {
      const json = { devAddrs, budgetBytes, prefix: `trial/${ringId}/`, deliver: false, owner };
      await ring(ringId, { method: 'PUT', json });
    },
    hasRing: async (ringId) => (await orUndefined(ring(ringId))) !== undefined,
    removeRing: (ringId) => unlessOver(ring(ringId, { method: 'DELETE' })),
  };
}

type ArbitratorRoom = Pick<Rooms, 'propose' | 'contractState'>;

function arbitratorRoom(ask: AskRoom): ArbitratorRoom {
  const base = '/arbitrator/v1/contract';
  return {
    async propose(terms, match) {
      await ask('arbitrator', { method: 'POST', path: base, json: { terms, match } });
    },
    contractState: async (contractId) => {
      const found = await orUndefined(ask('arbitrator', { path: `${base}/${contractId}` }));
      return found === undefined ? undefined : parseInput(contractState, found);
    },
  };
}

type OtherEdges = Pick<Rooms, 'introduce' | 'neighbour'>;

function otherEdges(ask: AskRoom, ledger: LedgerClient): OtherEdges {
  return {
    async introduce(edge) {
      const path = `/api/v3/peer/${edge}`;
      if ((await orUndefined(ask('edge2edge', { path }))) !== undefined) return;
      const record = await ledger.read(keys.identity(edge));
      if (record === undefined)
        throw new AntirioError('notFound', `the ledger does not know the edge ${edge}`);
      const { addresses, sealKey } = record;
      await ask('edge2edge', { method: 'PUT', path, json: { ...addresses, sealKey } });
    },
    neighbour: (edge, call) => ask('edge2edge', { ...call, path: `/edge2edge/peer/${edge}${call.path}` }),
  };
}

export function openRooms(peers: Readonly<Record<string, HttpPeer>>, ledger: LedgerClient): Rooms {
  const ask: AskRoom = (room, call) => {
    const peer = peers[room];
    if (peer === undefined) throw new AntirioError('badConfig', `the dmu needs the peer ${room}`);
    return callJson(peer, call);
  };
  return { ...marketRoom(ask), ...radioRoom(ask), ...arbitratorRoom(ask), ...otherEdges(ask, ledger) };
}
