import { isAntirioError } from '@antirio/kernel';
import { keys, type CoverageClaimRecord, type CoverageRecord } from '@antirio/ledger-machine';
import type { ContractTerms } from '@antirio/service-contract';
import type { LedgerClient } from './ledger-client.ts';

function stateOf(
  { epoch, until }: CoverageRecord,
  claimed: CoverageClaimRecord | undefined,
  now: number,
): Readonly<Record<string, unknown>> {
  if (claimed?.answer !== undefined) return { epoch, state: 'answered' };
  return { epoch, state: claimed === undefined ? 'mayClaim' : 'claimed', leftMs: Math.max(0, until - now) };
}

async function newest(
  ledger: Pick<LedgerClient, 'fetch' | 'time'>,
  contractId: string,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const { coverage, activation } = (await ledger.fetch(keys.contract(contractId))) ?? {};
  const about = coverage ?? activation;
  if (about === undefined) return undefined;
  const [claimed, now] = await Promise.all([
    ledger.fetch(keys.coverageClaim(contractId, about.epoch)),
    ledger.time(),
  ]);
  if (claimed?.ruled !== undefined) return { epoch: about.epoch, state: 'ruled', ...claimed.ruled };
  return coverage && stateOf(coverage, claimed, now);
}

/** What the ledger has of a claim about the newest outage, for operators; nothing while the ledger is away. */
export async function claimView(
  ledger: Pick<LedgerClient, 'fetch' | 'time'>,
  { contractId, coverage }: ContractTerms,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  if (coverage.breach !== 'ruled') return undefined;
  try {
    return await newest(ledger, contractId);
  } catch (error) {
    if (isAntirioError(error)) return undefined;
    throw error;
  }
}
