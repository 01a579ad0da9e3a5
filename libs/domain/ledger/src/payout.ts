import { assertNever } from '@antirio/kernel';
import type { SettlementRow } from '@antirio/service-contract';
import { credit } from './accounts.ts';
import type { Context } from './context.ts';
import { REMEMBERED_MS, returnCapacity } from './orders.ts';
import { done, type Outcome } from './receipt.ts';
import { keys, type ContractRecord, type Settlement } from './records.ts';
import { rentEarned, rentPaid } from './rent.ts';

interface Stakes {
  readonly customer: number;
  readonly provider: number;
}

/** Who gets what of the two stakes; every row sums to what was paid in. */
export function payout(row: SettlementRow, { customer, provider }: Stakes): Stakes {
  switch (row) {
    case 'cancelled':
    case 'expired':
    case 'undecided':
      return { customer, provider };
    case 'honoured':
    case 'customerBreach':
      return { customer: 0, provider: customer + provider };
    case 'providerBreach':
      return { customer: customer + provider, provider: 0 };
    default:
      return assertNever(row);
  }
}

function judge({ draft }: Context, { customer, provider }: ContractRecord, row: SettlementRow): void {
  const count = (edge: typeof customer, honoured: number, breached: number): void => {
    const known = draft.read(keys.reputation(edge)) ?? { honoured: 0, breached: 0 };
    draft.put(keys.reputation(edge), {
      ...known,
      honoured: known.honoured + honoured,
      breached: known.breached + breached,
    });
  };
  if (row === 'honoured') {
    count(provider, 1, 0);
    count(customer, 1, 0);
  }
  if (row === 'providerBreach') count(provider, 0, 1);
  if (row === 'customerBreach') count(customer, 0, 1);
}

/** The set lives on while another contract names it; else its devices are free for others. Its epoch is kept. */
function leaveSet({ draft }: Context, contract: ContractRecord): void {
  const set = draft.read(keys.set(contract.setId));
  if (set === undefined) return;
  const contracts = set.contracts.filter((id) => id !== contract.id);
  // With nobody left to take it, an epoch that its customer gave up is its own again.
  const { released: _own, ...kept } = set;
  const own = contracts.length === 0 && set.holder === set.customer;
  draft.put(keys.set(set.id), { ...(own ? kept : set), contracts });
  const devices = draft.read(keys.terms(contract.id))?.terms.set.devices ?? [];
  if (contracts.length === 0) for (const { devEui } of devices) draft.remove(keys.device(devEui));
}

function leaveMarket({ draft, env }: Context, contract: ContractRecord): void {
  const matchId = draft.read(keys.terms(contract.id))?.terms.matchId;
  const match = matchId === undefined ? undefined : draft.read(keys.match(matchId));
  if (match === undefined) return;
  returnCapacity(draft, match);
  const at = env.now + REMEMBERED_MS;
  draft.put(keys.due(at, 'forget', `match/${match.id}`), { at });
}

/** What becomes of the rent; undefined where the terms have none. */
function rentOf(
  { draft, env }: Context,
  contract: ContractRecord,
  row: SettlementRow,
  until: number,
): Settlement['rent'] {
  const prepaid = contract.escrow.rent;
  const terms = draft.read(keys.terms(contract.id))?.terms;
  if (prepaid === undefined || terms === undefined) return undefined;
  const { earned, provenMs } = rentEarned(contract, terms, env.now, until);
  return { prepaid, paid: rentPaid(row, prepaid, earned), provenMs };
}

function payAll(context: Context, contract: ContractRecord, row: SettlementRow, rent: Settlement['rent']) {
  const { customer, provider } = payout(row, contract.escrow);
  const paid = {
    customer: customer + (rent === undefined ? 0 : rent.prepaid - rent.paid),
    provider: provider + (rent?.paid ?? 0),
  };
  credit(context.draft, contract.customer, paid.customer);
  credit(context.draft, contract.provider, paid.provider);
  return { paid, ...(rent === undefined ? {} : { rent }) };
}

/**
 * Pays everything in escrow out by the row, counts reputation, frees set and capacity. `breachAt`: when a provider that is in breach
 * stood by no more; it has earned its rent until then.
 */
export function settle(
  context: Context,
  contract: ContractRecord,
  row: SettlementRow,
  reason: string,
  breachAt = context.env.now,
): Outcome {
  const { draft, env } = context;
  const out = payAll(context, contract, row, rentOf(context, contract, row, breachAt));
  judge(context, contract, row);
  leaveSet(context, contract);
  leaveMarket(context, contract);
  draft.put(keys.contract(contract.id), {
    ...contract,
    escrow: { customer: 0, provider: 0 },
    settlement: { row, at: env.now, ...out, reason },
  });
  draft.emit('contract/settled', keys.contract(contract.id), {
    contractId: contract.id,
    row,
    ...out,
    reason,
  });
  return done({ row, ...out });
}
