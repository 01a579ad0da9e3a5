import type { EdgeId } from '@antirio/kernel';
import type { EpochRecord } from './lease.ts';
import type { ContractRecord } from './messages.ts';

/** Who is who in one contract of a set that has several. */
export interface Parties {
  readonly customer: EdgeId;
  readonly provider: EdgeId;
}

/** Neither the customer nor this contract's provider has the set's epoch: another provider of the same set. */
export function isHeldByOther({ customer, provider }: Parties, { holder, released }: EpochRecord): boolean {
  return !released && holder !== customer && holder !== provider;
}

/** Another provider has the epoch, and its lease may run: nothing is to be taken over. */
export function isServedByOther(parties: Parties, record: ContractRecord | undefined): boolean {
  return record !== undefined && isHeldByOther(parties, record) && record.leaseRuns !== false;
}
