import { signDocument } from '@antirio/kernel';
import {
  YIELD_KIND,
  signedWord,
  type SignedWord,
  type Standing,
  type YieldCause,
} from '@antirio/service-contract';
import type { ArbitratorPorts } from './options.ts';

/** Our signed word that the provider shall take over; undefined where there is nothing to give away. */
export function wordOf(
  { identity, clock }: Pick<ArbitratorPorts, 'identity' | 'clock'>,
  { terms, phase }: Pick<Standing, 'terms' | 'phase'>,
  cause: YieldCause,
): SignedWord | undefined {
  const now = phase();
  if (now.at !== 'guarded') return undefined;
  const { contractId, set } = terms;
  const body = { contractId, setId: set.setId, epoch: now.epoch, cause, at: clock.now() };
  return signedWord.parse(signDocument(identity, YIELD_KIND, body));
}
