import { answersForReady, isEnded } from '@antirio/service-contract';
import { findContract, type LiveContract } from './contracts.ts';
import type { Context } from './context.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { keys } from './records.ts';
import type { PayloadOf } from './transaction.ts';

type Refusal = Outcome & { readonly ok: false };

/** Why a contract whose terms ask for answered downlinks is not READY yet. */
export function refuseUnanswered({ contract, terms }: LiveContract): Refusal | undefined {
  const { answered = 0 } = contract.downlinks ?? {};
  // who has been READY is not kept from it by this
  const needed = contract.life.state === 'VALIDATED' ? answersForReady(terms) : 0;
  return answered < needed
    ? refuse('conflict', `${answered} of ${needed} sensors have answered a drill downlink`)
    : undefined;
}

/** The customer's word on what its sensors answered: it alone has the keys to tell. It gains nothing by it but its provider. */
export function noteDownlinks(context: Context, tx: PayloadOf<'drill/downlinks'>): Outcome {
  const found = findContract(context.draft, tx.contractId);
  if ('ok' in found) return found;
  const { contract, terms } = found;
  const { sampled, answered } = tx;
  if (context.by !== contract.customer)
    return refuse('forbidden', 'only the customer knows what its sensors answered');
  if (terms.downlinkDrills.motes === 0)
    return refuse('forbidden', 'the provider has agreed to no drill downlinks');
  if (isEnded(contract.life)) return refuse('conflict', `the contract is ${contract.life.state}`);
  if (answered > sampled || sampled > terms.set.devices.length)
    return refuse('invalidInput', 'more sensors than there are');
  const downlinks = { sampled, answered, at: context.env.now };
  context.draft.put(keys.contract(contract.id), { ...contract, downlinks });
  return done();
}
