import { createBackoff } from '@antirio/durable-work';
import { AntirioError, type Clock, type Random } from '@antirio/kernel';
import type { LedgerClient } from './ledger-client.ts';

type Submit = LedgerClient['submit'];

/** Submits a payload, unless the ledger has refused one of the same matter and that is not long enough ago. */
export type PatientSubmit = (about: string, payload: Parameters<Submit>[0]) => ReturnType<Submit>;

const AGAIN = { firstDelayMs: 2000, maxDelayMs: 3_600_000 };
const MOST_MATTERS = 256;

/** Before the ledger's own rules are asked: it does not know such a transaction, or takes none of that size. */
const AT_THE_DOOR: ReadonlySet<string> = new Set(['invalidInput', 'tooLarge']);

/**
 * What the ledger has said no to, and would say no to again: a refusal of its rules, which names the transaction, stays in its log and its
 * state for ever. Whatever else is in the way (its queue is full, the transaction came too late, it is not the ledger that was seen
 * before) says nothing about what was asked.
 */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof AntirioError)) return false;
  return error.details.txId === undefined ? AT_THE_DOOR.has(error.code) : error.statusCode < 500;
}

interface Refused {
  readonly times: number;
  readonly until: number;
}

/**
 * Submits what was refused before only after a while, which doubles up to an hour. `about` names what is the same matter, and changes with
 * it; so many of them are remembered. A ledger that does not answer is asked as ever.
 * @throws AntirioError busy, while the time of a refusal is not over; whatever the ledger says
 */
export function createPatientSubmit(
  ledger: { readonly submit: Submit },
  { clock, random }: { readonly clock: Pick<Clock, 'monotonic'>; readonly random: Random },
): PatientSubmit {
  const backoff = createBackoff(AGAIN, random);
  const matters = new Map<string, Refused>();
  const refused = (about: string, times: number): void => {
    matters.delete(about);
    matters.set(about, { times, until: clock.monotonic() + backoff(times) });
    const [oldest] = matters.keys();
    if (matters.size > MOST_MATTERS && oldest !== undefined) matters.delete(oldest);
  };
  return async (about, payload) => {
    const { times = 0, until = -Infinity } = matters.get(about) ?? {};
    if (clock.monotonic() < until)
      throw new AntirioError('busy', `the ledger has refused it: ${about} is asked again later`);
    try {
      const result = await ledger.submit(payload);
      matters.delete(about);
      return result;
    } catch (error) {
      if (isRefusal(error)) refused(about, times + 1);
      throw error;
    }
  };
}
