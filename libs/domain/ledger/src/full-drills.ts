import type { EdgeId } from '@antirio/kernel';
import {
  DRILL_FETCH_MS,
  drillServesAtMostMs,
  drillWordMs,
  fullDrillPeriod,
  fullDrillVerdict,
  drillMonth,
  isBackAskOf,
  isDrillWord,
  isEnded,
  isCalled,
  isFullDrillOver,
  isWordOf,
  MOST_FULL_DRILLS_A_MONTH,
  WORD_SLACK_MS,
  type ContractTerms,
  type FullDrill,
  type FullDrillCounts,
  type FullDrillFacts,
  type FullDrillReason,
} from '@antirio/service-contract';
import { findContract, type LiveContract } from './contracts.ts';
import type { Context } from './context.ts';
import { penalise } from './drills.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { keys, type Activation, type ContractRecord, type SetRecord } from './records.ts';
import { strikeRent } from './rent.ts';
import { isProvidersRoot } from './ring-roots.ts';
import type { PayloadOf } from './transaction.ts';

/** Full drills: a takeover by the customer's word that is no takeover by what it owes, as long as the customer comes back in time. */

type Refusal = Outcome & { readonly ok: false };
type Ending = 'passed' | 'failed' | 'void';
type WithDrill = LiveContract & { readonly drill: FullDrill };

const NONE: FullDrillCounts = { started: 0, passed: 0, failed: 0, void: 0, month: 0, thisMonth: 0 };

export function fullDrillCounts(
  { fullDrills = NONE, validatedAt }: ContractRecord,
  now: number,
): FullDrillCounts {
  const month = drillMonth(validatedAt, now);
  return month === fullDrills.month ? fullDrills : { ...fullDrills, month, thisMonth: 0 };
}

function newestOf({ draft }: Context, { id, fullDrills }: ContractRecord): FullDrill | undefined {
  return fullDrills === undefined ? undefined : draft.read(keys.fullDrill(id, fullDrills.started));
}

/** The newest, where it is not over. */
function openDrillOf(context: Context, contract: ContractRecord): FullDrill | undefined {
  const drill = newestOf(context, contract);
  return drill === undefined || isFullDrillOver(drill) ? undefined : drill;
}

function factsOf({ draft, env }: Context, { life, openings, setId }: ContractRecord): FullDrillFacts {
  const epoch = draft.read(keys.set(setId))?.epoch ?? 0;
  return { epoch, openings, over: isEnded(life), life: life.state, now: env.now };
}

function putDrill({ draft }: Context, { id }: ContractRecord, drill: FullDrill): void {
  draft.put(keys.fullDrill(id, drill.number), drill);
}

function refuseAsk(context: Context, { contract, terms }: LiveContract, tx: PayloadOf<'drill/full'>) {
  const set = context.draft.read(keys.set(contract.setId));
  const { word } = tx;
  if (context.by !== contract.customer)
    return refuse('forbidden', 'only the customer gives its service away');
  if (terms.drills.full === undefined)
    return refuse('forbidden', 'the provider has agreed to no full drills');
  if (contract.life.state !== 'READY' && contract.life.state !== 'READY_EXPOSED')
    return refuse('conflict', `the contract is ${contract.life.state}`);
  if (set === undefined || set.released !== undefined) return refuse('conflict', 'the epoch is released');
  if (!isDrillWord(word) || !isWordOf(word, terms, set))
    return refuse('unauthenticated', 'this is no word of the customer’s for a drill under its epoch');
  // an older one would be void at the centre before the provider's time is over
  if (Math.abs(context.env.now - word.body.at) > WORD_SLACK_MS)
    return refuse('conflict', 'the word is of another time: the customer’s clock may be wrong');
  return undefined;
}

/** The first word of a drill. */
function begin(
  context: Context,
  { contract, terms }: LiveContract,
  { drill: number, word }: PayloadOf<'drill/full'>,
): Outcome {
  const { draft, env } = context;
  const counts = fullDrillCounts(contract, env.now);
  if (number !== counts.started + 1)
    return refuse('conflict', `the next full drill is number ${counts.started + 1}`);
  if (counts.thisMonth >= MOST_FULL_DRILLS_A_MONTH)
    return refuse('busy', `at most ${MOST_FULL_DRILLS_A_MONTH} full drills a month`);
  const { everyS } = terms.drills.full ?? {};
  const isDemanded =
    everyS !== undefined && fullDrillPeriod(everyS, contract.validatedAt, env.now) > (counts.judgedIn ?? -1);
  const { epoch } = word.body;
  const { openings } = contract;
  putDrill(context, contract, {
    ...{ number, state: 'asked', word, epoch, openings, askedAt: env.now, counts: isDemanded },
  });
  const fullDrills = { ...counts, started: number, thisMonth: counts.thisMonth + 1 };
  draft.put(keys.contract(contract.id), { ...contract, fullDrills });
  draft.emit('fulldrill/asked', keys.fullDrill(contract.id, number), {
    ...{ contractId: contract.id, drill: number },
  });
  return done({ drill: number });
}

