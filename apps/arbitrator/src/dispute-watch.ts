import { z } from 'zod';
import { parseInput, type Log } from '@antirio/host';
import { describeError, type Clock } from '@antirio/kernel';
import {
  RING_ROOT_KIND,
  SILENCE_MS,
  endsFrom,
  keys,
  mayExpire,
  type ContractRecord,
  type OpeningRecord,
  type StatementRecord,
} from '@antirio/ledger-machine';
import { activeUntil, disputeEndsAt, followsNewRules, isOver } from '@antirio/service-contract';
import type { CentralFacts } from './central-facts.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { PatientSubmit } from './patient-submit.ts';

const contracts = z.array(
  z.looseObject({
    id: z.string(),
    life: z.looseObject({ state: z.string() }),
    dispute: z.array(z.string()).optional(),
    activation: z.looseObject({ at: z.number() }).optional(),
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
 * Whether a provider states less than it had signed for when it opened the keys: both are its own word. A root of later says nothing, for
 * rings grow; nor does one of another life of its ring, which is one whose disk was lost.
 */
export function isBelowRoot(
  { activation }: Pick<ContractRecord, 'activation'>,
  opening: Pick<OpeningRecord, 'at' | 'root'> | undefined,
  said: Pick<StatementRecord, 'statement'> | undefined,
): boolean {
  if (activation === undefined || opening === undefined || said === undefined) return false;
  const { through, incarnation } = said.statement;
  if (opening.at > activation.at) return false;
  const isSameLife = incarnation !== undefined && incarnation === opening.root.incarnation;
  return isSameLife && through < opening.root.through;
}

/** The ruling where it does, of its newest opening and epoch; undefined where it does not. */
export async function belowRoot(
  ledger: Pick<LedgerClient, 'fetch'>,
  contract: ContractRecord,
): Promise<Payload | undefined> {
  const { id, provider, openings, activation } = contract;
  if (activation === undefined || openings === 0) return undefined;
  const [opening, said] = await Promise.all([
    ledger.fetch(keys.opening(id, openings)),
    ledger.fetch(keys.statement(id, activation.epoch, 'provider')),
  ]);
  if (opening === undefined || !isBelowRoot(contract, opening, said)) return undefined;
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

const SERVED_IN: ReadonlySet<string> = new Set(['ACTIVE', 'RETURNING']);

type Found = z.output<typeof contracts>[number];

/** Both were to speak once the provider could serve no longer: after the time for that nobody waits for either. */
async function endUnstated(
  { clock, facts }: DisputeWatch,
  { id, activation }: Found,
): Promise<Payload | undefined> {
  if (activation === undefined) return undefined;
  const terms = await facts.termsOf(id);
  if (terms === undefined || !followsNewRules(terms)) return undefined;
  const isOver = clock.now() >= activeUntil(activation, terms) + SILENCE_MS;
  return isOver ? { type: 'contract/close', contractId: id } : undefined;
}

/** Its time is over and nobody serves: both stakes, and what is earned of the rent, are paid out. */
async function endExpired(
  { clock, ledger, facts }: DisputeWatch,
  { id }: Found,
): Promise<Payload | undefined> {
  const terms = await facts.termsOf(id);
  if (terms === undefined || !(clock.now() >= endsFrom(terms))) return undefined;
  const contract = await ledger.fetch(keys.contract(id));
  return contract !== undefined && mayExpire(contract)
    ? { type: 'contract/expire', contractId: id }
    : undefined;
}

async function endOfFound(watch: DisputeWatch, found: Found): Promise<Payload | undefined> {
  const { state } = found.life;
  if (isOver(found.life)) return undefined;
  if (SERVED_IN.has(state)) return endUnstated(watch, found);
  if (state !== 'HANDED_BACK' || found.dispute === undefined) return endExpired(watch, found);
  const contract = await watch.ledger.fetch(keys.contract(found.id));
  return contract === undefined ? undefined : endOf(watch, contract);
}

/** What is provable in a dispute is ruled, and what is not ends undecided in the time that the terms give it; so does what nobody states. A contract whose time is over ends. */
export async function settleDisputes(watch: DisputeWatch): Promise<void> {
  for (const found of parseInput(contracts, await watch.ledger.range('contract/'))) {
    const { id } = found;
    const payload = await endOfFound(watch, found);
    if (payload === undefined) continue;
    try {
      await watch.submit(`${payload.type} ${id}`, payload);
      if (payload.type === 'contract/expire') watch.log.info({ contract: id }, 'a contract has expired');
      else
        watch.log.warn({ contract: id, by: payload.type }, 'a contract that could not end by itself is over');
    } catch (error) {
      // our clock and the ledger's differ, or it knows more by now
      watch.log.debug({ contract: id, error: describeError(error) }, 'the ledger does not end it yet');
    }
  }
}
