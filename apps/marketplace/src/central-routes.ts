import { z } from 'zod';
import { callJson, parseInput, type HttpPeer, type HttpRim } from '@antirio/host';
import type { Clock } from '@antirio/kernel';
import type { LedgerClient } from '@antirio/ledger-http';
import type { ContractRecord, MatchRecord, OrderRecord } from '@antirio/ledger-machine';
import { summarise, type MarketStatistics } from './statistics.ts';

const listing = z.object({
  after: z.string().max(256).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});
const page = z.looseObject({
  entries: z.array(z.tuple([z.string(), z.unknown()])),
  next: z.string().optional(),
});

/** Statistics read the whole market: at most so often. */
const STATISTICS_MS = 1000;

async function recordsOf<T>(ledger: LedgerClient, prefix: string): Promise<T[]> {
  return (await ledger.range(prefix)).map(([, value]) => value as T);
}

/** Listing of all local markets, and figures about them. */
export function addCentralRoutes(rim: HttpRim, ledger: LedgerClient, peer: HttpPeer, clock: Clock): void {
  const list = (path: string, family: string, name: string): void => {
    rim.route(
      'get',
      path,
      { summary: `all ${name}, a page at a time`, query: listing },
      async ({ query }) => {
        const search = new URLSearchParams({ prefix: family, limit: String(query.limit) });
        if (query.after !== undefined) search.set('after', query.after);
        const { entries, next } = parseInput(
          page,
          await callJson(peer, { path: `/ledger/v1/range?${search.toString()}` }),
        );
        return { [name]: entries.map(([, value]) => value), ...(next === undefined ? {} : { next }) };
      },
    );
  };
  list('/marketplace/v1/order', 'order/', 'orders');
  list('/marketplace/v1/match', 'match/', 'matches');

  let latest: { readonly at: number; readonly figures: Promise<MarketStatistics> } | undefined;
  const read = async (): Promise<MarketStatistics> =>
    summarise(
      await recordsOf<OrderRecord>(ledger, 'order/'),
      await recordsOf<MatchRecord>(ledger, 'match/'),
      await recordsOf<ContractRecord>(ledger, 'contract/'),
    );
  rim.route('get', '/marketplace/v1/statistics', { summary: 'the market in figures' }, () => {
    const now = clock.monotonic();
    if (latest === undefined || now - latest.at >= STATISTICS_MS) {
      const figures = read();
      latest = { at: now, figures };
      figures.catch(() => {
        latest = undefined;
      });
    }
    return latest.figures;
  });
}
