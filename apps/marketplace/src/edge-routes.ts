import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import { AntirioError, uuidV4, type Clock, type Random } from '@antirio/kernel';
import { resultOf, type LedgerClient } from '@antirio/ledger-http';
import type { payload } from '@antirio/ledger-machine';
import { orderTerms } from '@antirio/market';
import type { OrderStore, OwnOrder } from './order-store.ts';
import type { OrderWork } from './order-work.ts';
import type { OwnMatches } from './own-matches.ts';

const orderBody = z.strictObject({
  reference: z
    .string()
    .regex(/^[A-Za-z0-9._~:/-]{1,128}$/)
    .optional()
    .describe("the caller's name for it; the same reference twice is one order"),
  order: orderTerms,
});
const orderParam = z.object({ id: z.uuid() });
const matchParam = z.object({ id: z.string().regex(/^[0-9a-f]{64}$/) });
const holdBody = z.strictObject({ until: z.int().positive() });
const releaseBody = z.strictObject({ reason: z.string().max(128).default('') });

export interface EdgeRoutesParts {
  readonly rim: HttpRim;
  readonly store: OrderStore;
  readonly work: () => OrderWork;
  readonly matches: () => OwnMatches;
  readonly ledger: LedgerClient;
  readonly clock: Clock;
  readonly random: Random;
}

interface Asked {
  get(name: string): string | undefined;
}

function localOnly(request: Asked): void {
  if (request.get('x-antirio-peer') !== undefined)
    throw new AntirioError('forbidden', 'only this edge trades in its own name');
}

const show = ({ tx: _tx, withdrawal: _withdrawal, ...own }: OwnOrder): unknown => own;

function addOrderRoutes({ rim, store, work, clock, random }: EdgeRoutesParts): void {
  const base = '/marketplace/v1/order';
  const find = (id: string): OwnOrder => {
    const own = store.get(id);
    if (own === undefined) throw new AntirioError('notFound', 'there is no such order of this edge');
    return own;
  };
  const place = {
    summary: 'place an order; it goes to the ledger as soon as that can be reached',
    body: orderBody,
    status: 202,
  };
  rim.route('post', base, place, ({ body, request }) => {
    localOnly(request);
    const { reference, order } = body;
    if (order.expiresAt <= clock.now()) throw new AntirioError('invalidInput', 'expiresAt: in the past');
    const own = store.add({
      id: uuidV4(random),
      reference,
      order,
      state: 'accepted',
      createdAt: clock.now(),
    });
    work().poke();
    return show(own);
  });
  rim.route('get', base, { summary: "this edge's orders, the newest first" }, () => ({
    orders: store.all().map(show),
  }));
  rim.route('get', `${base}/:id`, { summary: 'one order', params: orderParam }, ({ params }) =>
    show(find(params.id)),
  );
  const withdraw = { summary: 'withdraw an order', params: orderParam, status: 202 };
  rim.route('delete', `${base}/:id`, withdraw, ({ params, request }) => {
    localOnly(request);
    const own = find(params.id);
    if (own.state === 'accepted') store.put({ ...own, state: 'withdrawn' });
    else if (own.state === 'submitting' || own.state === 'placed')
      store.put({ ...own, state: 'withdrawing' });
    work().poke();
    return show(find(params.id));
  });
}

function addMatchRoutes({ rim, matches, ledger }: EdgeRoutesParts): void {
  const base = '/marketplace/v1/match';
  const submit = async (request: z.input<typeof payload>): Promise<unknown> => {
    const result = resultOf(await ledger.submit(await ledger.prepare(request)));
    await matches().refresh();
    return result;
  };
  rim.route('get', base, { summary: "this edge's matches, as last read from the ledger" }, () => {
    const readAt = matches().readAt();
    if (readAt === undefined) throw new AntirioError('unavailable', 'the ledger could not be read yet');
    return { matches: matches().all(), readAt };
  });
  const hold = {
    summary: 'as the provider: keep a match for a negotiation',
    params: matchParam,
    body: holdBody,
  };
  rim.route('post', `${base}/:id/hold`, hold, ({ params, body, request }) => {
    localOnly(request);
    return submit({ type: 'match/hold', matchId: params.id, until: body.until });
  });
  const release = { summary: 'give a match up', params: matchParam, body: releaseBody };
  rim.route('post', `${base}/:id/release`, release, ({ params, body, request }) => {
    localOnly(request);
    return submit({ type: 'match/release', matchId: params.id, reason: body.reason });
  });
}

/** An edge's own trade. Neighbours may look at it: all of it is on the ledger anyway. */
export function addEdgeRoutes(parts: EdgeRoutesParts): void {
  addOrderRoutes(parts);
  addMatchRoutes(parts);
}
