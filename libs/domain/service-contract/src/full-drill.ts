import { fromHex, hmacSha256, utf8 } from '@antirio/kernel';
import type { DrillFacts, DrillTerms } from './drill.ts';
import type { SignedWord } from './yield-word.ts';

/** Full drills of 30 days in all, operators' included: no customer has a service for nothing. */
export const MOST_FULL_DRILLS_A_MONTH = 31;

/** So long after `servesMs` the customer has asked for its service back, on the ledger; else the takeover is a real one. */
export const DRILL_BACK_MS = 300_000;

/** So long after its provider let go of what was asked back only the customer takes it. */
export const DRILL_FETCH_MS = 5000;

/** `void`: it says nothing that could be proven of the provider, and costs nobody. */
export type FullDrillState = 'asked' | 'serving' | 'passed' | 'failed' | 'void';
export type FullDrillReason =
  | 'served'
  /** The provider's: not one of two words was taken. */
  | 'notOpened'
  /** Its provider asked on the ledger for the opening, and the centre gave none. */
  | 'notLet'
  /** It has opened, and by the customer's word alone did not read; it read, and nobody took what was released. */
  | 'notRead'
  | 'notTaken'
  /** Its epoch ended by its lease alone, before anybody asked for it. */
  | 'lapsed'
  /** It has said so itself: it is held. */
  | 'declined'
  | 'degraded'
  /** The customer did not come back for its service, or somebody failed: what is served is paid. */
  | 'takeover'
  | 'contractOver'
  | 'givenUp';

/** A full drill as the ledger keeps it. Times are the ledger's. */
export interface FullDrill {
  readonly number: number;
  readonly state: FullDrillState;
  /** The customer's newest word, about its `epoch`. */
  readonly word: SignedWord;
  readonly epoch: number;
  /** The contract's openings as they were then. */
  readonly openings: number;
  readonly askedAt: number;
  /** Of the second word, after nobody took the first. */
  readonly lastCallAt?: number;
  /** Whether it is one that the terms demand: a failed one costs the provider its penalty. */
  readonly counts: boolean;
  /** The provider asked for the opening on the ledger, with its signed word on its ring, in the time of the newest word. */
  readonly openAsked?: {
    readonly at: number;
    readonly root: { readonly root: string; readonly count: number; readonly through: number };
    readonly signature: string;
  };
  readonly openedAt?: number;
  /** The provider's newest epoch for it, and since when it has served: also what it took again counts from its first epoch. */
  readonly served?: { readonly epoch: number; readonly at: number };
  readonly askedBackAt?: number;
  readonly releasedAt?: number;
  /** When the customer had its epoch again: what the provider sent last is off the air 3 s later, and it acts. */
  readonly takenBackAt?: number;
  /** By the provider's word: from the customer's word to the first reading in its core-data, ms of its own clock. */
  readonly firstReadingMs?: number;
  readonly endedAt?: number;
  readonly reason?: FullDrillReason;
  /** What the provider paid. */
  readonly penalty?: number;
}

export interface FullDrillCounts {
  readonly started: number;
  readonly passed: number;
  readonly failed: number;
  readonly void: number;
  readonly month: number;
  readonly thisMonth: number;
  /** Of the stretches of `everyS`, the newest that had one which says something. */
  readonly judgedIn?: number;
}

/** What of the terms a word for a drill goes by. */
export interface DrillWordOf {
  readonly drills: DrillTerms;
  readonly yielding: { readonly boundMs: number };
}

export function isFullDrillOver({ state }: Pick<FullDrill, 'state'>): boolean {
  return state !== 'asked' && state !== 'serving';
}

/** How long the customer waits on its word for a drill: the provider has its `maxMs` to take it. */
export function drillWordMs({ drills, yielding }: DrillWordOf): number {
  return Math.max(drills.maxMs, yielding.boundMs);
}

