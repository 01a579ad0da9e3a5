import { verifyDocument, type EdgeId } from '@antirio/kernel';
import { KEEPS_ONLY, isEnded, keepsOnly } from '@antirio/service-contract';
import { findContract, step, type LiveContract } from './contracts.ts';
import { isCoverageOpen } from './coverage-claims.ts';
import type { Context } from './context.ts';
import { endService, noteOpening, refuseDrilled, serveDrill } from './full-drills.ts';
import { exposeOpened } from './key-records.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { keys, type ContractRecord, type SetRecord } from './records.ts';
import { isProvidersRoot } from './ring-roots.ts';
import type { PayloadOf } from './transaction.ts';

type Refusal = Outcome & { readonly ok: false };

const OPENED_IN = ['READY', 'READY_EXPOSED', 'DEGRADED', 'ACTIVE', 'RETURNING'];

/** The central arbitrator releases its key share, against the provider's root over its ring. */
export function openContract(context: Context, tx: PayloadOf<'contract/open'>): Outcome {
  const { draft, env, by } = context;
  const found = findContract(draft, tx.contractId);
  if ('ok' in found) return found;
  const { contract, terms } = found;
  if (by !== terms.central) return refuse('forbidden', 'only the central arbitrator opens');
  if (keepsOnly(terms)) return refuse('forbidden', KEEPS_ONLY);
  if (!OPENED_IN.includes(contract.life.state))
    return refuse('conflict', `the contract is ${contract.life.state}`);
  if (!isProvidersRoot(contract, tx.root))
    return refuse('unauthenticated', "the ring root is not the provider's for this contract");
  const epoch = draft.read(keys.set(contract.setId))?.epoch ?? 0;
  const { keyVersion, evidence, root } = tx;
  const opening = {
    epoch,
    at: env.now,
    root: root.body,
    rootSignature: root.signature,
    keyVersion,
    evidence,
  };
  draft.put(keys.opening(contract.id, contract.openings + 1), opening);
  draft.put(keys.contract(contract.id), { ...contract, openings: contract.openings + 1 });
  exposeOpened(context, contract.id, keyVersion, contract.openings + 1);
  noteOpening(context, contract);
  draft.emit('contract/opened', keys.contract(contract.id), {
    contractId: contract.id,
    epoch,
    through: root.body.through,
  });
  return done({ opening: contract.openings + 1 });
}

function refuseTaker({ contract, terms }: LiveContract, taker: EdgeId): Refusal | undefined {
  if (taker === contract.customer) return undefined;
  if (taker !== contract.provider) return refuse('forbidden', 'the taker is not a party to the contract');
  return keepsOnly(terms) ? refuse('forbidden', KEEPS_ONLY) : undefined;
}

function refuseTake(
  context: Context,
  set: SetRecord | undefined,
  { contract, terms }: LiveContract,
  tx: PayloadOf<'epoch/take'>,
): Refusal | undefined {
  const { setId, epoch } = tx.request.body;
  const taker = tx.request.by;
  if (set?.id !== setId || contract.setId !== setId)
    return refuse('notFound', 'the contract is not of this set');
  // what its customer does not hold when it ends nobody else could give back
  if (isEnded(contract.life) && taker !== contract.customer)
    return refuse('gone', `the contract is ${contract.life.state}`);
  const notEligible = refuseTaker({ contract, terms }, taker);
  if (notEligible !== undefined) return notEligible;
  if (!verifyDocument(tx.request, tx.request.kind))
    return refuse('unauthenticated', 'the taker has not signed this request');
  if (set.epoch !== epoch) return refuse('conflict', `the set is at epoch ${set.epoch}, not ${epoch}`);
  return refuseLease(context, set, tx) ?? refuseDrilled(context, set, taker);
}

function refuseLease({ env }: Context, set: SetRecord, tx: PayloadOf<'epoch/take'>): Refusal | undefined {
  const { customerLeaseEndedAt, holderLeaseEndedAt } = tx;
  if (Math.max(customerLeaseEndedAt ?? 0, holderLeaseEndedAt ?? 0) > env.now)
    return refuse('conflict', 'that lease has not ended');
  if (set.released?.epoch === set.epoch) return undefined;
  const ended = set.holder === set.customer ? customerLeaseEndedAt : holderLeaseEndedAt;
  return ended === null
    ? refuse('conflict', 'the holder has neither released its epoch nor has its lease ended')
    : undefined;
}

/**
 * The provider that served died, and the next one serves on for a customer that had let go and has not been back since. What
 * was released was released for the customer: whoever takes that in between is owed nothing.
 */
function isOwedBefore({ draft }: Context, set: SetRecord): boolean {
  if (set.released?.epoch === set.epoch) return false;
  const before = set.contracts.map((id) => draft.read(keys.activation(id, set.epoch)));
  // who followed the word of a drill took what its customer could not take back any more
  return before.some((one) => one !== undefined && (one.owed || one.drill !== undefined));
}

/** A takeover of before that was owed and has not been counted yet is so under the new epoch as well. */
function isStillOwed({ activation, served }: ContractRecord): boolean {
  return activation?.owed === true && activation.epoch !== served?.epoch;
}

