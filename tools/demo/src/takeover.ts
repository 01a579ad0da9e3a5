import { setTimeout as sleep } from 'node:timers/promises';
import { hasReadingSince } from './core-data.ts';
import { sendDownlinks, downlinksOnAir } from './downlinks.ts';
import { failEdgeA, type Fail, type Failure } from './failure.ts';
import type { TakeoverMs } from './result.ts';
import { states, waitFollowing, type ContractedRun } from './run.ts';
import type { Note } from './timelines.ts';
import { waitFor } from './wait.ts';

const TAKEOVER_MS = 90_000;
/** Not more often: to be asked costs edges time that they need. */
const READING_POLL_MS = 20;
const TIMELINE_POLL_MS = 50;
const AT_ONCE_MS = 5_000;

/**
 * Polls B's core-data as an impatient client, until it has an uplink put on air after the failure.
 *
 * @param isPointless ends the wait early, with -Infinity
 * @param isPossible whether B may have one already; before that it is not asked
 */
async function firstReading(
  run: ContractedRun,
  failedAt: number,
  isPointless: () => boolean = () => false,
  isPossible: () => boolean = () => true,
): Promise<number> {
  const { waiter, nodes, truth } = run;
  const at = await waitFor<number>(waiter, {
    subject: 'edge B stores a new reading',
    withinMs: TAKEOVER_MS,
    everyMs: READING_POLL_MS,
    look: async () => {
      if (isPointless()) return { found: -Infinity };
      if (!isPossible()) return { seen: 'edge B is not sure yet that edge A is dead' };
      const isThere = await hasReadingSince(nodes.b, truth, failedAt);
      return isThere ? { found: waiter.now() } : { seen: states(run) };
    },
  });
  if (at > failedAt) waiter.stage.milestone('edge B: first new reading stored', at - failedAt);
  return at;
}

async function noteOf(run: ContractedRun, milestone: string, find: () => Note | undefined): Promise<number> {
  const note = await waitFollowing<Note>(run, {
    subject: `edge B: ${milestone}`,
    withinMs: TAKEOVER_MS,
    everyMs: TIMELINE_POLL_MS,
    look: () => {
      const found = find();
      return found === undefined ? { seen: states(run) } : { found };
    },
  });
  return note.monotonic;
}

const milestoneOf = (run: ContractedRun, milestone: string, after: number): Promise<number> =>
  noteOf(run, milestone, () => run.timelines.find('provider', milestone, after));

/**
 * The note that edge B held the epoch. It is `activated`, or `released` alone where edge A, which had given its word and was well again,
 * asked for the epoch back before edge B was free to act under it.
 */
export const tookOver = ({ timelines }: ContractedRun, after: number): Note | undefined =>
  timelines.find('provider', 'activated', after) ?? timelines.find('provider', 'released', after);

/**
 * Somebody who does not know of the fence commands right away, and again while edge B does not know the sensors yet; only what the
 * fence lets through may be on air.
 */
async function commandAtOnce(run: ContractedRun, after: number): Promise<void> {
  await milestoneOf(run, 'opened', after);
  const until = run.waiter.now() + AT_ONCE_MS;
  for (;;) {
    const { taken } = await sendDownlinks(run, run.nodes.b, 'at once');
    if (taken > 0 || run.waiter.now() >= until) return;
    await sleep(TIMELINE_POLL_MS);
  }
}

/** A takeover that may follow from a kill while edge B was only to stand by. */
export interface PossibleTakeover {
  /** It did follow: how long everything took. */
  takeoverMs(): Promise<TakeoverMs>;
  /** It did not. */
  dismiss(): void;
}

/** Watches edge B from a kill of edge A on. */
export function watchTakeover(run: ContractedRun, failedAt: number): PossibleTakeover {
  let dismissed = false;
  const reading = firstReading(
    run,
    failedAt,
    () => dismissed,
    () => run.timelines.find('provider', 'confirmed', failedAt) !== undefined,
  );
  reading.catch(() => undefined);
  return {
    dismiss: () => (dismissed = true),
    async takeoverMs() {
      const since = (at: number): number => Math.round(at - failedAt);
      return {
        detected: since(await milestoneOf(run, 'confirmed', failedAt)),
        activated: since(await noteOf(run, 'activated', () => tookOver(run, failedAt))),
        firstReading: since(await reading),
      };
    },
  };
}

export interface Takeover {
  readonly failure: Failure;
  readonly takeoverMs: TakeoverMs;
}

/** Edge A fails in the middle of traffic, as the options say or otherwise; edge B detects it, takes over, serves the motes. */
export async function takeOver(run: ContractedRun, fail: Fail = failEdgeA): Promise<Takeover> {
  const { waiter, timelines, options } = run;
  waiter.stage.act(`edge A fails (${options.kill})`);
  const failure = await fail(run, run.nodes.a);
  timelines.failureAt(failure.at);
  const [readingAt, detectedAt, activatedAt] = await Promise.all([
    firstReading(run, failure.at),
    milestoneOf(run, 'confirmed', failure.at),
    milestoneOf(run, 'activated', failure.at),
    commandAtOnce(run, failure.at),
  ]);
  const since = (at: number): number => Math.round(at - failure.at);
  return {
    failure,
    takeoverMs: {
      detected: since(detectedAt),
      activated: since(activatedAt),
      firstReading: since(readingAt),
    },
  };
}

/** The neighbour acts: its downlinks pass the fence once its epoch allows it. */
export async function serve(run: ContractedRun): Promise<void> {
  await downlinksOnAir(run, run.nodes.b, 'serving');
}
