import type { ContractTerms } from '@antirio/service-contract';
import { findContract, step } from './contracts.ts';
import type { Context } from './context.ts';
import { settle } from './payout.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { keys, type ContractRecord } from './records.ts';
import type { PayloadOf } from './transaction.ts';

/** Both sides agree on the handback: the provider is paid. */
export function settleHonoured(context: Context, contract: ContractRecord, reason: string): Outcome {
  const settled = step(context, contract, { step: 'settle', row: 'honoured' });
  return 'ok' in settled ? settled : settle(context, settled, 'honoured', reason);
}

/** The payment waits for new keys, until then at the latest; undefined where the terms, or the set, give it nothing to wait for. */
export function awaitNewKeys(
  { draft, env }: Context,
  contract: ContractRecord,
  { rekey, set, confidentiality }: ContractTerms,
): Outcome | undefined {
  if (rekey.waitS === 0 || set.devices.length === 0 || confidentiality === 'relay') return undefined;
  const until = env.now + rekey.waitS * 1000;
  const { id } = contract;
  draft.put(keys.contract(id), { ...contract, rekeying: { since: env.now, until } });
  draft.emit('keys/awaited', keys.contract(id), { contractId: id, until });
  return done({ agreed: true, settlesBy: until });
}

/** The customer's word on how many of its devices have new keys. With the last of them, or late, it settles the contract. */
export function countRekeyed(context: Context, tx: PayloadOf<'contract/rekeyed'>): Outcome {
  const { draft, env, by } = context;
  const found = findContract(draft, tx.contractId);
  if ('ok' in found) return found;
  const { contract, terms } = found;
  if (contract.customer !== by)
    return refuse('forbidden', 'only the customer knows which devices have new keys');
  const { rekeying } = contract;
  if (contract.settlement !== undefined) return refuse('gone', 'the contract is settled');
  if (rekeying === undefined) return refuse('conflict', 'the contract waits for no new keys');
  const { rekeyed, waiting, disclosed } = tx;
  if (rekeyed + waiting + disclosed > terms.set.devices.length)
    return refuse('invalidInput', 'the set has fewer devices');
  const counted = { rekeyed, waiting, disclosed, at: env.now };
  const next = { ...contract, rekeying: { ...rekeying, counted } };
  draft.put(keys.contract(contract.id), next);
  draft.emit('keys/counted', keys.contract(contract.id), { contractId: contract.id, ...counted });
  if (waiting > 0 && env.now < rekeying.until) return done({ waiting });
  return settleHonoured(context, next, 'both statements agree');
}

/** No customer holds up what it owes: with the end of the time for new keys anyone concerned settles the contract. */
export function settleWithoutKeys(
  context: Context,
  contract: ContractRecord,
  { until }: NonNullable<ContractRecord['rekeying']>,
): Outcome {
  if (contract.settlement !== undefined) return refuse('gone', 'the contract is settled');
  if (context.env.now < until)
    return refuse('conflict', 'the customer’s devices still have time for new keys');
  return settleHonoured(context, contract, 'both statements agree');
}
