import { z } from 'zod';
import { AntirioError, type EdgeId } from '@antirio/kernel';
import { edgeId } from '@antirio/service-contract';
import { keys } from './records.ts';
import type { StateView, Write } from './state.ts';
import { Draft } from './draft.ts';

const amount = z.int().min(0).max(1_000_000_000_000_000);

/** What a ledger starts from; it never changes after. */
export const genesis = z.strictObject({
  /** The central arbitrator: validates contracts, gives epochs, rules. */
  arbitrator: edgeId,
  /** All the money there will ever be, by account, in the smallest unit. */
  balances: z.record(z.string(), amount).default({}),
  /** What a newly registered edge gets from the arbitrator's account, as long as that lasts; 0 = nothing. */
  openingBalance: amount.default(0),
});
export type Genesis = z.output<typeof genesis>;

/** All money: conserved by every transaction. */
export function supplyOf(start: Genesis): number {
  return Object.values(start.balances).reduce((sum, balance) => sum + balance, 0);
}

/** @throws AntirioError badConfig when the balances are not of edges or exceed what integers can count. */
export function genesisWrites(empty: StateView, start: Genesis): Write[] {
  if (!Number.isSafeInteger(supplyOf(start)))
    throw new AntirioError('badConfig', 'the balances together are too large to be counted exactly');
  const draft = new Draft(empty);
  draft.put(keys.genesis(), start);
  for (const [edge, balance] of Object.entries(start.balances)) {
    if (!edgeId.safeParse(edge).success)
      throw new AntirioError('badConfig', `balances.${edge}: not an edge id`);
    draft.put(keys.account(edge as EdgeId), { balance });
  }
  return draft.writes();
}
