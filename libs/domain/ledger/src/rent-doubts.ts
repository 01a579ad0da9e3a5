import { findContract } from './contracts.ts';
import type { Context } from './context.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { RENT_ANSWER_MS, answered, stoodUntil } from './rent.ts';
import { keys } from './records.ts';
import type { PayloadOf } from './transaction.ts';

/** So that nobody has to answer all the time, ms. */
export const RENT_DOUBT_EVERY_MS = 600_000;

/** The customer has not heard its provider for long: it is to say on the ledger that it is there, or is paid no rent until it does. */
export function doubtRent(context: Context, tx: PayloadOf<'rent/doubt'>): Outcome {
  const { draft, env, by } = context;
  const found = findContract(draft, tx.contractId);
  if ('ok' in found) return found;
  const { contract } = found;
  const { rent, life, customer } = contract;
  if (by !== customer) return refuse('forbidden', 'only the customer doubts that its provider is there');
  if (rent === undefined) return refuse('conflict', 'the contract has no rent');
  if (life.state !== 'READY' && life.state !== 'READY_EXPOSED')
    return refuse('conflict', `the contract is ${life.state}`);
  if (rent.doubt?.isOpen === true) return done({ until: rent.doubt.at + RENT_ANSWER_MS });
  if (rent.doubt !== undefined && env.now < rent.doubt.at + RENT_DOUBT_EVERY_MS)
    return refuse('busy', 'the provider has answered a moment ago');
  draft.put(keys.contract(contract.id), {
    ...contract,
    rent: { ...rent, doubt: { at: env.now, isOpen: true } },
  });
  const until = env.now + RENT_ANSWER_MS;
  draft.emit('rent/doubted', keys.contract(contract.id), { contractId: contract.id, until });
  return done({ until });
}

/** The provider is there: in its time it loses nothing, later what was between. */
export function answerDoubt(context: Context, tx: PayloadOf<'rent/answer'>): Outcome {
  const { draft, env, by } = context;
  const found = findContract(draft, tx.contractId);
  if ('ok' in found) return found;
  const { contract, terms } = found;
  const { rent, provider } = contract;
  if (by !== provider) return refuse('forbidden', 'only the provider says that it is there');
  if (rent?.doubt?.isOpen !== true) return done();
  const isLate = env.now - rent.doubt.at > RENT_ANSWER_MS;
  const stood = stoodUntil(contract, terms, env.now);
  const next = { stood, since: env.now, ...answered(rent) };
  draft.put(keys.contract(contract.id), { ...contract, rent: next });
  draft.emit('rent/answered', keys.contract(contract.id), { contractId: contract.id, isLate });
  return done({ isLate });
}
