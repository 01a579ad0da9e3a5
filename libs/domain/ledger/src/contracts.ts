import { canonicalBytes, sha256Hex, verifyDocument, type EdgeId, type Signed } from '@antirio/kernel';
import {
  TERMS_KIND,
  advance,
  keepsOnly,
  prepaidRent,
  readTerms,
  relayProblem,
  termsHash,
  type ContractTerms,
  type LifeStep,
} from '@antirio/service-contract';
import { balanceOf, credit } from './accounts.ts';
import type { Context } from './context.ts';
import type { Draft } from './draft.ts';
import { recover } from './degraded.ts';
import { endsFrom, isPending } from './expiry.ts';
import { refuseUnanswered } from './downlink-drills.ts';
import { refuseDrills, refuseUndrilled } from './drills.ts';
import { exposeAtEnd, readyWith, refuseEscrow } from './key-records.ts';
import { takeMatch } from './orders.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { keys, type ContractRecord, type SetRecord, type TermsRecord } from './records.ts';
import { settle } from './payout.ts';
import { countRent, rentEscrow } from './rent.ts';
import type { PayloadOf } from './transaction.ts';

type Refusal = Outcome & { readonly ok: false };

export interface LiveContract {
  readonly contract: ContractRecord;
  readonly terms: ContractTerms;
}

export function findContract(draft: Draft, id: string): LiveContract | Refusal {
  const contract = draft.read(keys.contract(id));
  const terms = draft.read(keys.terms(id))?.terms;
  return contract === undefined || terms === undefined
    ? refuse('notFound', 'there is no such contract')
    : { contract, terms: readTerms(terms) };
}

/** Takes the step and records it, or says why it may not be taken. */
export function step(context: Context, contract: ContractRecord, next: LifeStep): ContractRecord | Refusal {
  const life = advance(contract.life, next);
  if (!life.ok) return refuse('conflict', life.error);
  const changed = countRent(context, contract, { ...contract, life: life.value });
  context.draft.put(keys.contract(contract.id), changed);
  context.draft.emit(`contract/${life.value.state}`, keys.contract(contract.id), {
    contractId: contract.id,
    life: life.value,
  });
  return changed;
}

function hasSigned(terms: ContractTerms, by: EdgeId, signature: string): boolean {
  const document: Signed<ContractTerms> = { kind: TERMS_KIND, by, body: terms, signature };
  return verifyDocument(document, TERMS_KIND);
}

const devicesHashOf = (terms: ContractTerms): string => sha256Hex(canonicalBytes(terms.set.devices));

/** Where the provider only keeps frames, terms say nothing of taking over; of before they may say anything. */
function refuseRelay(terms: ContractTerms): Refusal | undefined {
  const problem = keepsOnly(terms) ? relayProblem(terms) : undefined;
  return problem === undefined ? undefined : refuse('invalidInput', problem);
}

/** Terms that nobody could keep, or that say what cannot be. */
const refuseUseless = (terms: ContractTerms): Refusal | undefined =>
  refuseEscrow(terms) ?? refuseDrills(terms) ?? refuseRelay(terms);

function refuseTerms(
  { draft, env, by, genesis }: Context,
  tx: PayloadOf<'contract/validate'>,
): Refusal | undefined {
  const { terms, signatures } = tx;
  if (terms.central !== genesis.arbitrator)
    return refuse('forbidden', 'the contract names another central arbitrator');
  if (by !== genesis.arbitrator) return refuse('forbidden', 'only the central arbitrator validates');
  if (terms.customer === terms.provider) return refuse('invalidInput', 'customer and provider are one edge');
  if (!hasSigned(terms, terms.customer, signatures.customer))
    return refuse('unauthenticated', 'the customer has not signed these terms');
  if (!hasSigned(terms, terms.provider, signatures.provider))
    return refuse('unauthenticated', 'the provider has not signed these terms');
  const useless = refuseUseless(readTerms(terms));
  if (useless !== undefined) return useless;
  if (terms.expiresAt <= env.now) return refuse('gone', 'the contract has expired');
  if (draft.read(keys.contract(terms.contractId)) !== undefined)
    return refuse('conflict', 'there is such a contract already');
  return refuseStakes(draft, terms, env.now);
}