/** Until then the customer asks for its service back, or what was served is no drill any more; ms after the epoch was taken. */
export function drillServesAtMostMs({ drills }: Pick<DrillWordOf, 'drills'>): number {
  return (drills.full?.servesMs ?? 0) + DRILL_BACK_MS;
}

export interface FullDrillFacts extends DrillFacts {
  /** The contract's state. */
  readonly life: string;
}

export type FullDrillVerdict = {
  /** `again`: a second word, before it counts. */
  readonly state: 'open' | 'again' | 'failed' | 'void';
  readonly reason?: FullDrillReason;
};

const OPEN: FullDrillVerdict = { state: 'open' };
const READY: ReadonlySet<string> = new Set(['READY', 'READY_EXPOSED']);

/** How an unfinished full drill stands: only what the ledger itself has seen counts against the provider. */
export function fullDrillVerdict(
  terms: DrillWordOf,
  drill: FullDrill,
  facts: FullDrillFacts,
): FullDrillVerdict {
  if (facts.over) return { state: 'void', reason: 'contractOver' };
  if (drill.state === 'serving') return OPEN;
  if (facts.epoch !== drill.epoch) return { state: 'void', reason: 'takeover' };
  if (isCalled(terms, drill, facts.now)) return OPEN;
  if (facts.openings > drill.openings) return { state: 'void', reason: 'notRead' };
  if (!READY.has(facts.life)) return { state: 'void', reason: 'degraded' };
  if (drill.lastCallAt === undefined) return { state: 'again' };
  return drill.openAsked === undefined
    ? { state: 'failed', reason: 'notOpened' }
    : { state: 'void', reason: 'notLet' };
}

/** Whether the time of the customer's newest word runs. */
export function isCalled(terms: DrillWordOf, { askedAt, lastCallAt = askedAt }: FullDrill, now: number) {
  return now - lastCallAt <= drillWordMs(terms);
}

/** The centre opens within moments; after this part of the word's time the provider asks on the ledger. */
const ASKED_AFTER_PART = 4;

/** Whether the provider, for which nothing was opened, is to ask for it on the ledger. */
export function isOpeningDue(terms: DrillWordOf, drill: FullDrill, { openings, now }: DrillFacts): boolean {
  const { askedAt, lastCallAt = askedAt, openAsked } = drill;
  const waits = now - lastCallAt >= drillWordMs(terms) / ASKED_AFTER_PART;
  return openAsked === undefined && openings === drill.openings && waits && isCalled(terms, drill, now);
}

/** How long the steps of a drill took, ms of the ledger's time since the customer's newest word. */
export function fullDrillTimes(drill: FullDrill) {
  const { lastCallAt, askedAt, openedAt, served, askedBackAt, releasedAt, takenBackAt } = drill;
  const since = (at: number | undefined): number | undefined =>
    at === undefined ? undefined : at - (lastCallAt ?? askedAt);
  return {
    ...{ openedMs: since(openedAt), epochMs: since(served?.at), firstReadingMs: drill.firstReadingMs },
    ...{ askedBackMs: since(askedBackAt), releasedMs: since(releasedAt), takenBackMs: since(takenBackAt) },
  };
}

/** Which stretch of `everyS` the ledger's time is in, counted from the contract's validation. */
export function fullDrillPeriod(everyS: number, validatedAt: number, now: number): number {
  return Math.max(0, Math.floor((now - validatedAt) / (everyS * 1000)));
}

/** When the full drill of a stretch is due: somewhere in it, drawn from a secret of the customer's. */
export function fullDrillDueAt(everyS: number, validatedAt: number, period: number, secret: string): number {
  const drawn = hmacSha256(fromHex(secret, 16), utf8(`full/${period}`));
  const jitter = new DataView(drawn.buffer, drawn.byteOffset).getUint32(0) / 2 ** 32;
  return validatedAt + everyS * 1000 * (period + jitter);
}
