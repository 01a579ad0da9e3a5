import { setTimeout as sleep } from 'node:timers/promises';
import { readTruth } from '@antirio/lora-simulator';
import { agree, armed, letPass } from './contract.ts';
import { allEvents, hasReadingSince } from './core-data.ts';
import { killParty } from './failure.ts';
import { caughtUp, settle, takeBack } from './handback.ts';
import { completeOptions, type DemoOptionsInput } from './options.ts';
import { letMotesBeHeard, raise } from './play.ts';
import type { OwnProcess } from './processes.ts';
import type { TakeoverMs } from './result.ts';
import { waiterFor, type DemoPorts } from './run-demo.ts';
import { draw, states, waitFollowing, type ContractedRun, type Run } from './run.ts';
import { prepareSetting, strike } from './setting.ts';
import { emptyStage } from './stage.ts';
import type { Note } from './timelines.ts';
import { judgeUplinks, type UplinkFigures } from './uplink-verdict.ts';
import { unguardedSince } from './verdict.ts';
import { waitFor } from './wait.ts';

/** One takeover, and what became of the uplinks of that run. */
export interface MeasuredTakeover {
  readonly takeoverMs: TakeoverMs;
  readonly uplinks: UplinkFigures;
}

export interface MeasurePorts extends Omit<DemoPorts, 'onServing'> {
  /** Called once edge B stands by and traffic has flowed; the kill follows as soon as it resolves. */
  readonly onArmed?: (processes: readonly OwnProcess[]) => Promise<void>;
  /** Called at once when edge B has a new reading. */
  readonly onReading?: () => void;
}

const TAKEOVER_MS = 60_000;
/** Not more often: to be asked costs edge B time that it needs. */
const READING_POLL_MS = 20;
/** Traffic between the contract and the kill. */
const BEFORE_MS = { least: 500, most: 2_500 } as const;
/** How long edge A stays away once edge B has its epoch. */
const AWAY_MS = 500;

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

/** Kills edge A and watches edge B, which is asked for its newest events and nothing else until it has a new one. */
async function takeOver(run: ContractedRun, onReading: () => void): Promise<TakeoverMs> {
  const { waiter, nodes, truth, timelines } = run;
  const failure = await killParty(run, nodes.a);
  timelines.failureAt(failure.at);
  const readingAt = await waitFor<number>(waiter, {
    subject: 'edge B stores a new reading',
    withinMs: TAKEOVER_MS,
    everyMs: READING_POLL_MS,
    look: async () =>
      (await hasReadingSince(nodes.b, truth, failure.at)) ? { found: waiter.now() } : { seen: 'none yet' },
  });
  onReading();
  const since = (at: number): number => Math.round(at - failure.at);
  const takeoverMs = {
    detected: since(await milestone(run, 'confirmed', failure.at)),
    activated: since(await milestone(run, 'activated', failure.at)),
    firstReading: since(readingAt),
  };
  await sleep(AWAY_MS);
  await failure.end();
  return takeoverMs;
}

/** Silences the motes and counts what became of all their uplinks. */
async function uplinksOf(run: ContractedRun): Promise<UplinkFigures> {
  const { radio, devices, truthFile, nodes, disturbances } = run;
  await radio.stopTraffic();
  await caughtUp(run);
  const events = await allEvents(
    nodes.a,
    devices.map(({ name }) => name),
  );
  const truth = await readTruth(truthFile);
  return judgeUplinks({ truth, devices, events, disturbances, unguarded: unguardedSince(run) }).uplinks;
}

interface Listeners {
  readonly onArmed: () => Promise<void>;
  readonly onReading: () => void;
}

async function perform(run: Run, { onArmed, onReading }: Listeners): Promise<MeasuredTakeover> {
  await raise(run);
  await letMotesBeHeard(run);
  const contracted = await agree(run);
  await armed(contracted);
  await letPass(contracted, draw(run, 'moment', BEFORE_MS.least, BEFORE_MS.most));
  await onArmed();
  const takeoverMs = await takeOver(contracted, onReading);
  await takeBack(contracted);
  await settle(contracted);
  return { takeoverMs, uplinks: await uplinksOf(contracted) };
}

/**
 * The demo's story without its side plots: contract, SIGKILL of edge A, takeover, handback, count of the uplinks. Times are taken while
 * nothing but the measurement itself asks edge B for anything. Throws `DemoError` where the story breaks off; what it started is ended in any case.
 */
export async function measureTakeover(
  input: DemoOptionsInput,
  { stage = emptyStage, signal, build, onArmed, onReading }: MeasurePorts = {},
): Promise<MeasuredTakeover> {
  const setting = await prepareSetting(completeOptions(input), build);
  try {
    const run = await setting.open(waiterFor(setting, stage, signal));
    const measured = await perform(run, {
      onArmed: async () => onArmed?.(setting.processes.running()),
      onReading: () => onReading?.(),
    });
    await setting.end();
    strike(setting);
    return measured;
  } catch (error) {
    await setting.end();
    stage.note(`Logs and data: ${setting.folder}`);
    throw error;
  }
}
