import { verifyDocument, type EdgeId } from '@antirio/kernel';
import { z } from 'zod';
import { signedAs } from './signed-word.ts';

/** The signature under a customer's word that it acts is over this kind. */
export const ACTS_KIND = 'antirio/acts/1';

/**
 * `I act on under this epoch, by the promises of the others`: what a provider that promised shows the grantor, which hears nothing of
 * the customer itself. `heard` is the grantor's challenge as the provider told it: the word is younger than that.
 */
const actsBody = z.strictObject({
  setId: z.string().max(64),
  epoch: z.int().min(1),
  heard: z.string().max(64),
});

export const actsWord = signedAs(ACTS_KIND, actsBody);
export type ActsWord = z.output<typeof actsWord>;

/** Whether this customer said so. */
export function isActsWordOf(word: ActsWord, customer: EdgeId, setId: string): boolean {
  return (
    word.by === customer && word.body.setId === setId && verifyDocument({ ...word, by: customer }, ACTS_KIND)
  );
}