/** A second word, where nobody has taken the first in its time: the provider has its time once more. */
function callAgain(
  context: Context,
  { contract, terms, drill }: WithDrill,
  { word }: PayloadOf<'drill/full'>,
): Outcome {
  const { state } = fullDrillVerdict(terms, drill, factsOf(context, contract));
  if (state !== 'again' || word.body.at <= drill.word.body.at)
    return refuse('conflict', `full drill ${drill.number} is not over`);
  // Each word is asked for anew: what stood in the way of the first may be over.
  const { openAsked: _before, ...rest } = drill;
  putDrill(context, contract, { ...rest, word, lastCallAt: context.env.now });
  return done({ drill: drill.number, lastCallAt: context.env.now });
}

/** By the customer: its word, which counts as a drill's from now on. */
export function askFullDrill(context: Context, tx: PayloadOf<'drill/full'>): Outcome {
  const found = findContract(context.draft, tx.contractId);
  if ('ok' in found) return found;
  const refusal = refuseAsk(context, found, tx);
  if (refusal !== undefined) return refusal;
  const drill = openDrillOf(context, found.contract);
  if (drill === undefined) return begin(context, found, tx);
  return drill.number === tx.drill
    ? callAgain(context, { ...found, drill }, tx)
    : refuse('conflict', `full drill ${drill.number} is not over`);
}

function findDrill(
  { draft }: Context,
  tx: { readonly contractId: string; readonly drill: number },
): WithDrill | Refusal {
  const found = findContract(draft, tx.contractId);
  if ('ok' in found) return found;
  const drill = draft.read(keys.fullDrill(tx.contractId, tx.drill));
  return drill === undefined ? refuse('notFound', 'there is no such full drill') : { ...found, drill };
}

/** Ends a drill, and gives the contract as it is then; it is put there. */
function end(
  context: Context,
  { contract, terms, drill }: WithDrill,
  ending: Ending,
  reason: FullDrillReason,
): ContractRecord {
  const { draft, env } = context;
  const costs = ending === 'failed' && drill.counts && !isEnded(contract.life);
  const struck = costs ? strikeRent(context, contract, drill, drillWordMs(terms)) : contract;
  const after = costs ? penalise(context, struck, terms.drills.penalty) : contract;
  const penalty = contract.escrow.provider - after.escrow.provider;
  const counts = fullDrillCounts(contract, env.now);
  const { everyS } = terms.drills.full ?? {};
  const says = drill.counts && ending !== 'void' && everyS !== undefined;
  const judged = says ? { judgedIn: fullDrillPeriod(everyS, contract.validatedAt, drill.askedAt) } : {};
  const fullDrills = { ...counts, [ending]: counts[ending] + 1, ...judged };
  const next = { ...after, fullDrills };
  draft.put(keys.contract(contract.id), next);
  putDrill(context, contract, { ...drill, state: ending, reason, endedAt: env.now, penalty });
  draft.emit(`fulldrill/${ending}`, keys.fullDrill(contract.id, drill.number), {
    ...{ contractId: contract.id, drill: drill.number, reason, penalty },
  });
  return next;
}

/** By the provider, before it has opened anything: it is held, and costs nobody. */
export function declineFullDrill(context: Context, tx: PayloadOf<'drill/decline'>): Outcome {
  const found = findDrill(context, tx);
  if ('ok' in found) return found;
  const { contract, drill } = found;
  if (context.by !== contract.provider) return refuse('forbidden', 'only the provider declines');
  if (isFullDrillOver(drill)) return done({ state: drill.state });
  if (drill.state !== 'asked' || contract.openings > drill.openings)
    return refuse('conflict', 'the drill is under way');
  end(context, found, 'void', 'declined');
  return done({ state: 'void', reason: 'declined' });
}

/** By the provider, which the centre does not open for: it was there, and that nothing was opened is not its doing. */
export function askOpening(context: Context, tx: PayloadOf<'drill/full-open'>): Outcome {
  const found = findDrill(context, tx);
  if ('ok' in found) return found;
  const { contract, terms, drill } = found;
  const { body: root, signature } = tx.root;
  const { now } = context.env;
  if (context.by !== contract.provider) return refuse('forbidden', 'only the provider asks for an opening');
  if (!isProvidersRoot(contract, tx.root))
    return refuse('unauthenticated', "the ring root is not the provider's for this contract");
  if (isFullDrillOver(drill) || drill.openAsked !== undefined) return done({ state: drill.state });
  if (!awaitsOpening(contract, drill)) return refuse('conflict', 'the keys were opened');
  if (!isCalled(terms, drill, now)) return refuse('gone', 'the time of the word is over');
  putDrill(context, contract, { ...drill, openAsked: { at: now, root, signature } });
  return done({ askedAt: now });
}

