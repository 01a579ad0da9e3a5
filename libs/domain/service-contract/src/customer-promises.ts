import type { EdgeId } from '@antirio/kernel';
import type { CustomerState, Step } from './customer-state.ts';
import { standsBy } from './customer-state.ts';
import { letsGo } from './letting-go.ts';
import type { ContractRecord, Datagram, LeaseRequest } from './messages.ts';
import { actUnder, renew, type Context } from './party.ts';
import {
  actFrom,
  allHoldStill,
  answerPromise,
  answersFor,
  freed,
  heardOfEpoch,
  mustWait,
  type PromiseFacts,
  type Sibling,
} from './promiser.ts';
import { blocksNews, isAboutBlocks, type AboutBlocks } from './blocks-news.ts';
import type { KeeperFacts } from './mark-keeper.ts';
import { isOverstayed } from './max-active.ts';
import { othersNews, unionOf } from './promises.ts';
import type { Holder } from './reserving-state.ts';
import { askOfBlocks } from './reserving.ts';

/** The customer and the promises of its set: those that it acts by, and those that it makes while a provider serves. */

/** All other parties of the set, those that only keep frames too. A contract that is over leaves nobody to ask. */
function allOthers({ terms, phase, record }: CustomerState, context: Context): EdgeId[] {
  if (phase.at === 'ended') return [];
  return unionOf(terms.customer, [terms.provider], context.providers?.(), record?.parties);
}

/**
 * Who else could be given the set's next epoch. Where nobody could, those that only keep frames are asked all the same: they never act,
 * and say of whom they know who might, as our disk may be an old one.
 */
function othersOf(state: CustomerState, context: Context): EdgeId[] {
  const all = allOthers(state, context);
  const keepers = context.keepers?.() ?? [];
  const eligible = keepers.length === 0 ? all : all.filter((one) => !keepers.includes(one));
  return eligible.length > 0 ? eligible : all;
}

/** Who may know of blocks that our disk has forgotten; one that knows of the contract's end has forgotten none of it. */
function knowersOf(state: CustomerState, context: Context): EdgeId[] {
  const before = state.endedBefore ? [] : [state.terms.provider];
  return state.phase.at === 'ended' ? before : allOthers(state, context);
}

export function holderOf(state: CustomerState, context: Context): Holder | undefined {
  const { customer, slots, set } = state.terms;
  const { blocks: book, now } = context;
  const others = (): readonly EdgeId[] => othersOf(state, context);
  const knowers = (): readonly EdgeId[] => knowersOf(state, context);
  const about = { self: customer, customer, slot: slots.customer, setId: set.setId };
  const keeps = state.observed.storeOk !== false;
  return book === undefined ? undefined : { ...about, others, knowers, book, keeps, now };
}

export function renewLease(state: CustomerState, context: Context): Step {
  if (standsBy(state) || letsGo(state, context.now)) return [state, []];
  const others = (): readonly EdgeId[] => othersOf(state, context);
  const holder = holderOf(state, context);
  const [acting, effects] = renew(state.acting, state.terms, others, context.now, holder);
  return [acting === state.acting ? state : { ...state, acting }, effects];
}

export function askWhatIsOurs(state: CustomerState, context: Context): Step {
  if (context.now < state.acting.reserving.asksAt) return [state, []];
  const holder = holderOf(state, context);
  if (holder === undefined) return [state, []];
  const [acting, effects] = askOfBlocks(state.acting, holder);
  return [{ ...state, acting }, effects];
}

function onBlocks(state: CustomerState, from: EdgeId, datagram: AboutBlocks, context: Context): Step {
  const { terms } = state;
  const holder = holderOf(state, context);
  if (holder === undefined) return [state, []];
  const siblings = context.siblings?.() ?? [];
  const isParty = from === terms.provider && answersFor(terms, from, siblings);
  const facts = (epoch: number): KeeperFacts => ({
    ...{ book: holder.book, isParty },
    holds: standsBy(state) && holds(state, from, epoch, context.now),
    mayOwn: (slot) => slot === terms.slots.provider,
  });
  // those of another contract of ours are for its machine
  const isOthers = !isParty && holder.knowers().includes(from);
  return blocksNews(state, from, datagram, holder, isOthers ? undefined : facts);
}

/** As the other machines of its edge see it. */
export function customerSibling(state: CustomerState): Sibling {
  const { terms, promiser, acting } = state;
  const { contractId, provider } = terms;
  return { contractId, other: provider, isSilent: !standsBy(state), promiser, acted: acting.lease.epoch };
}

