import { verifyDocument, type EdgeId } from '@antirio/kernel';
import { z } from 'zod';
import { signedAs } from './signed-word.ts';

/** The signature under a customer's wish to have its service back is over this kind. */
export const BACK_KIND = 'antirio/drill-back/1';

/** `give it back now`: what the provider shows the ledger, which may have been away when the customer asked. */
const wish = z.strictObject({
  contractId: z.uuid(),
  /** The provider's epoch. */
  epoch: z.int().min(1),
  /** The customer's wall clock, ms; the provider keeps what is near its own. */
  at: z.int().min(0),
});

export const signedBackAsk = signedAs(BACK_KIND, wish);
export type SignedBackAsk = z.output<typeof signedBackAsk>;

/** Whether this contract's customer said so. */
export function isBackAskOf(ask: SignedBackAsk, contractId: string, customer: EdgeId): boolean {
  const isOurs = ask.by === customer && ask.body.contractId === contractId;
  return isOurs && verifyDocument({ ...ask, by: customer }, BACK_KIND);
}