function refuseStakes(draft: Draft, terms: ContractTerms, now: number): Refusal | undefined {
  const { customer, provider, stakes } = terms;
  const prepaid = prepaidRent(terms, now);
  if (prepaid === undefined)
    return refuse('invalidInput', 'the rent until the end of the contract is more than can be in escrow');
  const balance = balanceOf(draft, customer);
  if (balance < stakes.customer) return refuse('conflict', 'the customer cannot pay its stake');
  if (balance < stakes.customer + prepaid)
    return refuse('conflict', `the customer cannot pay its stake and ${prepaid} of rent in advance`);
  if (balanceOf(draft, provider) < stakes.provider)
    return refuse('conflict', 'the provider cannot pay its stake');
  return undefined;
}

function refuseDevices(draft: Draft, terms: ContractTerms): Refusal | undefined {
  const seen = new Set<string>();
  for (const { devEui } of terms.set.devices) {
    if (seen.has(devEui)) return refuse('invalidInput', `device ${devEui} is named twice`);
    seen.add(devEui);
    const other = draft.read(keys.device(devEui))?.setId;
    if (other !== undefined && other !== terms.set.setId)
      return refuse('conflict', `device ${devEui} is in the live set ${other}`);
  }
  return undefined;
}

/** A slot belongs to one party for good, and a party keeps its slot. */
function refuseSlots(
  known: Readonly<Record<string, number>>,
  { customer, provider, slots }: ContractTerms,
): Refusal | undefined {
  if (slots.customer === slots.provider) return refuse('invalidInput', 'two parties cannot share a slot');
  const wanted = [[customer, slots.customer] as const, [provider, slots.provider] as const];
  for (const [edge, slot] of wanted) {
    if (known[edge] !== undefined && known[edge] !== slot)
      return refuse('conflict', `a party's slot is fixed: ${known[edge]}`);
    if (Object.entries(known).some(([other, taken]) => taken === slot && other !== edge))
      return refuse('conflict', `slot ${slot} is another party's`);
  }
  return undefined;
}

/** The grantor counts one lease for a set, whoever holds its epoch. */
function refuseLeaseMs(draft: Draft, known: SetRecord, { leaseMs }: ContractTerms): Refusal | undefined {
  const other = known.contracts
    .map((id) => draft.read(keys.terms(id))?.terms.leaseMs)
    .find((one) => one !== leaseMs);
  return other === undefined
    ? undefined
    : refuse('conflict', `the set's live contracts have leases of ${other} ms`);
}

function refuseSet(draft: Draft, known: SetRecord | undefined, terms: ContractTerms): Refusal | undefined {
  if (known === undefined) return refuseSlots({}, terms);
  if (known.customer !== terms.customer) return refuse('conflict', 'the set is of another customer');
  if (known.contracts.length > 0 && known.devicesHash !== devicesHashOf(terms))
    return refuse('conflict', 'the set is live with other devices');
  return refuseLeaseMs(draft, known, terms) ?? refuseSlots(known.slots, terms);
}

/** A new set begins at epoch 1, held by the customer; one that lives again goes on from its last epoch. */
function beginSet(
  { env }: Context,
  known: SetRecord | undefined,
  { set, customer }: ContractTerms,
): SetRecord {
  const { epoch, slots } = known ?? { epoch: 0, slots: {} };
  const id = set.setId;
  return {
    id,
    customer,
    epoch: epoch + 1,
    holder: customer,
    takenAt: env.now,
    slots,
    contracts: [],
    devicesHash: '',
  };
}

function joinSet(context: Context, known: SetRecord | undefined, terms: ContractTerms): SetRecord {
  const { draft } = context;
  const { customer, provider, slots, set, contractId } = terms;
  const live = known !== undefined && known.contracts.length > 0 ? known : undefined;
  const base = live ?? beginSet(context, known, terms);
  const joined: SetRecord = {
    ...base,
    slots: { ...base.slots, [customer]: slots.customer, [provider]: slots.provider },
    contracts: [...base.contracts, contractId],
    devicesHash: devicesHashOf(terms),
  };
  draft.put(keys.set(set.setId), joined);
  if (live === undefined)
    for (const { devEui } of set.devices) draft.put(keys.device(devEui), { setId: set.setId });
  return joined;
}

