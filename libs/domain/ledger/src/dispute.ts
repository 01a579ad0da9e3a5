import { followsNewRules } from '@antirio/service-contract';
import type { Context } from './context.ts';
import { step, type LiveContract } from './contracts.ts';
import { isServed } from './coverage-claims.ts';
import { settle } from './payout.ts';
import { refuse, type Outcome } from './receipt.ts';
import { keys, type ContractRecord } from './records.ts';
import { settleHonoured } from './rekeying.ts';

/** Nobody can show who is right: the stakes go back, but for what both had agreed on before, which P pays. */
export function leaveUndecided(context: Context, { contract, terms }: LiveContract, reason: string): Outcome {
  if (contract.rekeying !== undefined) return refuse('conflict', 'both statements agree');
  const settled = settleUndecided(context, { contract, terms }, reason);
  if (settled.ok && terms.disputeCounts === true) countUndecided(context, contract);
  return settled;
}

/** One of them was wrong, and nobody knows which: who ends so again and again is seen by others. */
function countUndecided({ draft }: Context, { customer, provider }: ContractRecord): void {
  for (const edge of [customer, provider]) {
    const known = draft.read(keys.reputation(edge)) ?? { honoured: 0, breached: 0 };
    draft.put(keys.reputation(edge), { ...known, undecided: (known.undecided ?? 0) + 1 });
  }
}

function settleUndecided(context: Context, { contract, terms }: LiveContract, reason: string): Outcome {
  if (contract.served !== undefined && followsNewRules(terms))
    return settleHonoured(context, contract, `${contract.served.takeovers} takeovers; the last: ${reason}`);
  const settled = step(context, contract, { step: 'settle', row: 'undecided' });
  return 'ok' in settled ? settled : settle(context, settled, 'undecided', reason);
}

/** No dispute locks the stakes for ever: after the time that the terms give it anyone concerned ends the contract. */
export function closeOnDispute(context: Context, found: LiveContract, endsAt: number): Outcome {
  if (isServed(context, found.contract))
    return refuse('conflict', 'the provider serves: it is settled once that is over');
  if (context.env.now < endsAt)
    return refuse('conflict', 'the statements differ, and there is still time to better them');
  return leaveUndecided(context, found, 'the statements differed to the end');
}
