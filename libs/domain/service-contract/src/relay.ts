import type { Confidentiality } from './terms.ts';

/** Said wherever somebody asks for a `relay` contract. */
export const NO_RELAY =
  'a relay contract could never be settled: its provider has no keys to state what it kept with; choose forward or process';

/** Why these terms are not signed; those that were before stay what they are. */
export function relayProblem(terms: { readonly confidentiality: Confidentiality }): string | undefined {
  return terms.confidentiality === 'relay' ? NO_RELAY : undefined;
}