/** By the customer, which wants its service back: from then on what is served is not owed. */
export function askBack(context: Context, tx: PayloadOf<'drill/back'>): Outcome {
  const found = findContract(context.draft, tx.contractId);
  if ('ok' in found) return found;
  const { contract } = found;
  const drill = openDrillOf(context, contract);
  if (context.by !== contract.customer) return refuse('forbidden', 'only the customer asks for its service');
  if (drill?.served?.epoch !== tx.epoch || drill.takenBackAt !== undefined)
    return refuse('conflict', 'no drill is served under this epoch');
  if (drill.askedBackAt === undefined)
    putDrill(context, contract, { ...drill, askedBackAt: context.env.now });
  return done();
}

/**
 * By the provider, against its own interest: when the customer asked for its service, signed, though the ledger hears of it only now.
 * Of a takeover that is no drill it says nothing.
 */
export function noteAskedBack(context: Context, { contractId, ask }: PayloadOf<'drill/back-asked'>): Outcome {
  const found = findContract(context.draft, contractId);
  if ('ok' in found) return found;
  const { contract } = found;
  if (context.by !== contract.provider)
    return refuse('forbidden', 'only the provider says what it was asked');
  if (!isBackAskOf(ask, contract.id, contract.customer))
    return refuse('unauthenticated', 'the customer has not asked for this');
  const drill = openDrillOf(context, contract);
  if (drill?.served?.epoch !== ask.body.epoch) return done({ counted: false });
  const at = Math.min(Math.max(ask.body.at, drill.served.at), context.env.now);
  if (at >= (drill.askedBackAt ?? Infinity)) return done({ counted: false });
  putDrill(context, contract, { ...drill, askedBackAt: at });
  return done({ counted: true, askedBackAt: at });
}

/** By the provider: its word on when its core-data had the first reading. */
export function noteFirstReading(context: Context, tx: PayloadOf<'drill/first-reading'>): Outcome {
  const found = findDrill(context, tx);
  if ('ok' in found) return found;
  const { contract, drill } = found;
  if (context.by !== contract.provider) return refuse('forbidden', 'only the provider reads');
  if (drill.served === undefined) return refuse('conflict', 'the drill is not served');
  if (drill.firstReadingMs === undefined)
    putDrill(context, contract, { ...drill, firstReadingMs: tx.firstReadingMs });
  return done();
}

/** What is not being served may be over: by its time, or because its customer does not want it any more. */
export function endFullDrill(context: Context, tx: PayloadOf<'drill/full-end'>): Outcome {
  const found = findDrill(context, tx);
  if ('ok' in found) return found;
  const { contract, terms, drill } = found;
  const { by } = context;
  if (by !== contract.customer && by !== contract.provider)
    return refuse('forbidden', 'the contract is of others');
  if (isFullDrillOver(drill)) return done({ state: drill.state });
  const { state, reason } = fullDrillVerdict(terms, drill, factsOf(context, contract));
  const isOver = state === 'failed' || state === 'void';
  if (!isOver && !mayGiveUp(found, by, tx)) return refuse('conflict', 'the drill is not over');
  const over = isOver ? { state, reason: reason ?? 'givenUp' } : GIVEN_UP;
  end(context, found, over.state, over.reason);
  return done(over);
}

const GIVEN_UP = { state: 'void', reason: 'givenUp' } as const;

function mayGiveUp({ contract, drill }: WithDrill, by: EdgeId, tx: PayloadOf<'drill/full-end'>): boolean {
  return tx.givenUp && by === contract.customer && drill.state === 'asked';
}

/** Whether the provider has opened nothing for the drill that is asked of it: what it asks for now is to be seen here. */
export function awaitsOpening(
  { openings }: Pick<ContractRecord, 'openings'>,
  drill: FullDrill | undefined,
): boolean {
  return drill?.state === 'asked' && drill.openings === openings;
}

/** An opening under a contract, in the drill that it may be for. */
export function noteOpening(context: Context, contract: ContractRecord): void {
  const drill = openDrillOf(context, contract);
  if (drill?.state === 'asked' && drill.openedAt === undefined)
    putDrill(context, contract, { ...drill, openedAt: context.env.now });
}

/** Whether a contract's drill keeps what was released from this taker: its provider has the time of the word, its customer then a moment. */
function isKept(
  context: Context,
  { contract, terms }: LiveContract,
  { epoch, released }: SetRecord,
  taker: EdgeId,
): boolean {
  const drill = isEnded(contract.life) ? undefined : openDrillOf(context, contract);
  if (drill === undefined || released === undefined) return false;
  const since = context.env.now - released.at;
  if (drill.state === 'asked')
    return drill.epoch === epoch && taker !== contract.provider && since <= drillWordMs(terms);
  return drill.served?.epoch === epoch && drill.askedBackAt !== undefined && since <= DRILL_FETCH_MS;
}

