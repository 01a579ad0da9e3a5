import type { EdgeId } from '@antirio/kernel';
import type { CustomerPhase } from './customer-state.ts';
import type { ProviderPhase } from './provider-state.ts';
import { keepsOnly } from './relay.ts';
import type { ContractTerms } from './terms.ts';

/** A contract with its machine, as far as others of its set are concerned. */
export interface Standing {
  readonly terms: ContractTerms;
  readonly role: 'customer' | 'provider';
  phase(): CustomerPhase | ProviderPhase;
}

function rankOf(one: Standing): readonly number[] {
  const { role } = one;
  const now = one.phase();
  const epoch = 'epoch' in now ? (now.epoch ?? 0) : 0;
  const live = now.at === 'ended' ? 0 : 1;
  // A customer's lease goes on until a newer contract has an epoch; a provider's duty ends with its contract.
  // Who has given the epoch up has the last word on it.
  const gaveUp = now.at === 'yielded' ? 1 : 0;
  return role === 'customer' ? [epoch, gaveUp, live] : [live, epoch];
}

/**
 * Of several contracts of one protected set, in one role, only one has a say in the set's fence and lease; the later one (in
 * the order given) where nothing else decides.
 */
export function leads(one: Standing, all: Iterable<Standing>): boolean {
  const { terms, role } = one;
  const ours = rankOf(one);
  let later = false;
  for (const other of all) {
    if (other.terms.contractId === terms.contractId) {
      later = true;
      continue;
    }
    if (other.role !== role || other.terms.set.setId !== terms.set.setId) continue;
    const rank = rankOf(other);
    const ahead = rank.map((part, i) => part - (ours[i] ?? 0)).find((by) => by !== 0) ?? 0;
    if (ahead > 0 || (ahead === 0 && later)) return false;
  }
  return true;
}

const hasEpoch = (phase: CustomerPhase | ProviderPhase): boolean =>
  phase.at !== 'ended' && 'epoch' in phase && (phase.epoch ?? 0) > 0;

/**
 * The terms of a contract with those of its devices that its fence is for. A customer goes on holding the fence of a contract that
 * is over: not for devices that it has insured in another set since, as soon as that one has an epoch.
 */
export function fencedTerms(one: Standing, all: Iterable<Standing>): ContractTerms {
  const { terms, role } = one;
  if (role !== 'customer' || one.phase().at !== 'ended') return terms;
  const others = [...all].filter(
    (other) => other.role === role && other.terms.set.setId !== terms.set.setId && hasEpoch(other.phase()),
  );
  const moved = new Set(others.flatMap((other) => other.terms.set.devices.map(({ devEui }) => devEui)));
  const devices = terms.set.devices.filter(({ devEui }) => !moved.has(devEui));
  return devices.length === terms.set.devices.length ? terms : { ...terms, set: { ...terms.set, devices } };
}

/** The others of its set and role at this edge: what they promise binds it, and none of it promises what another breaks. */
export function siblingsOf<S extends Pick<Standing, 'terms' | 'role'>>(
  { terms, role }: Pick<Standing, 'terms' | 'role'>,
  all: Iterable<S>,
): S[] {
  return [...all].filter(
    (other) =>
      other.role === role &&
      other.terms.set.setId === terms.set.setId &&
      other.terms.contractId !== terms.contractId,
  );
}

/** Of a set's contracts the providers that may be given its epoch: none that only keeps frames. */
export function partiesIn(live: readonly ContractTerms[]): EdgeId[] {
  return live.filter((terms) => !keepsOnly(terms)).map(({ provider }) => provider);
}

function liveTerms(all: Iterable<Standing>, setId: string): ContractTerms[] {
  const live = [...all].filter(
    (one) => one.role === 'customer' && one.terms.set.setId === setId && one.phase().at !== 'ended',
  );
  return live.map(({ terms }) => terms);
}

/** The providers of a customer's set, by those of its contracts that are not over. */
export function providersOf(all: Iterable<Standing>, setId: string): EdgeId[] {
  return liveTerms(all, setId).map(({ provider }) => provider);
}

/** Of those the ones that only keep frames, under whichever contract. */
export function keepersOf(all: Iterable<Standing>, setId: string): EdgeId[] {
  const live = liveTerms(all, setId);
  const eligible = partiesIn(live);
  return live.map(({ provider }) => provider).filter((one) => !eligible.includes(one));
}
