import { describeError } from '@antirio/kernel';
import type { GroupCommit, Log } from '@antirio/host';
import type { Deletion, EventWriter } from './event-writer.ts';

/** Deletes many events a few at a time, so that those which come in do not wait. What was accepted survives a kill. */
export interface Deletions {
  /** Resolves when the deletion is noted durably. */
  accept(deletion: Deletion): Promise<void>;
  /** Carries out what is noted. */
  poke(): void;
  stop(): Promise<void>;
}

const EVENTS_AT_ONCE = 200;

export function createDeletions(commit: GroupCommit, writer: EventWriter, log: Log): Deletions {
  let stopped = false;
  let again = false;
  let working: Promise<void> | undefined;

  const work = async (): Promise<void> => {
    try {
      while (!stopped && (await commit.run(0, () => writer.deleteSome(EVENTS_AT_ONCE))));
    } catch (error) {
      log.error(
        { error: describeError(error) },
        'events were not deleted; tried again with the next deletion or start',
      );
    }
  };
  const poke = (): void => {
    again = true;
    working ??= (async () => {
      while (again && !stopped) {
        again = false;
        await work();
      }
      working = undefined;
    })();
  };
  return {
    async accept(deletion) {
      await commit.run(0, () => writer.noteDeletion(deletion));
      poke();
    },
    poke,
    async stop() {
      stopped = true;
      await working;
    },
  };
}