export function validateContract(context: Context, tx: PayloadOf<'contract/validate'>): Outcome {
  const { draft, env } = context;
  const { terms, signatures } = tx;
  const { contractId, customer, provider, stakes } = terms;
  const known = draft.read(keys.set(terms.set.setId));
  const refusal = refuseTerms(context, tx) ?? refuseSet(draft, known, terms) ?? refuseDevices(draft, terms);
  if (refusal !== undefined) return refusal;
  if (terms.matchId !== undefined) {
    const taken = takeMatch(context, terms.matchId, customer, provider);
    if (!taken.ok) return taken;
  }
  const prepaid = rentEscrow(terms, env.now);
  credit(draft, customer, -stakes.customer - (prepaid.rent ?? 0));
  credit(draft, provider, -stakes.provider);
  const set = joinSet(context, known, terms);
  draft.put(keys.terms(contractId), { terms, signatures } satisfies TermsRecord);
  draft.put(keys.contract(contractId), {
    id: contractId,
    termsHash: termsHash(terms),
    customer,
    provider,
    setId: set.id,
    life: { state: 'VALIDATED' },
    escrow: { ...stakes, ...prepaid },
    validatedAt: env.now,
    openings: 0,
    ...(terms.rent === undefined ? {} : { rent: { stood: [] } }),
  });
  draft.emit('contract/VALIDATED', keys.contract(contractId), {
    contractId,
    customer,
    provider,
    setId: set.id,
  });
  return done({ contractId, epoch: set.epoch });
}

export function contractReady(context: Context, tx: PayloadOf<'contract/ready'>): Outcome {
  const found = findContract(context.draft, tx.contractId);
  if ('ok' in found) return found;
  const { contract, terms } = found;
  if (contract.provider !== context.by) return refuse('forbidden', 'only the provider says that it is ready');
  if (terms.expiresAt <= context.env.now) return refuse('gone', 'the contract has expired');
  if (tx.imageCid !== terms.image.imageCid || tx.configCid !== terms.image.configCid)
    return refuse('conflict', 'image or configuration is not the one of the contract');
  const undrilled = refuseUndrilled(found) ?? refuseUnanswered(found);
  if (undrilled !== undefined) return undrilled;
  if (contract.life.state === 'DEGRADED') return recover(context, found);
  const ready = step(context, contract, { step: 'ready' });
  if ('ok' in ready) return ready;
  context.draft.put(keys.contract(contract.id), { ...ready, readyAt: context.env.now });
  readyWith(context, found, tx.keyVersion);
  return done();
}

function isParty({ customer, provider }: ContractRecord, edge: EdgeId): boolean {
  return edge === customer || edge === provider;
}

export function cancelContract(context: Context, tx: PayloadOf<'contract/cancel'>): Outcome {
  const found = findContract(context.draft, tx.contractId);
  if ('ok' in found) return found;
  const { contract } = found;
  const { by } = context;
  if (!isParty(contract, by)) return refuse('forbidden', 'the contract is of others');
  const other = by === contract.customer ? contract.provider : contract.customer;
  const consent = tx.consent;
  const agreed =
    consent?.by === other && consent.body.contractId === contract.id && verifyDocument(consent, consent.kind);
  if (contract.life.state !== 'VALIDATED' && !agreed)
    return refuse('forbidden', "once READY, a contract is cancelled with the other party's signature only");
  const cancelled = step(context, contract, { step: 'cancel' });
  exposeAtEnd(context, contract, 'CANCELLED');
  return 'ok' in cancelled ? cancelled : settle(context, cancelled, 'cancelled', `cancelled by ${by}`);
}

function refuseExpiry({ by, env }: Context, { contract, terms }: LiveContract): Refusal | undefined {
  const byCentral = by === terms.central;
  if (!byCentral && !isParty(contract, by)) return refuse('forbidden', 'the contract is of others');
  if (env.now < (byCentral ? terms.expiresAt : endsFrom(terms)))
    return refuse('conflict', 'the contract has not expired');
  const isClaimed = contract.coverage?.claimedAt !== undefined;
  return isClaimed || (contract.life.state === 'HANDED_BACK' && isPending(contract))
    ? refuse('conflict', 'what was served is to be settled first')
    : undefined;
}

export function expireContract(context: Context, tx: PayloadOf<'contract/expire'>): Outcome {
  const found = findContract(context.draft, tx.contractId);
  if ('ok' in found) return found;
  const { contract } = found;
  const refusal = refuseExpiry(context, found);
  if (refusal !== undefined) return refusal;
  const expired = step(context, contract, { step: 'expire' });
  exposeAtEnd(context, contract, 'EXPIRED');
  if ('ok' in expired) return expired;
  return contract.served === undefined
    ? settle(context, expired, 'expired', 'ended without activation')
    : settle(context, expired, 'honoured', `ended after ${contract.served.takeovers} takeovers`);
}
