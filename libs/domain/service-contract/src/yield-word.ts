import { verifyDocument, type EdgeId } from '@antirio/kernel';
import { z } from 'zod';
import { drillWordMs, type DrillWordOf } from './full-drill.ts';
import { signedAs } from './signed-word.ts';

/** The signature under a word is over this kind. */
export const YIELD_KIND = 'antirio/yield/1';

/** Why an edge gives its service away while it still can. */
export const yieldCause = z.enum([
  'planned',
  'terminating',
  'battery',
  'heat',
  'disk',
  'deaf',
  'room',
  'schedule',
  'overload',
  'drill',
]);
export type YieldCause = z.output<typeof yieldCause>;

/**
 * `take over now`: the customer's consent to the opening of its keys, in place of a witness's word that it is dead. It holds
 * for one epoch of one contract.
 */
const word = z.strictObject({
  contractId: z.uuid(),
  setId: z.string().max(64),
  epoch: z.int().min(1),
  cause: yieldCause,
  /**
   * The time of the centre as the signer last heard it and counted on, its own wall clock where it has heard none: it counts for so
   * long as the signer waits, by the clock of the centre.
   */
  at: z.number(),
});

export const signedWord = signedAs(YIELD_KIND, word);
export type SignedWord = z.output<typeof signedWord>;

/** How a customer gives its service away. Durations in ms. */
export const yieldTerms = z.strictObject({
  /** A handover that the provider does not read by then is given up, and the customer goes on. */
  boundMs: z.int().min(1000).max(600_000).default(30_000),
  /** Who is terminated waits no longer for the provider to read before it releases its epoch. */
  gaspBoundMs: z.int().min(100).max(60_000).default(2000),
});

/**
 * What a customer waits for before it asks for its service back: an operator's word, its next start, a disk that takes writes again,
 * rooms that answer again, the end of the window, a load that has gone, a provider that has served for as long as a full drill takes.
 */
export type Waits = 'told' | 'start' | 'disk' | 'room' | 'window' | 'calm' | 'drill';

export function isPlanned({ body }: SignedWord): boolean {
  return body.cause === 'planned';
}

const waitsFor: { readonly [C in YieldCause]: Waits } = {
  planned: 'told',
  terminating: 'start',
  battery: 'start',
  heat: 'start',
  disk: 'disk',
  deaf: 'start',
  room: 'room',
  schedule: 'window',
  overload: 'calm',
  drill: 'drill',
};

/** Whether the customer's service moves because that was wanted, not because anything is about to fail. */
export function isNoFailure(said: SignedWord): boolean {
  return kindOfWord(said) !== 'lastGasp';
}

/** How the ledger names the kinds of words. */
export const wordKind = z.enum(['planned', 'lastGasp', 'schedule', 'overload', 'drill']);
export type WordKind = z.output<typeof wordKind>;

export function kindOfWord({ body }: SignedWord): WordKind {
  const kind = wordKind.safeParse(body.cause);
  return kind.success ? kind.data : 'lastGasp';
}

export function isDrillWord({ body }: SignedWord): boolean {
  return body.cause === 'drill';
}

/** How long the signer goes on saying it to a provider that does not read, ms; one that is terminated waits less. */
export function standsFor(said: SignedWord, terms: DrillWordOf): number {
  return isDrillWord(said) ? drillWordMs(terms) : terms.yielding.boundMs;
}

export function waitsAfter(said: SignedWord): Waits {
  return waitsFor[said.body.cause];
}

/** So far may the clocks of customer and centre differ. */
export const WORD_SLACK_MS = 60_000;

/**
 * Whether the centre, whose clock says `now`, may open on this word: it is about this epoch, and the customer still waits for what it
 * asked for, or has released the epoch and acts under it no more. A word that came to nothing is void with its time.
 */
export function isWordNow(
  said: SignedWord,
  terms: Parameters<typeof isWordOf>[1] & DrillWordOf,
  record: { readonly epoch: number; readonly holder: EdgeId; readonly released: boolean },
  now: number,
): boolean {
  if (!isWordOf(said, terms, record)) return false;
  const ageMs = now - said.body.at;
  const lastMs = standsFor(said, terms) + WORD_SLACK_MS;
  return record.released || (ageMs <= lastMs && ageMs >= -WORD_SLACK_MS);
}

/** Whether this is the customer's word about this contract, and the set still at the epoch that it is about. */
export function isWordOf(
  said: SignedWord,
  terms: {
    readonly contractId: string;
    readonly customer: EdgeId;
    readonly set: { readonly setId: string };
  },
  record?: { readonly epoch: number; readonly holder: EdgeId },
): boolean {
  const { body, by } = said;
  if (by !== terms.customer || body.contractId !== terms.contractId || body.setId !== terms.set.setId)
    return false;
  if (record !== undefined && (record.epoch !== body.epoch || record.holder !== terms.customer)) return false;
  return verifyDocument({ ...said, by: terms.customer }, YIELD_KIND);
}
