import {
  addCapacity,
  bestAsk,
  bestBid,
  subtractCapacity,
  type Ask,
  type Bid,
  type Pair,
  type Standing,
  type StandingAsk,
} from '@antirio/market';
import { sha256Hex, utf8, type EdgeId } from '@antirio/kernel';
import { balanceOf } from './accounts.ts';
import type { Context, Env } from './context.ts';
import type { Draft } from './draft.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { keys, type MatchRecord, type OrderRecord } from './records.ts';
import type { PayloadOf } from './transaction.ts';

/** A match that nobody takes up frees both orders after this. */
export const RESERVATION_MS = 120_000;
/** How far ahead one hold may reach, and how long a match may be held in all. */
export const HOLD_STEP_MS = 600_000;
export const HOLD_IN_ALL_MS = 86_400_000;
/** Ended orders and matches can still be asked for during this time. */
export const REMEMBERED_MS = 86_400_000;
export const MAX_ORDER_LIFE_MS = 30 * 86_400_000;
export const MAX_OPEN_ORDERS = 16;
const MATCHES_PER_ASK = 16;
const SWEPT_AT_ONCE = 32;

function reputationOf(draft: Draft, edge: EdgeId) {
  const { honoured = 0, breached = 0, undecided = 0 } = draft.read(keys.reputation(edge)) ?? {};
  return { reputation: honoured - breached, honoured, undecided };
}

function standing<T extends Ask | Bid>(
  draft: Draft,
  order: OrderRecord,
  terms: T,
): Standing<T> & { remaining: OrderRecord['remaining'] } {
  const { id, edge, sequence, remaining } = order;
  return { id, edge, terms, sequence, remaining, ...reputationOf(draft, edge) };
}

function openOrders(
  draft: Draft,
  side: 'ask' | 'bid',
  now: number,
  avoid: EdgeId | undefined,
): OrderRecord[] {
  const found: OrderRecord[] = [];
  for (const [key] of draft.range(`book/${side}/`)) {
    const order = draft.read(keys.order(key.slice(`book/${side}/`.length)));
    if (order?.state === 'open' && order.terms.expiresAt > now && order.edge !== avoid) found.push(order);
  }
  return found;
}

function bestPair(
  draft: Draft,
  order: OrderRecord,
  now: number,
  avoid: EdgeId | undefined,
): Pair | undefined {
  const { terms } = order;
  if (terms.side === 'bid') {
    const asks = openOrders(draft, 'ask', now, avoid).flatMap((other): StandingAsk[] =>
      other.terms.side === 'ask' ? [standing(draft, other, other.terms)] : [],
    );
    return bestAsk(standing(draft, order, terms), asks);
  }
  const bids = openOrders(draft, 'bid', now, avoid).flatMap((other): Standing<Bid>[] =>
    other.terms.side === 'bid' ? [standing(draft, other, other.terms)] : [],
  );
  return bestBid(standing(draft, order, terms), bids);
}

function reserve(context: Context, { bid, ask, fit }: Pair): string {
  const { draft, env, txId } = context;
  const id = sha256Hex(utf8(`${txId}/${bid.id}/${ask.id}`));
  const taken = ask.terms.divisible ? bid.terms.capacity : ask.remaining;
  const expiresAt = env.now + RESERVATION_MS;
  const match: MatchRecord = {
    ...fit,
    id,
    bid: bid.id,
    ask: ask.id,
    customer: bid.edge,
    provider: ask.edge,
    capacity: taken,
    bidPrice: bid.terms.price,
    askPrice: ask.terms.price,
    matchedAt: env.now,
    expiresAt,
    state: 'reserved',
  };
  draft.put(keys.match(id), match);
  for (const edge of [match.customer, match.provider]) draft.put(keys.party(edge, id), { matchId: id });
  draft.put(keys.due(expiresAt, 'match', id), { at: expiresAt });
  const demand = draft.read(keys.order(bid.id));
  const offer = draft.read(keys.order(ask.id));
  if (demand !== undefined) draft.put(keys.order(bid.id), { ...demand, state: 'reserved', match: id });
  if (offer !== undefined)
    draft.put(keys.order(ask.id), { ...offer, remaining: subtractCapacity(offer.remaining, taken) });
  draft.remove(keys.book('bid', bid.id));
  const { customer, provider } = match;
  draft.emit('match/made', keys.match(id), {
    matchId: id,
    customer,
    provider,
    bid: bid.id,
    ask: ask.id,
    expiresAt,
  });
  return id;
}

