import { z } from 'zod';
import { parseInput, type Log } from '@antirio/host';
import { describeError, type Clock } from '@antirio/kernel';
import { RING_ROOT_KIND, keys, type ContractRecord } from '@antirio/ledger-machine';
import { disputeEndsAt } from '@antirio/service-contract';
import type { CentralFacts } from './central-facts.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { PatientSubmit } from './patient-submit.ts';

const contracts = z.array(
  z.looseObject({
    id: z.string(),
    life: z.looseObject({ state: z.string() }),
    dispute: z.array(z.string()).optional(),
  }),
);

export interface DisputeWatch {
  readonly clock: Clock;
  readonly ledger: Pick<LedgerClient, 'range' | 'fetch'>;
  /** What the ledger refuses is not said again and again. */
  readonly submit: PatientSubmit;
  readonly facts: Pick<CentralFacts, 'termsOf' | 'setOf'>;
  readonly log: Log;
}

type Payload = Parameters<PatientSubmit>[1];

/**
 * The ruling where a provider states less than it had signed for when it opened the keys: both are its own word. A root of later says
 * nothing, for rings grow; nor does one of another life of its ring, which is one whose disk was lost.
 */
async function belowRoot(
  ledger: DisputeWatch['ledger'],
  contract: ContractRecord,
): Promise<Payload | undefined> {
  const { id, provider, openings, activation } = contract;
  if (activation === undefined || openings === 0) return undefined;
  const [opening, said] = await Promise.all([
    ledger.fetch(keys.opening(id, openings)),
    ledger.fetch(keys.statement(id, activation.epoch, 'provider')),
  ]);
  if (opening === undefined || said === undefined || opening.at > activation.at) return undefined;
  const { through, incarnation } = said.statement;
  const isSameLife = incarnation !== undefined && incarnation === opening.root.incarnation;
  if (!isSameLife || through >= opening.root.through) return undefined;
  const { root: body, rootSignature: signature } = opening;
  const root = { kind: RING_ROOT_KIND, by: provider, body, signature } as const;
  const evidence = { kind: 'statementBelowRoot', root } as const;
  return { type: 'contract/rule', contractId: id, ruling: { row: 'providerBreach', evidence } };
}

async function endOf(watch: DisputeWatch, contract: ContractRecord): Promise<Payload | undefined> {
  const { clock, ledger, facts } = watch;
  const { holder } = await facts.setOf(contract.setId);
  // the ledger ends nothing while the provider serves again
  if (holder === contract.provider) return undefined;
  const proven = await belowRoot(ledger, contract);
  if (proven !== undefined) return proven;
  const terms = await facts.termsOf(contract.id);
  const endsAt = terms === undefined ? undefined : disputeEndsAt(contract, terms);
  if (endsAt === undefined || clock.now() < endsAt) return undefined;
  return { type: 'contract/close', contractId: contract.id };
}

/** What is provable in a dispute is ruled, and what is not ends undecided in the time that the terms give it. */
export async function settleDisputes(watch: DisputeWatch): Promise<void> {
  const found = parseInput(contracts, await watch.ledger.range('contract/'));
  for (const { id, life, dispute } of found) {
    if (life.state !== 'HANDED_BACK' || dispute === undefined) continue;
    const contract = await watch.ledger.fetch(keys.contract(id));
    const payload = contract === undefined ? undefined : await endOf(watch, contract);
    if (payload === undefined) continue;
    try {
      await watch.submit(`${payload.type} ${id}`, payload);
      watch.log.warn({ contract: id, by: payload.type }, 'a dispute is over');
    } catch (error) {
      // our clock and the ledger's differ, or it knows more by now
      watch.log.debug({ contract: id, error: describeError(error) }, 'the dispute goes on');
    }
  }
}
