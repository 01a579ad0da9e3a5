import type { ContractTerms } from '@antirio/service-contract';
import type { ContractRecord } from './records.ts';

/** What the parties leave the arbitrator, after a contract's end, to look at what happened just before it. */
const EXPIRY_GRACE_MS = 60_000;

const ENDS_IN: ReadonlySet<string> = new Set(['VALIDATED', 'READY', 'READY_EXPOSED', 'DEGRADED']);

/** From when on anybody concerned may end the contract: by then a takeover at its very end has come, or was missed and is ruled. */
export function endsFrom({
  expiresAt,
  takeoverSlaMs,
}: Pick<ContractTerms, 'expiresAt' | 'takeoverSlaMs'>): number {
  return expiresAt + takeoverSlaMs + EXPIRY_GRACE_MS;
}

/** Whether what was served is not agreed on yet, or not counted. */
export function isPending({
  activation,
  served,
  dispute,
}: Pick<ContractRecord, 'activation' | 'served' | 'dispute'>): boolean {
  return dispute !== undefined || (activation?.owed === true && activation.epoch !== served?.epoch);
}

/** Whether a contract whose time is over has nothing left to be settled first. An activation is never ended by it. */
export function mayExpire(contract: ContractRecord): boolean {
  const { life, coverage } = contract;
  if (coverage?.claimedAt !== undefined) return false;
  return ENDS_IN.has(life.state) || (life.state === 'HANDED_BACK' && !isPending(contract));
}