/** Handed back and not paid yet, for a claim may be made: the customer may fail once more meanwhile, and is served as before. */
function serveable(contract: ContractRecord): ContractRecord {
  const { life } = contract;
  if (life.state !== 'HANDED_BACK' || !isCoverageOpen(contract)) return contract;
  return { ...contract, life: { state: 'RETURNING', epoch: life.epoch } };
}

/** The provider serves; P becomes owed where the customer had let go, by release or by the end of its lease. */
function activate(
  context: Context,
  { contract, terms }: LiveContract,
  set: SetRecord,
  tx: PayloadOf<'epoch/take'>,
): Outcome | undefined {
  const { draft, env } = context;
  const epoch = set.epoch + 1;
  const drilled = serveDrill(context, { contract, terms }, set);
  const current = draft.read(keys.contract(contract.id)) ?? contract;
  const active = step(context, serveable(current), { step: 'activate', epoch, holder: tx.request.by });
  if ('ok' in active) return active;
  const letGo = set.holder === set.customer || tx.customerLeaseEndedAt !== null;
  const owed = isStillOwed(contract) || (drilled === undefined && (letGo || isOwedBefore(context, set)));
  const activation = { epoch, at: env.now, customerLeaseEndedAt: tx.customerLeaseEndedAt, owed, ...drilled };
  const { dispute: _old, disputedAt: _then, ...rest } = active;
  draft.put(keys.contract(contract.id), { ...rest, activation });
  draft.put(keys.activation(contract.id, epoch), activation);
  return undefined;
}

/** Whoever acted under the old epoch does so no more: its contract is on the way back. */
function endOldEpoch(context: Context, set: SetRecord, taker: EdgeId): void {
  for (const id of set.contracts) {
    const found = findContract(context.draft, id);
    if ('ok' in found) continue;
    if (taker !== found.contract.provider) endService(context, found, taker);
    const contract = context.draft.read(keys.contract(id));
    if (contract?.life.state === 'ACTIVE')
      step(context, contract, { step: 'release', epoch: contract.life.epoch });
  }
}

/** Compare-and-set on the set's epoch: of several takers one wins. */
export function takeEpoch(context: Context, tx: PayloadOf<'epoch/take'>): Outcome {
  const { draft, env, by, genesis } = context;
  if (by !== genesis.arbitrator) return refuse('forbidden', 'only the central arbitrator gives epochs');
  const found = findContract(draft, tx.request.body.contractId);
  if ('ok' in found) return found;
  const set = draft.read(keys.set(tx.request.body.setId));
  const refusal = refuseTake(context, set, found, tx);
  if (refusal !== undefined || set === undefined)
    return refusal ?? refuse('notFound', 'there is no such set');
  const taker = tx.request.by;
  endOldEpoch(context, set, taker);
  const contract = draft.read(keys.contract(found.contract.id)) ?? found.contract;
  const failed = taker === set.customer ? undefined : activate(context, { ...found, contract }, set, tx);
  if (failed !== undefined) return failed;
  const { released: _old, ...rest } = set;
  draft.put(keys.set(set.id), { ...rest, epoch: set.epoch + 1, holder: taker, takenAt: env.now });
  draft.emit('epoch/taken', keys.set(set.id), { setId: set.id, epoch: set.epoch + 1, holder: taker });
  return done({ epoch: set.epoch + 1 });
}

function activeContract(context: Context, set: SetRecord, holder: EdgeId): LiveContract | undefined {
  for (const id of set.contracts) {
    const found = findContract(context.draft, id);
    if (!('ok' in found) && found.contract.life.state === 'ACTIVE' && found.contract.life.holder === holder)
      return found;
  }
  return undefined;
}

function giveBack(context: Context, active: LiveContract, epoch: number) {
  endService(context, active, active.contract.provider);
  return step(context, active.contract, { step: 'release', epoch });
}

function released(
  { lastRelease: _before, ...set }: SetRecord,
  tx: PayloadOf<'epoch/release'>,
  at: number,
): SetRecord {
  const { epoch, bootId } = tx;
  return {
    ...set,
    released: { epoch, at },
    ...(bootId === undefined ? {} : { lastRelease: { epoch, bootId } }),
  };
}

/** The holder gives its epoch up, with the counters that nobody may use again. */
export function releaseEpoch(context: Context, tx: PayloadOf<'epoch/release'>): Outcome {
  const { draft, env, by } = context;
  const set = draft.read(keys.set(tx.setId));
  if (set === undefined) return refuse('notFound', 'there is no such set');
  if (set.holder !== by) return refuse('forbidden', 'only the holder releases its epoch');
  if (set.epoch !== tx.epoch) return refuse('conflict', `the set is at epoch ${set.epoch}, not ${tx.epoch}`);
  if (set.released !== undefined) return refuse('conflict', 'the epoch is released already');
  if (by === set.customer && set.contracts.length === 0)
    return refuse('gone', 'no contract of the set is alive: nobody could take the epoch');
  const active = activeContract(context, set, by);
  const returning = active === undefined ? undefined : giveBack(context, active, tx.epoch);
  if (returning !== undefined && 'ok' in returning) return returning;
  draft.put(keys.release(set.id, tx.epoch), { counters: tx.counters, by });
  draft.put(keys.set(set.id), released(set, tx, env.now));
  draft.emit('epoch/released', keys.set(set.id), { setId: set.id, epoch: tx.epoch, holder: by });
  return done();
}
