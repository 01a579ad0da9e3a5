import { AntirioError, type Clock } from '@antirio/kernel';
import type { LedgerClient } from './ledger-client.ts';

type Submit = LedgerClient['submit'];

const FIRST_MS = 2000;
const MOST_MS = 3_600_000;

/** What the ledger has said no to, and would say no to again: a refusal stays in its log and its state for ever. */
function isRefusal(error: unknown): boolean {
  return error instanceof AntirioError && error.statusCode < 500;
}

/**
 * Submits what was refused before only after a while, which doubles up to an hour. `about` names what is the same matter, and changes with
 * it; only the newest matter is remembered. A ledger that does not answer is asked as ever.
 * @throws AntirioError busy, while the time of a refusal is not over; whatever the ledger says
 */
export function createPatientSubmit(ledger: { readonly submit: Submit }, clock: Pick<Clock, 'monotonic'>) {
  let refused: { readonly about: string; readonly waitMs: number; readonly until: number } | undefined;
  return async (about: string, payload: Parameters<Submit>[0]): ReturnType<Submit> => {
    const before = refused?.about === about ? refused : undefined;
    if (before !== undefined && clock.monotonic() < before.until)
      throw new AntirioError('busy', `the ledger has refused it: ${about} is asked again later`);
    try {
      const result = await ledger.submit(payload);
      refused = undefined;
      return result;
    } catch (error) {
      const waitMs = Math.min(MOST_MS, before === undefined ? FIRST_MS : 2 * before.waitMs);
      if (isRefusal(error)) refused = { about, waitMs, until: clock.monotonic() + waitMs };
      throw error;
    }
  };
}
