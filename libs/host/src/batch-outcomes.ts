import { AntirioError, isAntirioError } from '@antirio/kernel';
import type { BatchEntry } from './batch-queue.ts';

/** What is done within a transaction. */
export type Work = () => unknown;

/** `broke`: the work threw something of its own, and may have written by halves. */
export type Outcome =
  | { readonly kind: 'done'; readonly result: unknown }
  | { readonly kind: 'refused' | 'broke'; readonly error: unknown };

const STORE_CODES = new Set<unknown>(['ERR_SQLITE_ERROR', 'ERR_INVALID_STATE']);
const SQLITE_FULL = 13;

/** @throws what the store threw. */
export function attempt({ item: work }: BatchEntry<Work>): Outcome {
  try {
    return { kind: 'done', result: work() };
  } catch (error) {
    if (isAntirioError(error)) return { kind: 'refused', error };
    if (STORE_CODES.has((error as { readonly code?: unknown } | null | undefined)?.code)) throw error;
    return { kind: 'broke', error };
  }
}

/** The outcomes with those of what was run again. */
function merged(outcomes: readonly Outcome[], again: readonly Outcome[]): Outcome[] {
  const rest = again.values();
  return outcomes.map((outcome) => (outcome.kind === 'broke' ? outcome : (rest.next().value ?? outcome)));
}

/**
 * The outcomes of a batch: once more without what breaks; what breaks only then is the whole batch's failure.
 * @param transact runs a batch in a transaction; where a piece of work broke, nothing of it is written.
 */
export function transactSound(
  batch: readonly BatchEntry<Work>[],
  transact: (batch: readonly BatchEntry<Work>[]) => Outcome[],
): Outcome[] {
  const outcomes = transact(batch);
  if (outcomes.every(({ kind }) => kind !== 'broke')) return outcomes;
  const again = transact(batch.filter((_, index) => outcomes[index]?.kind !== 'broke'));
  for (const late of again) if (late.kind === 'broke') throw late.error;
  return merged(outcomes, again);
}

/** Tells each owner its outcome. */
export function settleAll(batch: readonly BatchEntry<unknown>[], outcomes: readonly Outcome[]): void {
  outcomes.forEach((outcome, index) => {
    if (outcome.kind === 'done') batch[index]?.resolve(outcome.result);
    else batch[index]?.reject(outcome.error);
  });
}

/** What a store's owners are told when it threw this. */
export function storeError(cause: unknown): AntirioError {
  if (isAntirioError(cause)) return cause;
  const full = (cause as { errcode?: unknown } | undefined)?.errcode === SQLITE_FULL;
  return full
    ? new AntirioError('storageFull', 'the store is full', {}, cause)
    : new AntirioError('unavailable', 'the store failed', {}, cause);
}

/** What was not taken, in words; undefined where there is nothing of it. */
export function shortfallOf(refused: number, failed: number): string | undefined {
  const texts = [
    ...(refused === 0 ? [] : [`${refused} refused because too much waited`]),
    ...(failed === 0 ? [] : [`${failed} that the store failed to take`]),
  ];
  return texts.length === 0 ? undefined : texts.join(', ');
}
