import { repeat, type Log, type Repeating } from '@antirio/host';
import type { Clock } from '@antirio/kernel';
import { RENT_DOUBT_EVERY_MS, keys, type ContractRecord } from '@antirio/ledger-machine';
import type { ContractTerms } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import type { LedgerClient } from './ledger-client.ts';

/** A customer that has not heard its provider for so long asks on the ledger whether it is there, as the alarm says that none is. */
const SILENT_MS = 60_000;
/** Well within what the ledger leaves a provider for its answer. */
const LOOK_EVERY_MS = 20_000;

export interface RentWatchParts {
  readonly terms: Pick<ContractTerms, 'contractId' | 'rent'>;
  readonly role: 'customer' | 'provider';
  readonly clock: Clock;
  readonly store: Pick<ContractStore, 'note'>;
  readonly ledger: Pick<LedgerClient, 'fetch' | 'submit' | 'time'>;
  readonly log: Log;
  /** Of a customer: for how long its provider was not heard. */
  readonly providerSilentMs?: (() => number) | undefined;
  readonly phase: () => { readonly at: string };
}

function mayDoubt({ life, rent }: ContractRecord, now: number): boolean {
  const stands = life.state === 'READY' || life.state === 'READY_EXPOSED';
  return stands && now >= (rent?.doubt?.at ?? -Infinity) + RENT_DOUBT_EVERY_MS;
}

/** What is to be said now, and how that is noted. */
async function whatToSay(
  { role, ledger }: RentWatchParts,
  contract: ContractRecord,
): Promise<readonly ['rent/doubt' | 'rent/answer', string] | undefined> {
  const isOpen = contract.rent?.doubt?.isOpen === true;
  if (role === 'provider') return isOpen ? ['rent/answer', 'rentDoubtAnswered'] : undefined;
  return !isOpen && mayDoubt(contract, await ledger.time()) ? ['rent/doubt', 'rentDoubted'] : undefined;
}

/** What a party of a contract with rent does about it: who hears nothing of its provider doubts, and who is doubted answers. */
export async function watchRent(parts: RentWatchParts): Promise<void> {
  const { terms, role, clock, store, ledger, log, providerSilentMs = () => 0, phase } = parts;
  const { contractId } = terms;
  const hears = role === 'customer' && providerSilentMs() <= SILENT_MS;
  if (hears || phase().at === 'ended') return;
  const contract = await ledger.fetch(keys.contract(contractId));
  const said = contract && (await whatToSay(parts, contract));
  if (said === undefined) return;
  const [type, milestone] = said;
  const detail = { ...(await ledger.submit({ type, contractId })) };
  store.note(contractId, { at: clock.now(), monotonic: clock.monotonic(), milestone, detail });
  log.warn({ contract: contractId }, milestone);
}

/** Looks now and then; nothing where the terms have no rent. */
export function startRentWatch(parts: RentWatchParts): Pick<Repeating, 'stop'> {
  if (parts.terms.rent === undefined) return { stop: async () => undefined };
  return repeat('rent', LOOK_EVERY_MS, parts.log, () => watchRent(parts));
}
