import { z } from 'zod';
import { callJson, parseInput, type HttpPeer, type Log } from '@antirio/host';

/** The currency of quotes that are in the ledger's own unit. */
const LEDGER = 'ledger';
/** The largest amount of the ledger: what costs more is asked for by nobody. */
const MOST = 1_000_000_000_000n;
const MAX_DAYS = 36_500;
const DAY_MS = 86_400_000;

const answer = z.looseObject({
  quote: z.looseObject({ amount: z.string().regex(/^\d{1,60}$/), currency: z.string() }),
});

export interface StorageNeed {
  readonly bytes: number;
  /** How long, in milliseconds. */
  readonly ms: number;
}

/**
 * What this edge's content store asks for keeping so much for so long, in the ledger's unit; 0 where it asks in another currency.
 * @throws AntirioError unavailable | timeout: without an answer nobody knows what a promise costs
 */
export async function storageCost(store: HttpPeer, { bytes, ms }: StorageNeed, log: Log): Promise<number> {
  const days = Math.min(MAX_DAYS, Math.max(1, Math.ceil(ms / DAY_MS)));
  const path = `/api/v3/storage/price?bytes=${Math.max(1, bytes)}&days=${days}`;
  const { quote } = parseInput(answer, await callJson(store, { path }));
  const amount = BigInt(quote.amount);
  if (quote.currency === LEDGER || amount === 0n) return Number(amount < MOST ? amount : MOST);
  log.warn({ currency: quote.currency }, 'storage is not sold in the unit of the ledger: it is not counted');
  return 0;
}
