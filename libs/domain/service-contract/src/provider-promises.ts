import type { EdgeId } from '@antirio/kernel';
import { ACTS_KIND, isActsWordOf, type ActsWord } from './acts-word.ts';
import type { ContractRecord, Datagram, LeaseRequest } from './messages.ts';
import { renew, type Context } from './party.ts';
import {
  allHoldStill,
  answerPromise,
  answersFor,
  freed,
  heardOfEpoch,
  type PromiseFacts,
  type Sibling,
} from './promiser.ts';
import { blocksNews, isAboutBlocks, type AboutBlocks } from './blocks-news.ts';
import { othersNews, unionOf } from './promises.ts';
import type { Holder } from './reserving-state.ts';
import { askOfBlocks } from './reserving.ts';
import type { ProviderPhase, ProviderState, Step } from './provider-state.ts';
import { call } from './step.ts';

/** The provider and the promises of its set: those that it makes, and those that it acts by while it serves. */

/** What a provider keeps of the customer's words, to show that it was asked to hold still. */
export interface Shown {
  /** The grantor's challenges that we told the customer, the newest first. */
  readonly heard: readonly string[];
  /** The newest word that repeats one of them. */
  readonly word: ActsWord | undefined;
  /** The signature of the word that the grantor was shown last. */
  readonly shown: string;
}

export const nothingShown: Shown = { heard: [], word: undefined, shown: '' };

const HEARD_KEPT = 2;
/** For so long after a promise the grantor is asked more often how things stand, and told. */
const PROMISES_MS = 10_000;

export const promisesNow = ({ promiser }: ProviderState, now: number): boolean =>
  now - promiser.promisedAt < PROMISES_MS;

function othersOf({ terms, record }: ProviderState): EdgeId[] {
  return unionOf(terms.provider, [terms.customer], record?.parties);
}

export function holderOf(state: ProviderState, { blocks: book, now }: Context): Holder | undefined {
  const { customer, provider, slots, set } = state.terms;
  const about = { self: provider, customer, slot: slots.provider, setId: set.setId };
  const others = (): readonly EdgeId[] => othersOf(state);
  const keeps = state.observed.storeOk !== false;
  return book === undefined ? undefined : { ...about, others, knowers: others, book, keeps, now };
}

export function renewLease(state: ProviderState, context: Context): Step {
  const others = (): readonly EdgeId[] => othersOf(state);
  const [acting, effects] = renew(state.acting, state.terms, others, context.now, holderOf(state, context));
  return [acting === state.acting ? state : { ...state, acting }, effects];
}

/** While the customer lives: once it is dead it says nothing. */
export function askWhatIsOurs(state: ProviderState, context: Context): Step {
  const isIdle = state.phase.at === 'ended' || context.now < state.acting.reserving.asksAt;
  const holder = isIdle ? undefined : holderOf(state, context);
  if (holder === undefined) return [state, []];
  const [acting, effects] = askOfBlocks(state.acting, holder);
  return [{ ...state, acting }, effects];
}

function onBlocks(state: ProviderState, from: EdgeId, datagram: AboutBlocks, context: Context): Step {
  const { terms } = state;
  const { customer, provider, slots } = terms;
  const holder = holderOf(state, context);
  if (holder === undefined) return [state, []];
  const siblings = context.siblings?.() ?? [];
  // as with promises one machine of the edge answers
  if (!answersFor(terms, customer, siblings)) return blocksNews(state, from, datagram, holder, undefined);
  return blocksNews(state, from, datagram, holder, (epoch) => ({
    book: holder.book,
    isParty: from !== provider && holder.others().includes(from),
    holds: holds(state, from, epoch),
    mayOwn: (slot) =>
      from === customer ? slot === slots.customer : slot !== slots.customer && slot !== slots.provider,
  }));
}

/** A datagram of another party about promises; undefined where it is about something else. */
export function onPromiseDatagram(
  state: ProviderState,
  from: EdgeId,
  datagram: Datagram,
  context: Context,
): Step | undefined {
  const { setId } = state.terms.set;
  if (isAboutBlocks(datagram)) return onBlocks(state, from, datagram, context);
  if (datagram.kind === 'leaseRequest')
    return datagram.body.setId === setId ? onPromiseAsked(state, from, datagram.body, context) : undefined;
  const acting = othersNews(state.acting, setId, from, () => othersOf(state), datagram);
  return acting === undefined ? undefined : [{ ...state, acting }, []];
}

/** The epoch that we acted under last, or do now. */
function ownEpoch(phase: ProviderPhase): number {
  if ('epoch' in phase) return phase.epoch;
  if (phase.at === 'stating') return phase.statement.epoch;
  return 'after' in phase ? (phase.after ?? 0) : 0;
}