/**
 * What was let go for a drill is for that drill's provider while the word for it counts, and what was asked back is the customer's for
 * a moment: else whoever is quick is paid for a service that nobody needs, or keeps one till it is owed.
 */
export function refuseDrilled(context: Context, set: SetRecord, taker: EdgeId): Refusal | undefined {
  if (set.released?.epoch !== set.epoch || taker === set.customer) return undefined;
  const found = set.contracts.map((id) => findContract(context.draft, id));
  return found.some((one) => !('ok' in one) && isKept(context, one, set, taker))
    ? refuse('conflict', 'the epoch was released in a full drill, for another')
    : undefined;
}

/** Whether this take is a drill's: of what the customer let go while its word for one stood, or again before it came back. */
function isDrills(contract: ContractRecord, drill: FullDrill, set: SetRecord): boolean {
  const released = set.released?.epoch === set.epoch;
  if (drill.state === 'asked')
    return released && set.holder === contract.customer && drill.epoch === set.epoch;
  return drill.served?.epoch === set.epoch && set.holder === contract.provider;
}

/**
 * The provider takes an epoch: what is a drill's is not owed. A drill that the customer failed in, or that something else came
 * before, is none any more. `undefined`: it is a takeover as any other.
 */
export function serveDrill(
  context: Context,
  { contract, terms }: LiveContract,
  set: SetRecord,
): { readonly drill: number } | undefined {
  const drill = openDrillOf(context, contract);
  if (drill === undefined) return undefined;
  if (!isDrills(contract, drill, set)) {
    end(context, { contract, terms, drill }, 'void', 'takeover');
    return undefined;
  }
  const { askedBackAt: _before, releasedAt: _then, takenBackAt: _again, ...rest } = drill;
  // taken again before its customer came back for it: its time runs on, and what was asked then was not fetched
  const served = { epoch: set.epoch + 1, at: drill.served?.at ?? context.env.now };
  putDrill(context, contract, { ...rest, state: 'serving', served });
  return { drill: drill.number };
}

/** Whoever `by` is lets the epoch go or takes another: the provider's service is over, or nobody took what the customer had let go. */
export function endService(context: Context, { contract, terms }: LiveContract, by: EdgeId): void {
  const { draft, env } = context;
  const drill = openDrillOf(context, contract);
  if (drill === undefined) return;
  if (drill.state === 'serving') {
    const back = by === contract.customer ? { takenBackAt: env.now } : {};
    putDrill(context, contract, { ...drill, releasedAt: drill.releasedAt ?? env.now, ...back });
  } else if (draft.read(keys.set(contract.setId))?.released?.epoch === drill.epoch)
    end(context, { contract, terms, drill }, 'void', 'notTaken');
}

/** Whether the customer came back for it in time. */
function isInTime(
  terms: ContractTerms,
  { served, askedBackAt, releasedAt }: FullDrill,
  now: number,
): boolean {
  if (served === undefined) return false;
  const over = Math.min(askedBackAt ?? Infinity, releasedAt ?? now);
  return over - served.at <= drillServesAtMostMs(terms);
}

/**
 * Both have stated what was served for a drill: it is passed where the provider served until it gave the epoch back, or was asked to
 * (its release may have come after the end of its lease). What the customer did not come back for in time was a takeover, which is owed
 * as any other.
 */
export function concludeDrill(context: Context, { contract, terms }: LiveContract): ContractRecord {
  const { activation } = contract;
  const drill = openDrillOf(context, contract);
  if (activation?.drill === undefined || drill?.served?.epoch !== activation.epoch) return contract;
  const found = { contract, terms, drill };
  if (!isInTime(terms, drill, context.env.now)) return owe(context, found, activation);
  const released = context.draft.read(keys.release(contract.setId, activation.epoch))?.by;
  return released === contract.provider || drill.askedBackAt !== undefined
    ? end(context, found, 'passed', 'served')
    : end(context, found, 'void', 'lapsed');
}

function owe(context: Context, found: WithDrill, activation: Activation): ContractRecord {
  const { draft } = context;
  const next = { ...end(context, found, 'void', 'takeover'), activation: { ...activation, owed: true } };
  draft.put(keys.contract(next.id), next);
  draft.put(keys.activation(next.id, activation.epoch), next.activation);
  return next;
}

/** Of a drill that was one to the end nothing is owed, and nothing is claimed: its customer was there, and heard it all itself. */
export function isDrillsOwn({ activation }: ContractRecord): boolean {
  return activation?.drill !== undefined && !activation.owed;
}