/** A datagram of another party about promises; undefined where it is about something else. */
export function onPromiseDatagram(
  state: CustomerState,
  from: EdgeId,
  datagram: Datagram,
  context: Context,
): Step | undefined {
  const { setId } = state.terms.set;
  if (isAboutBlocks(datagram)) return onBlocks(state, from, datagram, context);
  if (datagram.kind === 'leaseRequest')
    return datagram.body.setId === setId ? onPromiseAsked(state, from, datagram.body, context) : undefined;
  const others = (): readonly EdgeId[] => othersOf(state, context);
  const acting = othersNews(state.acting, setId, from, others, datagram);
  return acting === undefined ? undefined : [{ ...state, acting }, []];
}

/**
 * Whether a provider serves under this epoch, as far as we know, and we stand by; none does that has served for `maxActiveS`. Before the
 * ledger has told us anything since our start we know nothing: our disk may be an old one, which has forgotten that we took the next.
 */
function holds(state: CustomerState, from: EdgeId, epoch: number, now: number): boolean {
  const { phase, record, promiser } = state;
  if (promiser.newest === 0 || phase.at === 'yielded' || isOverstayed(state, now)) return false;
  if (record === undefined || record.epoch < epoch) return serves(state, from, epoch);
  return record.epoch === epoch && record.holder === from && !record.released;
}

function serves({ phase, terms, elsewhere }: CustomerState, from: EdgeId, epoch: number): boolean {
  const isOurs = from === terms.provider && elsewhere === undefined;
  return isOurs && phase.at === 'recovering' && phase.epoch === epoch;
}

/** A machine of that provider's contract answers; all others of this edge keep what it promises. */
function mayAnswer(
  state: CustomerState,
  from: EdgeId,
  epoch: number,
  siblings: readonly Sibling[],
  now: number,
): boolean {
  const { terms } = state;
  const isAsked = from === terms.provider && answersFor(terms, from, siblings);
  return isAsked && standsBy(state) && holds(state, from, epoch, now);
}

function onPromiseAsked(state: CustomerState, from: EdgeId, request: LeaseRequest, context: Context): Step {
  const { terms, promiser, record } = state;
  const { leaseMs, customer } = terms;
  const siblings = context.siblings?.() ?? [];
  if (!mayAnswer(state, from, request.epoch, siblings, context.now)) return [state, []];
  const still = allHoldStill(siblings, request.epoch);
  const facts: PromiseFacts = {
    ...{ leaseMs, holds: still, heard: record?.challenge ?? '', proven: true },
    parties: unionOf(from, [customer], context.providers?.(), record?.parties),
  };
  const [next, answer] = answerPromise(promiser, from, request, facts, context.now);
  const known = { ...state, promiser: next, providerHeardAt: context.now };
  if (answer.kind === 'silence') return [known, []];
  const kind = answer.kind === 'stale' ? 'leaseRefused' : 'leaseGrant';
  return [known, [{ type: 'send', to: from, datagram: { kind, body: answer.body } as Datagram }]];
}

/**
 * What the ledger or the grantor says of an epoch, as far as our own promise lets us hear it: one that is ours is not assumed while
 * somebody else may act by that. Undefined where it is to be heard.
 */
export function notYet(
  state: CustomerState,
  { epoch, holder, released = false }: Partial<ContractRecord> & { readonly epoch: number },
  { now, siblings }: Context,
): CustomerState | undefined {
  const { promiser, terms, acting } = state;
  const ours = (holder ?? terms.customer) === terms.customer && epoch > acting.lease.epoch;
  if (!ours || released || !mustWait(promiser, siblings?.() ?? [], epoch, now)) return undefined;
  return { ...state, promiser: heardOfEpoch(promiser, epoch) };
}

/** Who has released its epoch frees us of what we promised it, and nothing is promised under one before the newest. */
export function freedBy(
  state: CustomerState,
  { epoch, lastRelease }: ContractRecord,
  now: number,
): CustomerState {
  return { ...state, promiser: heardOfEpoch(freed(state.promiser, lastRelease, now), epoch) };
}

/** The epoch is ours: we act under it once everything that was sent under another one is off the air. */
export function assume(
  state: CustomerState,
  epoch: number,
  quietMs: number,
  { now, siblings }: Context,
): CustomerState {
  const from = actFrom(state.promiser, siblings?.() ?? [], { epoch, quietMs }, now);
  return { ...state, acting: actUnder(state.acting, epoch, from), elsewhere: undefined };
}
