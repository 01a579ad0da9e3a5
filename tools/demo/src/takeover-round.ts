import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { letPass } from './contract.ts';
import { hasReadingSince } from './core-data.ts';
import { killParty, type Failure } from './failure.ts';
import { rest } from './rest.ts';
import type { TakeoverMs } from './result.ts';
import { draw, states, waitFollowing, type ContractedRun } from './run.ts';
import type { Note } from './timelines.ts';
import { waitFor } from './wait.ts';

/** What edge B noted while it took over, ms from the kill on. */
export interface TakeoverNote {
  readonly milestone: string;
  readonly ms: number;
  readonly detail: Note['detail'];
}

/** One takeover of several in a row. */
export interface MeasuredTakeover {
  /** From 1 on: at the first one edge B has just been started. */
  readonly round: number;
  readonly takeoverMs: TakeoverMs;
  /** From the doubt to the epoch: why it took as long as it did. */
  readonly notes: readonly TakeoverNote[];
}

export interface RoundListeners {
  /** Called once edge B stands by and traffic has flowed; the kill follows as soon as it resolves. */
  readonly onArmed: () => Promise<void>;
  /** Called at once when edge B has a new reading. */
  readonly onReading: () => void;
}

const TAKEOVER_MS = 60_000;
/** Not more often: to be asked costs edge B time that it needs. */
const READING_POLL_MS = 20;
/** How long edge A stays away once edge B has its epoch, at most. */
const AWAY_MS = 200;
const READY_AGAIN_MS = 60_000;
/** Edge A has beaten, and edge B's service has stood by, for at least so long when the next kill comes; and up to as much longer by chance. */
const STEADY_MS = { least: 3_000, more: 1_000 } as const;

async function milestone(run: ContractedRun, name: string, after: number): Promise<number> {
  const note = await waitFollowing<Note>(run, {
    subject: `edge B: ${name}`,
    withinMs: TAKEOVER_MS,
    look: () => {
      const found = run.timelines.find('provider', name, after);
      return found === undefined ? { seen: states(run) } : { found };
    },
  });
  return note.monotonic;
}

async function firstReading({ waiter, nodes, truth }: ContractedRun, killedAt: number): Promise<number> {
  return waitFor<number>(waiter, {
    subject: 'edge B stores a new reading',
    withinMs: TAKEOVER_MS,
    everyMs: READING_POLL_MS,
    look: async () =>
      (await hasReadingSince(nodes.b, truth, killedAt)) ? { found: waiter.now() } : { seen: 'none yet' },
  });
}

/** Kills edge A and watches edge B, which is asked for its newest events and nothing else until it has a new one. */
export async function killAndMeasure(
  run: ContractedRun,
  round: number,
  { onArmed, onReading }: RoundListeners,
): Promise<{ readonly measured: MeasuredTakeover; readonly failure: Failure }> {
  const { timelines } = run;
  await onArmed();
  const failure = await killParty(run, run.nodes.a);
  timelines.failureAt(failure.at);
  const readingAt = await firstReading(run, failure.at);
  onReading();
  const since = (at: number): number => Math.round(at - failure.at);
  const takeoverMs = {
    detected: since(await milestone(run, 'confirmed', failure.at)),
    activated: since(await milestone(run, 'activated', failure.at)),
    firstReading: since(readingAt),
  };
  const notes = timelines
    .since('provider', failure.at)
    .map(({ milestone: name, monotonic, detail }) => ({ milestone: name, ms: since(monotonic), detail }));
  return { measured: { round, takeoverMs, notes }, failure };
}

/** Edge A starts again on its own disk. Resolves with when it answered. */
export async function startAgain(run: ContractedRun, round: number, failure: Failure): Promise<number> {
  await sleep(draw(run, `away/${round}`, 0, AWAY_MS));
  await failure.end();
  return run.waiter.now();
}

const serviceSchema = z.looseObject({
  observed: z.string(),
  instance: z.looseObject({ state: z.string() }).optional(),
});

/** What stands by at edge B, when it does as the contract wants it. */
const STANDS_BY = { hot: 'running', warm: 'frozen', cold: 'none' } as const;

/** Whether edge B's service is where it was before the first kill, in words. */
async function standbyOf({ nodes, contractId }: ContractedRun): Promise<string> {
  const url = `${nodes.b.url('orchestrator')}/orchestrator/v1/service/${contractId}`;
  const { observed, instance } = await rest(serviceSchema, url);
  return `${observed}, ${instance?.state ?? 'none'}`;
}

/** What the contract still lacks to go on as before the kill, in words; undefined where that is nothing. */
function lacking({ timelines }: ContractedRun, killedAt: number): string | undefined {
  const customer = timelines.view('customer');
  if (customer?.state !== 'guarded') return `A ${customer?.state ?? 'does not answer'}`;
  if (customer.fence?.state !== 'open') return 'A may not act yet';
  return timelines.find('provider', 'stated', killedAt) === undefined ? 'B has not stated' : undefined;
}

/**
 * Edge A has taken its sensors back, both have stated, the contract goes on, edge A acts, and edge B's service stands by again. Resolves
 * with since when that does, which is long before.
 */
async function readyAgain(run: ContractedRun, killedAt: number): Promise<number> {
  const wanted = `standby, ${STANDS_BY[run.options.standby]}`;
  let standsBySince = Infinity;
  return waitFollowing<number>(run, {
    subject: 'the contract is READY again, and edge B stands by',
    withinMs: READY_AGAIN_MS,
    look: async () => {
      const standby = await standbyOf(run);
      standsBySince = standby === wanted ? Math.min(standsBySince, run.waiter.now()) : Infinity;
      const seen = standby === wanted ? lacking(run, killedAt) : `service ${standby}`;
      return seen === undefined ? { found: standsBySince } : { seen };
    },
  });
}

/** Everything is as it was before the kill, and has been for some time: no takeover is to gain or suffer by the one before it. */
export async function becomeSteady(
  run: ContractedRun,
  round: number,
  { killedAt, backAt }: { readonly killedAt: number; readonly backAt: number },
): Promise<void> {
  const standsBySince = await readyAgain(run, killedAt);
  const steadyAt = Math.max(backAt, standsBySince) + STEADY_MS.least;
  const left = Math.max(0, steadyAt - run.waiter.now());
  // By chance: kills are not to lock to anybody's period.
  await letPass(run, left + draw(run, `steady/${round}`, 0, STEADY_MS.more));
}
