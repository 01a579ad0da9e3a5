import type { EdgeId } from '@antirio/kernel';
import type { LedgerClient } from '@antirio/ledger-http';
import { keys } from '@antirio/ledger-machine';
import { prepaidRent, type ContractTerms } from '@antirio/service-contract';
import type { DemandMatch } from './demand.ts';

/** Why there is nothing to be talked about: the account does not hold the least rent that the provider asks for, all of it in advance. */
export async function uncoveredRent(
  ledger: Pick<LedgerClient, 'read'>,
  customer: EdgeId,
  terms: Pick<ContractTerms, 'expiresAt' | 'maxActiveS'>,
  { rent }: Pick<DemandMatch, 'rent'>,
  now: number,
): Promise<string | undefined> {
  if (rent === undefined) return undefined;
  const prepaid = prepaidRent({ ...terms, rent: { perHour: rent } }, now);
  const { balance = 0 } = (await ledger.read(keys.account(customer))) ?? {};
  if (prepaid === undefined) return `rent: no escrow takes ${rent} an hour for so long`;
  return prepaid <= balance
    ? undefined
    : `rent: ${prepaid} are due in advance, at ${rent} an hour, and the account holds ${balance}`;
}
