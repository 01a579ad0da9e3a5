import { verifyDocument } from '@antirio/kernel';
import type { Context } from './context.ts';
import { findContract } from './contracts.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { keys, type ContractRecord, type RingRoot } from './records.ts';
import { RING_ROOT_KIND, type PayloadOf } from './transaction.ts';

export type SignedRoot = PayloadOf<'ring/root'>['root'];

/** Whether it is the provider's word on its ring under this contract. */
export function isProvidersRoot(contract: ContractRecord, root: SignedRoot): boolean {
  return (
    root.by === contract.provider &&
    root.body.contractId === contract.id &&
    verifyDocument(root, RING_ROOT_KIND)
  );
}

/** Whether a provider cannot have signed both of one life of its ring, which only grows. */
export function contradict(a: RingRoot, b: RingRoot): boolean {
  if (a.incarnation !== b.incarnation) return false;
  if (a.through === b.through) return a.root !== b.root || a.count !== b.count;
  const [shorter, longer] = a.through < b.through ? [a, b] : [b, a];
  return longer.count < shorter.count;
}

/** A provider's root that its customer did not sign, for it did not answer: the newest of a contract is kept, with its time. */
export function recordRoot(context: Context, { root }: PayloadOf<'ring/root'>): Outcome {
  const { draft, env, by } = context;
  const { contractId } = root.body;
  const found = findContract(draft, contractId);
  if ('ok' in found) return found;
  if (by !== found.contract.provider || root.by !== by)
    return refuse('forbidden', 'only the provider records roots of its ring');
  if (!verifyDocument(root, RING_ROOT_KIND))
    return refuse('unauthenticated', 'the root is not signed by the provider');
  const known = draft.read(keys.ringRoot(contractId));
  const isOfOneLife = known?.root.incarnation === root.body.incarnation;
  if (known !== undefined && isOfOneLife && known.root.through >= root.body.through)
    return refuse('conflict', `a root through frame ${known.root.through} is recorded`);
  draft.put(keys.ringRoot(contractId), { root: root.body, signature: root.signature, at: env.now });
  return done();
}
