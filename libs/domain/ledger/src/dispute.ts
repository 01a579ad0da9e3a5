import { disputeMs } from '@antirio/service-contract';
import type { Context } from './context.ts';
import { step, type LiveContract } from './contracts.ts';
import { isServed } from './coverage-claims.ts';
import { settle } from './payout.ts';
import { refuse, type Outcome } from './receipt.ts';
import { settleHonoured } from './rekeying.ts';
import { keys, type ContractRecord } from './records.ts';

/** Nobody can show who is right: the stakes go back, but for what both had agreed on before, which P pays. */
export function leaveUndecided(context: Context, contract: ContractRecord, reason: string): Outcome {
  if (contract.rekeying !== undefined) return refuse('conflict', 'both statements agree');
  if (contract.served !== undefined)
    return settleHonoured(context, contract, `${contract.served.takeovers} takeovers; the last: ${reason}`);
  const settled = step(context, contract, { step: 'settle', row: 'undecided' });
  return 'ok' in settled ? settled : settle(context, settled, 'undecided', reason);
}

/** When statements that differ were first there; of a contract of before that is not kept, and the newer of the two stands for it. */
function disputedSince({ draft }: Context, { id, disputedAt, activation }: ContractRecord): number {
  const times = (['customer', 'provider'] as const).map(
    (role) => draft.read(keys.statement(id, activation?.epoch ?? 0, role))?.at ?? 0,
  );
  return disputedAt ?? Math.max(...times);
}

/** No dispute locks the stakes for ever: after the time that the terms give it anyone concerned ends the contract. */
export function closeOnDispute(context: Context, { contract, terms }: LiveContract): Outcome {
  if (isServed(context, contract))
    return refuse('conflict', 'the provider serves: it is settled once that is over');
  if (context.env.now < disputedSince(context, contract) + disputeMs(terms))
    return refuse('conflict', 'the statements differ, and there is still time to better them');
  return leaveUndecided(context, contract, 'the statements differed to the end');
}
