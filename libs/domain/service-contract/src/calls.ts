import type { EdgeId } from '@antirio/kernel';
import type { CallMethod } from './messages.ts';

/** A method, or a method with the holder that it is for. */
export type CallKey = CallMethod | `${CallMethod}/${string}`;

export function callKey(method: CallMethod, holder: EdgeId | undefined): CallKey {
  return holder === undefined ? method : `${method}/${holder}`;
}

/** Which calls are under way and when a failed one may go again: one at a time per key, doubled jittered delays. */
export type CallBook = Partial<
  Record<CallKey, { readonly busySince: number; readonly notBefore: number; readonly failures: number }>
>;

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5000;
/** A call whose answer never came (its process was restarted under it) is given up after this. */
const LOST_MS = 20_000;

export function mayCall(book: CallBook, key: CallKey, now: number): boolean {
  const entry = book[key];
  if (entry === undefined) return true;
  if (entry.busySince >= 0) return now - entry.busySince > LOST_MS;
  return now >= entry.notBefore;
}

export function callBegun(book: CallBook, key: CallKey, now: number): CallBook {
  return { ...book, [key]: { busySince: now, notBefore: 0, failures: book[key]?.failures ?? 0 } };
}

/** What came of a call: `retryInMs` is when whoever refused wants it again, `paceMs` when we repeat it on purpose. */
export interface CallOutcome {
  readonly ok: boolean;
  readonly retryInMs?: number | undefined;
  readonly paceMs?: number | undefined;
}

/** After an answer: failures back off by themselves. Who is told when to come again has not failed, only come early. */
export function callEnded(
  book: CallBook,
  key: CallKey,
  now: number,
  { ok, retryInMs, paceMs }: CallOutcome,
  random: number,
): CallBook {
  const failures = ok || retryInMs !== undefined ? 0 : (book[key]?.failures ?? 0) + 1;
  const backoff = Math.min(FIRST_DELAY_MS * 2 ** Math.min(failures, 10), MAX_DELAY_MS) * (0.5 + random);
  const delay = retryInMs ?? paceMs ?? (ok ? 0 : backoff);
  return { ...book, [key]: { busySince: -1, notBefore: now + delay, failures } };
}

export function failuresOf(book: CallBook, key: CallKey): number {
  return book[key]?.failures ?? 0;
}

/** Whoever holds a later epoch, or the ledger itself, has made a release superfluous. */
const vain: ReadonlySet<string> = new Set(['conflict', 'forbidden', 'gone']);

export function isReleaseVain(code: string): boolean {
  return vain.has(code);
}
