import { describeError, type Clock, type Random } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import { jittered, type Letter } from '@antirio/durable-work';
import type { Retrievability } from './records.ts';

/** Whether something is to be checked now, that was last checked then (milliseconds since the Unix epoch). */
export type IsDue = (key: string, checkedAt: number | undefined) => boolean;

export interface ChecksOptions {
  /** Between two checks of one thing, more or less a quarter. */
  readonly intervalMs: number;
  /** In one round. */
  readonly atMost: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** Things that are there no more are forgotten with all others: what is lost is only who was due when. */
const MAX_KNOWN = 10_000;

/**
 * Spreads checks over time: each thing has its own jittered interval, and a round takes a bounded number of them, so that neither all
 * images of an edge nor all edges are read at one moment.
 */
export interface Checks {
  /** Begins a round. */
  round(): IsDue;
}

export function createChecks({ intervalMs, atMost, clock, random }: ChecksOptions): Checks {
  const dueAt = new Map<string, { readonly of: number; readonly at: number }>();
  return {
    round() {
      let left = atMost;
      if (dueAt.size > MAX_KNOWN) dueAt.clear();
      return (key, checkedAt = 0) => {
        const known = dueAt.get(key);
        const due =
          known?.of === checkedAt ? known : { of: checkedAt, at: checkedAt + jittered(intervalMs, random) };
        dueAt.set(key, due);
        if (left === 0 || clock.now() < due.at) return false;
        left--;
        return true;
      };
    },
  };
}

/** Those first that were not checked for longest: where there is more than a round can take, everything has its turn. */
export function longestUnchecked<T>(all: readonly T[], of: (item: T) => Retrievability | undefined): T[] {
  return all.toSorted((a, b) => (of(a)?.checkedAt ?? 0) - (of(b)?.checkedAt ?? 0));
}

/** For what could not be read at all, which tells nothing of it: the others of the round have their turn none the less. */
export const unreadable =
  (log: Log, what: Readonly<Record<string, string>>) =>
  (error: unknown): void => {
    log.warn({ ...what, error: describeError(error) }, 'a check waits');
  };

/** What is not retrievable any more, or is again: here, or at the provider of a contract. */
export type Checked =
  | { readonly at: 'here'; readonly imageId: string; readonly imageCid: string }
  | {
      readonly at: 'provider';
      readonly contractId: string;
      readonly providerEdgeId: string;
      readonly imageCid: string;
      /** News of a version that the provider gave up. */
      readonly givenUp?: { readonly imageCid: string; readonly reason: string };
    };

/** Told after each check; tells the orchestrator of changes, within the caller's transaction. */
export type Alarm = (what: Checked, before: Retrievability | undefined, now: Retrievability) => void;

const PATH = '/orchestrator/v1/retrievability';

export function createAlarm(add: (letter: Letter) => void): Alarm {
  return (what, before, now) => {
    const isNews = what.at === 'provider' && what.givenUp !== undefined;
    if ((before?.ok ?? true) === now.ok && !isNews) return;
    const subject = `retrievability/${what.at}/${what.at === 'here' ? what.imageId : what.contractId}`;
    add({ peer: 'orchestrator', path: PATH, subject, json: { ...what, ...now } });
  };
}