/** Matches what can be matched for one open order; a demand once, an offer as often as it can be shared. */
function matchOrder(context: Context, orderId: string, avoid?: EdgeId): string[] {
  const made: string[] = [];
  while (made.length < MATCHES_PER_ASK) {
    const order = context.draft.read(keys.order(orderId));
    if (order?.state !== 'open') break;
    const pair = bestPair(context.draft, order, context.env.now, avoid);
    if (pair === undefined) break;
    made.push(reserve(context, pair));
  }
  return made;
}

/** Takes an order out of the market for good; its record can be read for a day more. */
function endOrder(
  { draft, env }: { draft: Draft; env: Env },
  order: OrderRecord,
  state: 'filled' | 'withdrawn' | 'expired',
): void {
  draft.put(keys.order(order.id), { ...order, state });
  draft.remove(keys.book(order.terms.side, order.id));
  draft.remove(keys.own(order.edge, order.id));
  const at = env.now + REMEMBERED_MS;
  draft.put(keys.due(at, 'forget', `order/${order.id}`), { at });
  draft.emit(`order/${state}`, keys.order(order.id), { orderId: order.id, edge: order.edge });
}

/** Gives an offer back what a match or a contract had of it. */
export function returnCapacity(draft: Draft, match: MatchRecord): void {
  const offer = draft.read(keys.order(match.ask));
  if (offer?.state !== 'open') return;
  draft.put(keys.order(offer.id), { ...offer, remaining: addCapacity(offer.remaining, match.capacity) });
}

function reopen(context: Context, demand: OrderRecord): void {
  if (demand.terms.expiresAt <= context.env.now) {
    endOrder(context, demand, 'expired');
    return;
  }
  const { match: _ended, ...rest } = demand;
  context.draft.put(keys.order(demand.id), { ...rest, state: 'open' });
  context.draft.put(keys.book('bid', demand.id), { edge: demand.edge });
}

function closeMatch(draft: Draft, match: MatchRecord, state: 'taken' | 'released' | 'expired'): void {
  draft.put(keys.match(match.id), { ...match, state });
  for (const edge of [match.customer, match.provider]) draft.remove(keys.party(edge, match.id));
}

function endMatch(context: Context, match: MatchRecord, state: 'released' | 'expired', reason: string): void {
  const { draft, env } = context;
  closeMatch(draft, match, state);
  const at = env.now + REMEMBERED_MS;
  draft.put(keys.due(at, 'forget', `match/${match.id}`), { at });
  returnCapacity(draft, match);
  const demand = draft.read(keys.order(match.bid));
  if (demand?.state === 'reserved') reopen(context, demand);
  const { customer, provider, bid, ask } = match;
  draft.emit(`match/${state}`, keys.match(match.id), {
    matchId: match.id,
    customer,
    provider,
    bid,
    ask,
    reason,
  });
}

/** Both orders look for somebody else. */
function rematch(context: Context, match: MatchRecord): void {
  matchOrder(context, match.bid, match.provider);
  matchOrder(context, match.ask, match.customer);
}

function sweepOne(context: Context, kind: string, id: string): MatchRecord | undefined {
  const { draft, env } = context;
  if (kind === 'forget') {
    draft.remove(id);
    return undefined;
  }
  if (kind === 'order') {
    const order = draft.read(keys.order(id));
    if (order?.state === 'open' && order.terms.expiresAt <= env.now) endOrder(context, order, 'expired');
    return undefined;
  }
  const match = draft.read(keys.match(id));
  if (match?.state !== 'reserved' || match.expiresAt > env.now) return undefined;
  endMatch(context, match, 'expired', 'not taken up in time');
  return match;
}

/** Ends what the time has ended, oldest first, a bounded number of things at once. */
export function sweep(context: Context): void {
  const { draft, env } = context;
  const due: string[] = [];
  for (const [key] of draft.range('due/')) {
    if (Number(key.split('/')[1]) > env.now || due.length >= SWEPT_AT_ONCE) break;
    due.push(key);
  }
  const freed: MatchRecord[] = [];
  for (const key of due) {
    const [, , kind = '', ...id] = key.split('/');
    draft.remove(key);
    const match = sweepOne(context, kind, id.join('/'));
    if (match !== undefined) freed.push(match);
  }
  for (const match of freed) rematch(context, match);
}

