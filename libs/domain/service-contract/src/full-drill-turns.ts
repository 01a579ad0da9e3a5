import {
  MOST_FULL_DRILLS_A_MONTH,
  fullDrillDueAt,
  fullDrillPeriod,
  fullDrillVerdict,
  isFullDrillOver,
  isOpeningDue,
  type FullDrill,
  type FullDrillCounts,
  type FullDrillFacts,
} from './full-drill.ts';
import { windowAt } from './schedule.ts';
import type { ContractTerms } from './terms.ts';
import type { SignedWord } from './yield-word.ts';

/** What either party does next for a full drill: by what the ledger says, so that a restart anywhere goes on from there. */

export interface FullDrillLedger extends FullDrillFacts {
  readonly validatedAt: number;
  /** When the set's epoch was taken. */
  readonly takenAt: number;
  readonly counts: FullDrillCounts;
  readonly newest: FullDrill | undefined;
}

interface FullDrillView {
  readonly terms: ContractTerms;
  /** Where the party's own machine stands. */
  readonly phase: string;
  /** An operator holds this edge. */
  readonly held: boolean;
  readonly ledger: FullDrillLedger;
}

export interface CustomerFullDrillView extends FullDrillView {
  /** 16 bytes in hex that nobody else knows. */
  readonly secret: string;
  /** An operator wants one now. */
  readonly told: boolean;
  /** Its own gateways are heard, and its stores take writes. */
  readonly healthy: boolean;
  /** It may act now: who has just taken its epoch waits for that. */
  readonly acts: boolean;
  /** Another contract over the set moves, or is drilled. */
  readonly othersMove: boolean;
  /** Devices that could have new keys and have not yet. */
  readonly awaitsKeys: number;
}

export type CustomerFullDrillTurn =
  | { readonly turn: 'wait'; readonly why?: FullDrillWait }
  /** A word for the ledger; of a number that is there already: the second one. */
  | { readonly turn: 'ask'; readonly drill: number }
  /** The word that the ledger has is for our own machine to give. */
  | { readonly turn: 'give'; readonly word: SignedWord }
  /** It has served for long enough: the ledger is to know that we want it back. */
  | { readonly turn: 'back'; readonly epoch: number }
  | { readonly turn: 'end'; readonly drill: number; readonly givenUp: boolean };

/** Why none is begun now. */
export type FullDrillWait =
  | 'notDue'
  | 'notReady'
  | 'notGuarded'
  | 'notActing'
  | 'held'
  | 'gateways'
  | 'rekeying'
  | 'backOff'
  | 'window'
  | 'tooMany'
  | 'underWay';

function isDue({ terms, ledger, secret, told }: CustomerFullDrillView): boolean {
  if (told) return true;
  const { everyS } = terms.drills.full ?? {};
  if (everyS === undefined) return false;
  const { validatedAt, now, counts, newest } = ledger;
  const period = fullDrillPeriod(everyS, validatedAt, now);
  if (counts.judgedIn !== undefined && counts.judgedIn >= period) return false;
  // one that came to nothing is not begun again at once
  const apart = newest === undefined || now - newest.askedAt >= (everyS * 1000) / 4;
  return apart && now >= fullDrillDueAt(everyS, validatedAt, period, secret);
}

const READY: ReadonlySet<string> = new Set(['READY', 'READY_EXPOSED']);

function isAble({ healthy, othersMove }: CustomerFullDrillView): boolean {
  return healthy && !othersMove;
}

/** What speaks against beginning one, told or not. */
function hindrance(view: CustomerFullDrillView): FullDrillWait | undefined {
  const { terms, phase, held, ledger, awaitsKeys } = view;
  const { life, now, takenAt, counts } = ledger;
  if (!READY.has(life)) return 'notReady';
  if (phase !== 'guarded') return 'notGuarded';
  if (held) return 'held';
  if (!isAble(view)) return 'gateways';
  if (life === 'READY_EXPOSED' && awaitsKeys > 0) return 'rekeying';
  if (now - takenAt < terms.returnBackoffMs) return 'backOff';
  if (windowAt(terms.activation.windows, now) !== undefined) return 'window';
  return counts.thisMonth >= MOST_FULL_DRILLS_A_MONTH ? 'tooMany' : undefined;
}

/** Our machine has given its word, or follows it. */
const AWAY: ReadonlySet<string> = new Set(['yielding', 'yielded', 'recovering', 'retaken', 'stating']);

