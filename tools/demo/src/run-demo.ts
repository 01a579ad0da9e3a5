import { setTimeout as sleep } from 'node:timers/promises';
import { monotonic } from './clock.ts';
import { DemoError } from './errors.ts';
import { completeOptions, type DemoOptions, type DemoOptionsInput } from './options.ts';
import { play } from './play.ts';
import type { Progress } from './progress.ts';
import { emptyReport, type DemoResult } from './result.ts';
import type { BuildProduct } from './product.ts';
import type { ContractedRun, Run } from './run.ts';
import { prepareSetting, strike, type Setting } from './setting.ts';
import { emptyStage, type Stage } from './stage.ts';
import { judge, type Verdict } from './verdict.ts';
import type { Waiter } from './wait.ts';

export interface DemoPorts {
  /** Where the story is told. */
  readonly stage?: Stage;
  /** Ends the demo early, as Ctrl-C does. */
  readonly signal?: AbortSignal;
  /** For demos that share what is built. */
  readonly build?: BuildProduct;
  /** Called while edge B serves and edge A is away. */
  readonly onServing?: (run: ContractedRun) => Promise<void>;
}

const SETTLE_DOWN_MS = 3_000;
const NEVER = { detected: -1, activated: -1, firstReading: -1 };

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Waits are told on the stage, and given up when the demo is interrupted or a process ended by itself. */
export function waiterFor(setting: Setting, stage: Stage, signal: AbortSignal | undefined): Waiter {
  return {
    stage,
    now: monotonic,
    check: () => {
      if (signal?.aborted === true) throw new DemoError('interrupted', 'the demo was interrupted');
      setting.processes.check();
    },
  };
}

/** A verdict also on a play that broke off, as far as what is left of it can be asked. */
async function judgeWhatIsThere(progress: Progress, brokenOff: unknown): Promise<Verdict> {
  const fault = describe(brokenOff);
  const { contracted, takeoverMs } = progress;
  if (contracted === undefined) return { report: emptyReport, faults: [fault] };
  try {
    // What is still under way would look lost, or forged.
    await contracted.radio.stopTraffic();
    await sleep(SETTLE_DOWN_MS);
    const { report, faults } = await judge(contracted, takeoverMs, progress);
    return { report: { ...report, ok: false }, faults: [fault, ...faults] };
  } catch (error) {
    return { report: { ...emptyReport, takeoverMs }, faults: [fault, describe(error)] };
  }
}

/** The whole story of a setting that is open, and the verdict, also on a story that broke off. */
export async function perform(run: Run, onServing?: DemoPorts['onServing']): Promise<Verdict> {
  const progress: Progress = { takeoverMs: NEVER, early: false, quiet: false };
  try {
    const played = await play(run, progress, onServing);
    run.waiter.stage.act("the verdict, by the motes' truth and REST alone");
    return await judge(played, progress.takeoverMs, progress);
  } catch (error) {
    // Nobody waits for a verdict on what was ended by hand.
    if (error instanceof DemoError && error.code === 'interrupted') throw error;
    return judgeWhatIsThere(progress, error);
  }
}

/** Ends everything, or says where what was kept is found. */
async function leave(setting: Setting, options: DemoOptions): Promise<string[]> {
  if (!options.keep) {
    await setting.end();
    return [];
  }
  await setting.keep();
  return setting.directions();
}

/**
 * Runs the demo: central, two edges, motes, a failure, the takeover, the handback, and the verdict. Everything that it
 * starts is ended before it resolves or throws, unless `keep` is asked for. Throws `DemoError` where it could not be run;
 * a demo that ran and failed is a result.
 */
export async function runDemo(
  input: DemoOptionsInput,
  { stage = emptyStage, signal, build, onServing }: DemoPorts = {},
): Promise<DemoResult> {
  const options = completeOptions(input);
  const setting = await prepareSetting(options, build);
  try {
    const run = await setting.open(waiterFor(setting, stage, signal));
    const verdict = await perform(run, onServing);
    const directions = await leave(setting, options);
    const kept = options.keep || !verdict.report.ok;
    if (!kept) strike(setting);
    return { ...verdict, kills: run.kills, folder: setting.folder, kept, directions };
  } catch (error) {
    await setting.end();
    stage.note(`Logs and data: ${setting.folder}`);
    throw error;
  }
}