function refuseOrder(
  { draft, env, by }: Context,
  order: PayloadOf<'order/place'>['order'],
): Outcome | undefined {
  if (order.expiresAt <= env.now) return refuse('gone', 'the order has expired');
  if (order.expiresAt > env.now + MAX_ORDER_LIFE_MS)
    return refuse('invalidInput', 'an order may stand for 30 days at most');
  let open = 0;
  for (const _ of draft.range(`own/${by}/`)) open += 1;
  if (open >= MAX_OPEN_ORDERS) return refuse('busy', `an edge may have ${MAX_OPEN_ORDERS} open orders`);
  const stake = order.side === 'bid' ? order.price.p : order.price.q;
  const balance = balanceOf(draft, by);
  return balance < stake
    ? refuse('conflict', `the account holds ${balance}, less than the stake of ${stake}`)
    : undefined;
}

export function placeOrder(context: Context, tx: PayloadOf<'order/place'>): Outcome {
  const { draft, env, by, txId } = context;
  sweep(context);
  const refusal = refuseOrder(context, tx.order);
  if (refusal !== undefined) return refusal;
  const sequence = (draft.read(keys.orderCount())?.count ?? 0) + 1;
  draft.put(keys.orderCount(), { count: sequence });
  const { side, capacity, expiresAt } = tx.order;
  const order = {
    id: txId,
    edge: by,
    terms: tx.order,
    placedAt: env.now,
    sequence,
    state: 'open',
    remaining: capacity,
  } as const;
  draft.put(keys.order(txId), order);
  draft.put(keys.book(side, txId), { edge: by });
  draft.put(keys.own(by, txId), { side });
  draft.put(keys.due(expiresAt, 'order', txId), { at: expiresAt });
  draft.emit('order/placed', keys.order(txId), { orderId: txId, edge: by, side });
  return done({ orderId: txId, matches: matchOrder(context, txId) });
}

export function withdrawOrder(context: Context, tx: PayloadOf<'order/withdraw'>): Outcome {
  const { draft, by } = context;
  sweep(context);
  const order = draft.read(keys.order(tx.orderId));
  if (order === undefined) return refuse('notFound', 'there is no such order');
  if (order.edge !== by) return refuse('forbidden', 'the order is of another edge');
  if (order.state !== 'open' && order.state !== 'reserved')
    return refuse('gone', `the order is ${order.state}`);
  const match = order.match === undefined ? undefined : draft.read(keys.match(order.match));
  if (match !== undefined) endMatch(context, match, 'released', 'the demand was withdrawn');
  endOrder(context, draft.read(keys.order(order.id)) ?? order, 'withdrawn');
  if (match !== undefined) matchOrder(context, match.ask, by);
  return done({ orderId: order.id });
}

function liveMatch(context: Context, matchId: string): MatchRecord | (Outcome & { ok: false }) {
  const match = context.draft.read(keys.match(matchId));
  if (match === undefined) return refuse('notFound', 'there is no such match');
  if (match.state !== 'reserved') return refuse('gone', `the match is ${match.state}`);
  return match.expiresAt <= context.env.now ? refuse('gone', 'the match has expired') : match;
}

export function holdMatch(context: Context, tx: PayloadOf<'match/hold'>): Outcome {
  const { draft, env, by } = context;
  const match = liveMatch(context, tx.matchId);
  if ('ok' in match) return match;
  if (match.provider !== by)
    return refuse('forbidden', 'only the provider may hold a match: its capacity is what is reserved');
  const until = Math.min(tx.until, env.now + HOLD_STEP_MS, match.matchedAt + HOLD_IN_ALL_MS);
  if (until <= match.expiresAt) return done({ expiresAt: match.expiresAt });
  draft.put(keys.match(match.id), { ...match, expiresAt: until });
  draft.put(keys.due(until, 'match', match.id), { at: until });
  return done({ expiresAt: until });
}

export function releaseMatch(context: Context, tx: PayloadOf<'match/release'>): Outcome {
  const match = liveMatch(context, tx.matchId);
  if ('ok' in match) return match;
  if (match.provider !== context.by && match.customer !== context.by)
    return refuse('forbidden', 'the match is of others');
  endMatch(context, match, 'released', tx.reason);
  rematch(context, match);
  return done();
}

/** The match becomes a contract between its two sides: the demand is filled, the offer keeps what is left. */
export function takeMatch(context: Context, matchId: string, customer: EdgeId, provider: EdgeId): Outcome {
  const match = liveMatch(context, matchId);
  if ('ok' in match) return match;
  if (match.customer !== customer || match.provider !== provider)
    return refuse('forbidden', 'the match is between others');
  const { draft } = context;
  closeMatch(draft, match, 'taken');
  const demand = draft.read(keys.order(match.bid));
  if (demand !== undefined) endOrder(context, demand, 'filled');
  return done();
}