/** The set's epoch is ours already, and waits for what we promised; or a newer one was heard of than the record says. */
export function awaitsOwn({ promiser, record, phase, terms }: ProviderState): boolean {
  if (record === undefined || promiser.newest > record.epoch) return true;
  return record.holder === terms.provider && !record.released && record.epoch > ownEpoch(phase);
}

/** As the other machines of its edge see it. */
export const providerSibling = ({ terms, phase, promiser, acting }: ProviderState): Sibling => ({
  contractId: terms.contractId,
  ...{ other: terms.customer, isSilent: phase.at === 'ended', promiser },
  acted: Math.max(ownEpoch(phase), acting.lease.epoch),
});

/**
 * Whether it holds the set's epoch, as far as we know. Before the ledger has told us anything since our start we know nothing: our disk may
 * be an old one, which has forgotten an epoch that we took from whoever asks.
 */
function holds({ phase, lastRecord: record, terms }: ProviderState, from: EdgeId, epoch: number): boolean {
  if (phase.at === 'active' || phase.at === 'ended' || epoch <= ownEpoch(phase)) return false;
  if (record === undefined) return false;
  if (record.epoch < epoch) return from === terms.customer;
  return record.epoch === epoch && record.holder === from && !record.released;
}

/** The customer's word under its request, where it gives one. */
function wordIn({ terms }: ProviderState, { epoch, heard = '', proof }: LeaseRequest): ActsWord | undefined {
  if (proof === undefined) return undefined;
  const body = { setId: terms.set.setId, epoch, heard };
  return { kind: ACTS_KIND, by: terms.customer, body, signature: proof };
}

/**
 * Who promises a customer not to act does not take over from it, which the grantor, if it does not hear that customer, takes for a breach.
 * So nothing is promised that the customer has not asked for in words that the grantor can be shown.
 */
function isProven({ shown, terms }: ProviderState, word: ActsWord | undefined): boolean {
  if (word === undefined) return false;
  const told = shown.heard.length === 0 ? word.body.heard === '' : shown.heard.includes(word.body.heard);
  if (!told) return false;
  return word.signature === shown.word?.signature || isActsWordOf(word, terms.customer, terms.set.setId);
}

function factsFor(
  state: ProviderState,
  from: EdgeId,
  { epoch }: LeaseRequest,
  word: ActsWord | undefined,
  siblings: readonly Sibling[],
): PromiseFacts {
  const { terms, lastRecord, shown } = state;
  return {
    leaseMs: terms.leaseMs,
    holds: holds(state, from, epoch) && allHoldStill(siblings, epoch),
    heard: shown.heard[0] ?? '',
    parties: unionOf(from, [terms.customer, terms.provider], lastRecord?.parties),
    proven: from !== terms.customer || isProven(state, word),
  };
}

function onPromiseAsked(state: ProviderState, from: EdgeId, request: LeaseRequest, context: Context): Step {
  const { now, siblings: others } = context;
  const { terms, promiser, shown } = state;
  const siblings = others?.() ?? [];
  if (!answersFor(terms, terms.customer, siblings)) return [state, []];
  const word = from === terms.customer ? wordIn(state, request) : undefined;
  const facts = factsFor(state, from, request, word, siblings);
  const [next, answer] = answerPromise(promiser, from, request, facts, now);
  if (answer.kind === 'silence') return [state, []];
  const to = { type: 'send', to: from } as const;
  if (answer.kind === 'stale')
    return [state, [{ ...to, datagram: { kind: 'leaseRefused', body: answer.body } }]];
  const kept = word === undefined ? shown : { ...shown, word };
  const promised = { ...state, promiser: next, shown: kept };
  return [promised, [{ ...to, datagram: { kind: 'leaseGrant', body: answer.body } }]];
}

/** The grantor has another challenge for us, and whom we promised may have let go. */
export function heardRecord(state: ProviderState, record: ContractRecord, now: number): ProviderState {
  const { challenge, epoch, lastRelease } = record;
  const { shown, promiser } = state;
  const heard =
    challenge === undefined || challenge === shown.heard[0]
      ? shown.heard
      : [challenge, ...shown.heard].slice(0, HEARD_KEPT);
  const known = heardOfEpoch(freed(promiser, lastRelease, now), epoch);
  return { ...state, shown: { ...shown, heard }, promiser: known, lastRecord: record };
}

/** Shows the grantor the customer's newest word, where that is news. */
export function tellOfPromise(state: ProviderState, now: number): Step {
  const { shown, terms } = state;
  const { word } = shown;
  if (word === undefined || word.signature === shown.shown || word.body.heard === '') return [state, []];
  const told = call(
    state,
    terms.central,
    { method: 'acts', args: { contractId: terms.contractId, word } },
    now,
  );
  const [next, effects] = told;
  return effects.length === 0 ? told : [{ ...next, shown: { ...shown, shown: word.signature } }, effects];
}
