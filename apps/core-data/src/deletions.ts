import { describeError } from '@antirio/kernel';
import { asEdgexFailure } from '@antirio/edgex-service';
import { retry, type Log } from '@antirio/host';
import type { EventStore } from './event-store.ts';
import type { Deletion } from './event-writer.ts';

/** Deletes many events a few at a time, so that those which come in do not wait. What was accepted survives a kill. */
export interface Deletions {
  /** Resolves when the deletion is noted durably; what is few is gone by then. */
  accept(deletion: Deletion): Promise<void>;
  /** Carries out what is noted. */
  poke(): void;
  stop(): Promise<void>;
}

/** A store that fails, such as a full disk, may take the deletion later. */
const STORE_FAILS = { attempts: Infinity, firstDelayMs: 1000, maxDelayMs: 60_000 };

export function createDeletions(store: Pick<EventStore, 'noteDeletion' | 'deleteSome'>, log: Log): Deletions {
  const stopping = new AbortController();
  let again = false;
  let working: Promise<void> | undefined;

  const work = async (attempt: number): Promise<void> => {
    try {
      while (!stopping.signal.aborted && (await store.deleteSome()));
    } catch (error) {
      if (attempt === 1)
        log.error({ error: describeError(error) }, 'events were not deleted, will try again');
      throw error;
    }
  };
  const poke = (): void => {
    again = true;
    working ??= (async () => {
      while (again && !stopping.signal.aborted) {
        again = false;
        // what is not done when it is stopped is done after the next start
        await retry({ ...STORE_FAILS, signal: stopping.signal }, work).catch(() => undefined);
      }
      working = undefined;
    })();
  };
  return {
    async accept(deletion) {
      await store.noteDeletion(deletion).catch(asEdgexFailure);
      poke();
    },
    poke,
    async stop() {
      stopping.abort();
      await working;
    },
  };
}
