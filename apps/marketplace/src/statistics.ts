import type { ContractRecord, MatchRecord, OrderRecord } from '@antirio/ledger-machine';

type Counts = Record<string, number>;

export interface MarketStatistics {
  readonly orders: { readonly ask: Counts; readonly bid: Counts };
  readonly matches: Counts;
  readonly contracts: Counts;
  /** How contracts ended. */
  readonly settlements: Counts;
  readonly stakesHeld: number;
  /** In escrow for standing by. */
  readonly rentHeld: number;
  /** The market that stands now, by local market. */
  readonly cells: Readonly<Record<string, { readonly asks: number; readonly bids: number }>>;
  readonly lowestAsk: number | null;
  readonly highestBid: number | null;
}

function count<T>(items: readonly T[], name: (item: T) => string | undefined): Counts {
  const counts: Counts = {};
  for (const item of items) {
    const key = name(item);
    if (key !== undefined) counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

function byCell(open: readonly OrderRecord[]): Record<string, { asks: number; bids: number }> {
  const cells: Record<string, { asks: number; bids: number }> = {};
  for (const { terms } of open)
    for (const name of terms.qualities.cells) {
      const cell = (cells[name] ??= { asks: 0, bids: 0 });
      if (terms.side === 'ask') cell.asks += 1;
      else cell.bids += 1;
    }
  return cells;
}

function paymentsOf(orders: readonly OrderRecord[], side: 'ask' | 'bid'): number[] {
  return orders.filter(({ terms }) => terms.side === side).map(({ terms }) => terms.price.p);
}

const least = (numbers: readonly number[]): number | null =>
  numbers.length === 0 ? null : Math.min(...numbers);

/** The market in figures, from the ledger's records. */
export function summarise(
  orders: readonly OrderRecord[],
  matches: readonly MatchRecord[],
  contracts: readonly ContractRecord[],
): MarketStatistics {
  const open = orders.filter(({ state }) => state === 'open');
  const [asks, bids] = [paymentsOf(open, 'ask'), paymentsOf(open, 'bid')];
  return {
    orders: {
      ask: count(
        orders.filter(({ terms }) => terms.side === 'ask'),
        ({ state }) => state,
      ),
      bid: count(
        orders.filter(({ terms }) => terms.side === 'bid'),
        ({ state }) => state,
      ),
    },
    matches: count(matches, ({ state }) => state),
    contracts: count(contracts, ({ life }) => life.state),
    settlements: count(contracts, ({ settlement }) => settlement?.row),
    stakesHeld: contracts.reduce((sum, { escrow }) => sum + escrow.customer + escrow.provider, 0),
    rentHeld: contracts.reduce((sum, { escrow: { rent = 0 } }) => sum + rent, 0),
    cells: byCell(open),
    lowestAsk: least(asks),
    highestBid: bids.length === 0 ? null : Math.max(...bids),
  };
}
