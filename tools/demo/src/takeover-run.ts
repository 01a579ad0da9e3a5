import { readTruth } from '@antirio/lora-simulator';
import { agree, armed, letPass } from './contract.ts';
import { allEvents } from './core-data.ts';
import { caughtUp, settle, takeBack } from './handback.ts';
import { completeOptions, type DemoOptionsInput } from './options.ts';
import { letMotesBeHeard, raise } from './play.ts';
import type { OwnProcess } from './processes.ts';
import { waiterFor, type DemoPorts } from './run-demo.ts';
import { draw, type ContractedRun, type Run } from './run.ts';
import { prepareSetting, strike } from './setting.ts';
import { emptyStage } from './stage.ts';
import {
  becomeSteady,
  killAndMeasure,
  startAgain,
  type MeasuredTakeover,
  type RoundListeners,
} from './takeover-round.ts';
import { judgeUplinks, type UplinkFigures } from './uplink-verdict.ts';
import { unguardedSince } from './verdict.ts';

/** What became of the uplinks of all takeovers of one setting. */
export interface JudgedUplinks {
  readonly uplinks: UplinkFigures;
  /** What must not be, in words; empty where all is well. */
  readonly faults: readonly string[];
  /** Logs, data and truth, which are kept where there are faults. */
  readonly folder: string;
}

export interface MeasurePorts extends Omit<DemoPorts, 'onServing'> {
  /** Called before each kill, once edge B stands by and traffic has flowed; the kill follows as soon as it resolves. */
  readonly onArmed?: (processes: readonly OwnProcess[]) => Promise<void>;
  /** Called at once when edge B has a new reading. */
  readonly onReading?: () => void;
  /** Called after each takeover, before edge A is back: what it took stays true, however the rest goes. */
  readonly onTakeover?: (measured: MeasuredTakeover) => void;
}

/** Traffic between the contract and the first kill. */
const BEFORE_MS = { least: 500, most: 2_500 } as const;
/** So that takeovers follow soon upon each other; `dmu.terms.returnBackoffMs`. */
const BACKOFF_MS = 200;

/** Silences the motes and counts what became of all their uplinks. */
async function uplinksOf(run: ContractedRun): Promise<Omit<JudgedUplinks, 'folder'>> {
  const { radio, devices, truthFile, nodes, disturbances } = run;
  await radio.stopTraffic();
  await caughtUp(run);
  const events = await allEvents(
    nodes.a,
    devices.map(({ name }) => name),
  );
  const truth = await readTruth(truthFile);
  return judgeUplinks({ truth, devices, events, disturbances, unguarded: unguardedSince(run) });
}

type Listeners = RoundListeners & Required<Pick<MeasurePorts, 'onTakeover'>>;

async function perform(run: Run, listeners: Listeners): Promise<Omit<JudgedUplinks, 'folder'>> {
  const { takeovers } = run.options;
  await raise(run);
  await letMotesBeHeard(run);
  const contracted = await agree(run);
  await armed(contracted);
  await letPass(contracted, draw(run, 'moment', BEFORE_MS.least, BEFORE_MS.most));
  for (let round = 1; round <= takeovers; round++) {
    const { measured, failure } = await killAndMeasure(contracted, round, listeners);
    listeners.onTakeover(measured);
    const backAt = await startAgain(contracted, round, failure);
    if (round < takeovers) await becomeSteady(contracted, round, { killedAt: failure.at, backAt });
    else await takeBack(contracted, failure.at);
  }
  await settle(contracted);
  const { uplinks, faults } = await uplinksOf(contracted);
  return { uplinks, faults };
}

/**
 * The demo's story without its side plots: contract, then `takeovers` times SIGKILL of edge A, takeover and handback, and in the end the
 * count of all uplinks. Edge A starts again on its own disk each time; edge B is one process all the while. Times are taken while nothing
 * but the measurement itself asks edge B for anything. Throws `DemoError` where the story breaks off; what it started is ended in any case.
 */
export async function measureTakeovers(
  input: DemoOptionsInput,
  { stage = emptyStage, signal, build, onArmed, onReading, onTakeover }: MeasurePorts = {},
): Promise<JudgedUplinks> {
  const setting = await prepareSetting(completeOptions({ backoffMs: BACKOFF_MS, ...input }), build);
  const { folder } = setting;
  try {
    const run = await setting.open(waiterFor(setting, stage, signal));
    const judged = await perform(run, {
      onArmed: async () => onArmed?.(setting.processes.running()),
      onReading: () => onReading?.(),
      onTakeover: (measured) => onTakeover?.(measured),
    });
    await setting.end();
    if (judged.faults.length === 0) strike(setting);
    return { ...judged, folder };
  } catch (error) {
    await setting.end();
    stage.note(`Logs and data: ${folder}`);
    throw error;
  }
}
