import { hasReadingSince } from './core-data.ts';
import { sendDownlinks, downlinksOnAir } from './downlinks.ts';
import { failEdgeA, killParty, type Failure } from './failure.ts';
import type { TakeoverMs } from './result.ts';
import { draw, states, waitFollowing, type ContractedRun } from './run.ts';
import type { Note } from './timelines.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from './wait.ts';

const TAKEOVER_MS = 60_000;
const READING_POLL_MS = 5;
const TIMELINE_POLL_MS = 50;

/** Polls B's core-data as fast as an impatient client, until it has an uplink put on air after the failure. */
async function firstReading(run: ContractedRun, failedAt: number): Promise<number> {
  const { waiter, nodes, truth } = run;
  const at = await waitFor<number>(waiter, {
    subject: 'edge B stores a new reading',
    withinMs: TAKEOVER_MS,
    everyMs: READING_POLL_MS,
    look: async () =>
      (await hasReadingSince(nodes.b, truth, failedAt)) ? { found: waiter.now() } : { seen: states(run) },
  });
  waiter.stage.milestone('edge B: first new reading stored', at - failedAt);
  return at;
}

async function milestoneOf(run: ContractedRun, milestone: string, after: number): Promise<number> {
  const note = await waitFollowing<Note>(run, {
    subject: `edge B: ${milestone}`,
    withinMs: TAKEOVER_MS,
    everyMs: TIMELINE_POLL_MS,
    look: () => {
      const found = run.timelines.find('provider', milestone, after);
      return found === undefined ? { seen: states(run) } : { found };
    },
  });
  return note.monotonic;
}

/** Somebody who does not know of the fence commands right away; only what the fence lets through may be on air. */
async function commandAtOnce(run: ContractedRun, after: number): Promise<void> {
  await milestoneOf(run, 'opened', after);
  await sendDownlinks(run, run.nodes.b, 'at once');
}

export interface Takeover {
  readonly failure: Failure;
  readonly takeoverMs: TakeoverMs;
}

/** Edge A fails in the middle of traffic; edge B detects it, takes over, serves the motes. */
export async function takeOver(run: ContractedRun): Promise<Takeover> {
  const { waiter, timelines, options } = run;
  waiter.stage.act(`edge A fails (${options.kill})`);
  const failure = await failEdgeA(run);
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

/** A further SIGKILL, where the options ask for one in this phase; the party comes back after a moment. */
export async function furtherKill(
  run: ContractedRun,
  phase: NonNullable<ContractedRun['options']['killPhase']>,
): Promise<void> {
  const { options, nodes, waiter } = run;
  if (options.killPhase !== phase || options.killParty === undefined) return;
  await sleep(draw(run, `further/${phase}/when`, 0, 800));
  const node = nodes[options.killParty];
  waiter.stage.act(`${node.title} is killed as well, in phase ${phase}`);
  const failure = await killParty(run, node);
  await sleep(draw(run, `further/${phase}/length`, 200, 2_000));
  await failure.end();
  waiter.stage.milestone(`${node.title} is back`);
}
