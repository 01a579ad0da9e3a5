import { z } from 'zod';
import type { Handback, SettlementFigures } from './result.ts';

const settlementSchema = z.looseObject({
  row: z.string(),
  paid: z.object({ customer: z.int(), provider: z.int() }),
});

/** A contract as the ledger has it. */
export const contractSchema = z.looseObject({
  life: z.looseObject({ state: z.string() }),
  escrow: z.object({ customer: z.int(), provider: z.int() }),
  activation: z.looseObject({ epoch: z.int() }).optional(),
  settlement: settlementSchema.optional(),
  dispute: z.array(z.string()).optional(),
});
export type LedgerContract = z.output<typeof contractSchema>;

export const statementSchema = z.looseObject({
  statement: z.looseObject({
    devices: z.array(z.looseObject({ count: z.int(), gaps: z.int() })),
  }),
});
export type LedgerStatement = z.output<typeof statementSchema>;

interface Stakes {
  readonly customer: number;
  readonly provider: number;
}

/** A party's stake was forfeited where the ruling went against it. */
function forfeitedStake(row: string, stakes: Stakes): number {
  if (row === 'providerBreach') return stakes.provider;
  return row === 'customerBreach' ? stakes.customer : 0;
}

/**
 * What became of the money. `paid` is what each got from the other's stake; `returned` is what went back to whose it was.
 *
 * @param stakes what both put into escrow
 */
export function settlementOf(contract: LedgerContract, stakes: Stakes, balances: Stakes): SettlementFigures {
  const held = stakes.customer + stakes.provider;
  const { state } = contract.life;
  const { settlement } = contract;
  if (settlement === undefined)
    return {
      state,
      paid: { provider: 0, customer: 0 },
      stakes: { held, returned: 0, forfeited: 0 },
      balances,
    };
  const paid = {
    provider: Math.max(0, settlement.paid.provider - stakes.provider),
    customer: Math.max(0, settlement.paid.customer - stakes.customer),
  };
  const returned =
    Math.min(settlement.paid.provider, stakes.provider) + Math.min(settlement.paid.customer, stakes.customer);
  return {
    state,
    paid,
    stakes: { held, returned, forfeited: forfeitedStake(settlement.row, stakes) },
    balances,
  };
}

/** The sums over a statement's devices. */
export function handbackOf(statement: LedgerStatement | undefined): Handback {
  const devices = statement?.statement.devices ?? [];
  return {
    devices: devices.length,
    readings: devices.reduce((sum, { count }) => sum + count, 0),
    gaps: devices.reduce((sum, { gaps }) => sum + gaps, 0),
  };
}
