import { signDocument, type Clock, type Identity } from '@antirio/kernel';
import {
  BACK_KIND,
  WORD_SLACK_MS,
  isBackAskOf,
  signedBackAsk,
  type ContractTerms,
  type SignedBackAsk,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';

/** What a customer asks its provider for in a full drill, so that the ledger knows of it though it was away then. */

const ASKED = 'askedBack';

/** The customer's signed wish, where its terms know full drills. */
export function backAskOf(
  { drills, contractId }: Pick<ContractTerms, 'drills' | 'contractId'>,
  epoch: number,
  { identity, clock }: { readonly identity: Identity; readonly clock: Pick<Clock, 'now'> },
): SignedBackAsk | undefined {
  if (drills.full === undefined) return undefined;
  const body = { contractId, epoch, at: Math.floor(clock.now()) };
  return signedBackAsk.parse(signDocument(identity, BACK_KIND, body));
}

/**
 * The provider's: the first one of the epoch that it serves under is kept, unless its time is not about now. One that was sent ahead
 * would make whatever is served later look asked back in time.
 */
export function keepBackAsk(
  store: Pick<ContractStore, 'document' | 'putDocument'>,
  { contractId, customer }: Pick<ContractTerms, 'contractId' | 'customer'>,
  ask: SignedBackAsk,
  { now, servesUnder }: { readonly now: number; readonly servesUnder: number | undefined },
): boolean {
  const { epoch, at } = ask.body;
  const isNow = epoch === servesUnder && Math.abs(now - at) <= WORD_SLACK_MS;
  if (!isNow || !isBackAskOf(ask, contractId, customer)) return false;
  if (keptBackAsk(store, contractId, epoch) === undefined) store.putDocument(contractId, ASKED, ask);
  return true;
}

export function keptBackAsk(
  store: Pick<ContractStore, 'document'>,
  contractId: string,
  epoch: number,
): SignedBackAsk | undefined {
  const kept = store.document(contractId, ASKED) as SignedBackAsk | undefined;
  return kept?.body.epoch === epoch ? kept : undefined;
}
