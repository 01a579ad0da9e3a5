import { canonicalBytes, fromBase64, verifySignature, type EdgeId } from '@antirio/kernel';
import type { Context } from './context.ts';
import type { Draft } from './draft.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { keys } from './records.ts';
import type { PayloadOf } from './transaction.ts';

export function balanceOf(draft: Draft, edge: EdgeId): number {
  return draft.read(keys.account(edge))?.balance ?? 0;
}

/** Adds to an account; a negative amount takes, and the caller has made sure that it is there. */
export function credit(draft: Draft, edge: EdgeId, amount: number): void {
  if (amount !== 0) draft.put(keys.account(edge), { balance: balanceOf(draft, edge) + amount });
}

function isOwnSealKey(edgeId: EdgeId, x25519: string, signature: string): boolean {
  try {
    return verifySignature(edgeId, canonicalBytes({ edgeId, x25519 }), fromBase64(signature));
  } catch {
    return false;
  }
}

export function registerIdentity(context: Context, tx: PayloadOf<'identity/register'>): Outcome {
  const { draft, by, env, genesis } = context;
  const { edgeId, x25519, signature } = tx.sealKey;
  if (edgeId !== by) return refuse('forbidden', 'the seal key is of another edge');
  if (!isOwnSealKey(edgeId, x25519, signature))
    return refuse('forbidden', 'the seal key is not signed by its edge');
  const known = draft.read(keys.identity(by));
  const { name, sealKey, addresses } = tx;
  draft.put(keys.identity(by), {
    edgeId: by,
    name,
    sealKey,
    addresses,
    registeredAt: known?.registeredAt ?? env.now,
  });
  const grant = genesis.openingBalance;
  const first = known === undefined && genesis.balances[by] === undefined;
  if (first && balanceOf(draft, genesis.arbitrator) >= grant) {
    credit(draft, genesis.arbitrator, -grant);
    credit(draft, by, grant);
  }
  draft.emit('identity/registered', keys.identity(by), { name });
  return done({ balance: balanceOf(draft, by) });
}

export function transfer(context: Context, tx: PayloadOf<'account/transfer'>): Outcome {
  const { draft, by } = context;
  if (tx.to === by) return refuse('invalidInput', 'a transfer to oneself');
  const balance = balanceOf(draft, by);
  if (balance < tx.amount) return refuse('conflict', `the account holds ${balance}, less than ${tx.amount}`);
  credit(draft, by, -tx.amount);
  credit(draft, tx.to, tx.amount);
  draft.emit('account/transferred', keys.account(tx.to), {
    from: by,
    to: tx.to,
    amount: tx.amount,
    memo: tx.memo,
  });
  return done({ balance: balance - tx.amount });
}
