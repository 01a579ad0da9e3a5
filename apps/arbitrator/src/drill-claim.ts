import { z } from 'zod';
import { AntirioError, type Identity } from '@antirio/kernel';
import { keys } from '@antirio/ledger-machine';
import { drillAnswerHash, type ContractTerms, type Drill } from '@antirio/service-contract';
import { drillTermsOf, readDrillFrames } from './drill-keys.ts';
import { ledgerTerms } from './escrow-holder.ts';
import type { LedgerClient } from './ledger-client.ts';
import { claimRequest, openClaim, readClaim } from './wrong-keys.ts';

export const drillClaimRequest = claimRequest.extend({ drill: z.int().min(1) });

/** Whether what these keys say of the frames is what the customer committed to. */
export function isAsCommitted(
  secrets: Parameters<typeof readDrillFrames>[0],
  terms: Pick<ContractTerms, 'confidentiality'>,
  { frames, answer }: Pick<Drill, 'frames' | 'answer'>,
): boolean {
  const read = readDrillFrames(secrets, terms, frames);
  return read !== undefined && drillAnswerHash(read) === answer;
}

/**
 * Excuses a provider whose customer's own keys or frames are wrong. All that counts is what the customer signed for, and put on the
 * ledger. @throws AntirioError forbidden where the claim shows nothing; notFound, unauthenticated, invalidInput
 */
export async function judgeDrillClaim(
  identity: Identity,
  ledger: LedgerClient,
  peer: string,
  { contractId, drill: number, claim }: z.output<typeof drillClaimRequest>,
): Promise<{ readonly excused: string }> {
  const terms = await ledgerTerms(ledger, contractId);
  if (peer !== terms.provider) throw new AntirioError('forbidden', 'only the provider claims this');
  const drill = await ledger.fetch(keys.drill(contractId, number));
  if (drill === undefined) throw new AntirioError('notFound', `no drill ${number}`);
  const read = readClaim(identity, claim);
  if (read.header.body.keyVersion !== drill.keyVersion)
    throw new AntirioError('forbidden', 'the drill is of other keys');
  const secrets = await openClaim(drillTermsOf(terms), read);
  if (secrets !== undefined && isAsCommitted(secrets, terms, drill))
    throw new AntirioError('forbidden', 'these keys read what the customer committed to');
  const found = secrets === undefined ? 'doesNotOpen' : 'otherAnswer';
  await ledger.submit({ type: 'drill/excuse', contractId, drill: number, found });
  return { excused: found };
}
