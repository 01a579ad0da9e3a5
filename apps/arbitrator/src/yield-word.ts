import { signDocument } from '@antirio/kernel';
import { YIELD_KIND, signedWord, type SignedWord, type YieldCause } from '@antirio/service-contract';
import type { ArbitratorPorts } from './options.ts';
import type { PartyDriver } from './party-driver.ts';

/**
 * Our signed word that the provider shall take over; undefined where there is nothing to give away. The centre judges its age: our own
 * clock may be wrong, and counts only where the centre has not told its time since our start.
 */
export function wordOf(
  { identity, clock }: Pick<ArbitratorPorts, 'identity' | 'clock'>,
  { terms, phase, ledgerTime }: Pick<PartyDriver, 'terms' | 'phase' | 'ledgerTime'>,
  cause: YieldCause,
): SignedWord | undefined {
  const now = phase();
  if (now.at !== 'guarded') return undefined;
  const { contractId, set } = terms;
  const body = { contractId, setId: set.setId, epoch: now.epoch, cause, at: ledgerTime() ?? clock.now() };
  return signedWord.parse(signDocument(identity, YIELD_KIND, body));
}
