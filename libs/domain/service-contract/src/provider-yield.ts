import { isSuspect } from './detector.ts';
import type { Evidence } from './messages.ts';
import { nothingGathered, type ProviderState, type Step } from './provider-state.ts';
import { keepsOnly } from './relay.ts';
import { enter } from './step.ts';
import { cleared, unasked } from './watch.ts';
import { isPlanned, isWordOf, kindOfWord, type SignedWord } from './yield-word.ts';

/** The provider takes over from a living customer, on its signed word. */

/** A customer that has not released by then goes on as before, as far as we are concerned. */
const WORD_COUNTS_MS = 40_000;
/** Beats from before the word may come after it. */
const WITHDRAWN_MS = 2000;

/** Where we are we may follow a word that we do not follow already. */
function mayFollow({ phase, terms }: ProviderState): boolean {
  if (keepsOnly(terms)) return false;
  return (
    phase.at === 'ready' || phase.at === 'stated' || (phase.at === 'opening' && phase.word === undefined)
  );
}

/** Not of an epoch that is over, not refused before, and from the customer itself. */
function counts({ held, word: known, record, terms }: ProviderState, word: SignedWord, now: number): boolean {
  if (held && !isPlanned(word)) return false;
  const old = record !== undefined && record.epoch > word.body.epoch;
  const refused = word.signature === known.refused && now < known.refusedUntil;
  return !old && !refused && isWordOf(word, terms);
}

export function onTakeOver(state: ProviderState, word: SignedWord, now: number): Step {
  if (!mayFollow(state) || !counts(state, word, now)) return [state, []];
  const { phase, observed } = state;
  const known: ProviderState = { ...state, word: { ...state.word, heardAt: now, stands: true } };
  if (phase.at === 'opening') return [{ ...known, phase: { ...phase, word } }, []];
  const from = phase.at === 'stated' ? phase.from : observed.ring?.from;
  // Just started: the word is said again.
  if (from === undefined) return [state, []];
  const evidence: Evidence = { ...unasked(state.watch, now), yielded: kindOfWord(word) };
  const after = phase.at === 'stated' ? { after: phase.epoch } : {};
  return enter(
    { ...known, watch: cleared(state.watch), gathering: nothingGathered, rimAskedAt: -Infinity },
    { at: 'opening', from, evidence, word, ...after },
    'confirmed',
    { ...evidence, cause: word.body.cause },
  );
}

/** The word that an opening rests on, for the calls that ask for the keys. */
export function wordOf({ phase }: ProviderState): { readonly word?: SignedWord } {
  const there = (phase.at === 'opening' || phase.at === 'reading') && phase.word !== undefined;
  return there ? { word: phase.word } : {};
}

/** The epoch whose word we read under: the customer need not go on. */
export function readsUnder(state: ProviderState): { readonly reads?: number } {
  const { word } = wordOf(state);
  return word === undefined || state.observed.service !== 'active' ? {} : { reads: word.body.epoch };
}

/** Whether the customer has had its time to release its epoch, where it gave its word. */
export function mayTakeNow(state: ProviderState, now: number): boolean {
  if (wordOf(state).word === undefined || state.record?.released === true) return true;
  const { heardAt, stands } = state.word;
  const over = now - heardAt >= (stands ? WORD_COUNTS_MS : WITHDRAWN_MS);
  return over || isFenced(state, now) || isSuspect(state.watch.detector, now);
}

/** Its beats say that it still gives its service away: a lease that it seems to hold is by a request that was long on its way. */
export function stillGives(state: ProviderState, now: number): boolean {
  const { heardAt, stands } = state.word;
  return wordOf(state).word !== undefined && stands && now - heardAt < WORD_COUNTS_MS;
}

/**
 * It says that it acts no more, though its release has not come to the ledger: it may have acted by our promise, cut off from there.
 * What it said before its word tells nothing: whoever has just taken an epoch waits to act under it.
 */
function isFenced({ watch: { fencedSince = Infinity }, word }: ProviderState, now: number): boolean {
  return now - Math.max(fencedSince, word.heardAt) >= WITHDRAWN_MS;
}