function ofOpen(view: CustomerFullDrillView, drill: FullDrill): CustomerFullDrillTurn {
  const { terms, phase, held, ledger } = view;
  const { number, word, served } = drill;
  const { state } = fullDrillVerdict(terms, drill, ledger);
  if (state === 'failed' || state === 'void') return { turn: 'end', drill: number, givenUp: false };
  if (served !== undefined) return asksBack(view, drill, served);
  if (AWAY.has(phase)) return { turn: 'wait', why: 'underWay' };
  // Held meanwhile, or no longer on guard: nobody is asked for anything.
  if (held || phase !== 'guarded') return { turn: 'end', drill: number, givenUp: true };
  if (state === 'again')
    return hindrance(view) === undefined
      ? { turn: 'ask', drill: number }
      : { turn: 'end', drill: number, givenUp: true };
  return { turn: 'give', word };
}

function asksBack(
  { terms, phase, held, healthy, ledger }: CustomerFullDrillView,
  { askedBackAt }: FullDrill,
  { epoch, at }: NonNullable<FullDrill['served']>,
): CustomerFullDrillTurn {
  const { servesMs = 0 } = terms.drills.full ?? {};
  const over = ledger.epoch === epoch && ledger.now - at >= servesMs;
  // who could not serve again leaves it where it is served, and pays for that in the end
  const able = phase === 'recovering' && !held && healthy;
  const asks = over && askedBackAt === undefined && able;
  return asks ? { turn: 'back', epoch } : { turn: 'wait', why: 'underWay' };
}

export function customerFullDrillTurn(view: CustomerFullDrillView): CustomerFullDrillTurn {
  const { newest } = view.ledger;
  if (view.terms.drills.full === undefined) return { turn: 'wait' };
  if (newest !== undefined && !isFullDrillOver(newest)) return ofOpen(view, newest);
  if (!isDue(view)) return { turn: 'wait', why: 'notDue' };
  // drills that follow one another at once would leave nobody the time to act
  const why = hindrance(view) ?? (view.acts ? undefined : 'notActing');
  return why === undefined ? { turn: 'ask', drill: (newest?.number ?? 0) + 1 } : { turn: 'wait', why };
}

export interface ProviderFullDrillView extends FullDrillView {
  /** Of our own epoch, where we have one. */
  readonly epoch: number | undefined;
  /** From the customer's word to the first reading, once there is one. */
  readonly firstReadingMs: number | undefined;
}

export type ProviderFullDrillTurn =
  | { readonly turn: 'wait' }
  /** The word for our own machine, which may not have heard it. */
  | { readonly turn: 'hear'; readonly word: SignedWord }
  | { readonly turn: 'decline'; readonly drill: number }
  /** Nothing was opened: that we want it is to be seen on the ledger. */
  | { readonly turn: 'askOpen'; readonly drill: number }
  /** The customer has asked for its service, and may not reach us. */
  | { readonly turn: 'giveBack'; readonly epoch: number }
  | { readonly turn: 'tell'; readonly drill: number; readonly firstReadingMs: number };

export function providerFullDrillTurn(view: ProviderFullDrillView): ProviderFullDrillTurn {
  const { newest } = view.ledger;
  if (newest === undefined || isFullDrillOver(newest)) return WAIT;
  return newest.state === 'asked' ? whenAsked(view, newest) : whileServing(view, newest);
}

const WAIT: ProviderFullDrillTurn = { turn: 'wait' };

function whenAsked(
  { terms, phase, held, ledger }: ProviderFullDrillView,
  drill: FullDrill,
): ProviderFullDrillTurn {
  if (fullDrillVerdict(terms, drill, ledger).state !== 'open') return WAIT;
  // Whatever phase it is: a word that the centre has refused, too, is one that we would have opened on.
  if (!held && isOpeningDue(terms, drill, ledger)) return { turn: 'askOpen', drill: drill.number };
  if (phase !== 'ready' && phase !== 'stated') return WAIT;
  return held ? { turn: 'decline', drill: drill.number } : { turn: 'hear', word: drill.word };
}

function whileServing(
  { phase, epoch, firstReadingMs }: ProviderFullDrillView,
  { number, served, askedBackAt, firstReadingMs: told }: FullDrill,
): ProviderFullDrillTurn {
  if (phase !== 'active' || epoch === undefined || epoch !== served?.epoch) return WAIT;
  if (askedBackAt !== undefined) return { turn: 'giveBack', epoch };
  return told === undefined && firstReadingMs !== undefined
    ? { turn: 'tell', drill: number, firstReadingMs }
    : WAIT;
}
