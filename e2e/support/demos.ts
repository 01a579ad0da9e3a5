import { rmSync } from 'node:fs';
import {
  runDemo,
  shareProducts,
  type DemoOptionsInput,
  type DemoPorts,
  type DemoReport,
  type DemoResult,
} from '@antirio/demo';
import { runDemoCommand } from './command.ts';
import { createTold } from './told.ts';

/** What became of a demo, and its story. */
export interface Outcome extends Pick<DemoResult, 'report' | 'faults'> {
  /** Whom the SIGKILLs hit. */
  readonly kills: readonly string[];
  readonly story: string;
  /** Removes the logs and data that a failed demo leaves: for failures that were wanted. */
  discard(): void;
}

/** One demo to be run. */
export interface PlannedDemo extends DemoOptionsInput {
  readonly onServing?: DemoPorts['onServing'];
  /** As a command, with its flags, instead of in this process. */
  readonly asCommand?: boolean;
}

/** Demos that run side by side while tests wait for the one that each is about. */
export interface Demos {
  /** What became of a demo. Throws where it could not be run, with its story. */
  result(name: string): Promise<Outcome>;
  /** Ends those that still run, and removes everything that was built. */
  end(): Promise<void>;
}

/** So many at once: each is mostly waiting, but too many would starve the beats. */
const AT_ONCE = 4;

function discardOf(folder: string | undefined): () => void {
  return () => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  };
}

async function runAsCommand(options: DemoOptionsInput, signal: AbortSignal): Promise<Outcome> {
  const { code, stdout, stderr } = await runDemoCommand(options, signal);
  // One JSON object is all of stdout: anything besides it makes this throw.
  const report = JSON.parse(stdout) as DemoReport;
  const faults = code === (report.ok ? 0 : 1) ? [] : [`the command ended with ${String(code)}`];
  const { kill = 'sigkill', furtherKills = [] } = options;
  const kills = [...(kill === 'sigkill' ? ['a'] : []), ...furtherKills.map(({ party }) => party)];
  const [, folder] = /^ *Logs and data: (.+)$/m.exec(stderr) ?? [];
  return { report, faults, kills, story: stderr, discard: discardOf(folder) };
}

async function runHere(
  { onServing, ...options }: PlannedDemo,
  { build, signal }: Required<Pick<DemoPorts, 'build' | 'signal'>>,
): Promise<Outcome> {
  const told = createTold();
  const ports = { stage: told.stage, signal, build, ...(onServing === undefined ? {} : { onServing }) };
  try {
    const { report, faults, kills, folder, kept } = await runDemo(options, ports);
    return {
      ...{ report, faults, kills: kills.map(({ party }) => party) },
      discard: discardOf(kept ? folder : undefined),
      story: `${told.text()}${kept ? `\n\nLogs and data: ${folder}` : ''}`,
    };
  } catch (cause) {
    throw new Error(`${String(cause)}\n\n${told.text()}`, { cause });
  }
}

/**
 * Starts demos in the order in which they stand there.
 *
 * @param common what a plan is completed with, by its name
 */
export function startDemos(
  plans: Readonly<Record<string, PlannedDemo>>,
  common: (name: string) => PlannedDemo,
): Demos {
  const products = shareProducts();
  const interrupted = new AbortController();
  const { signal } = interrupted;
  const start = async ({ asCommand = false, ...plan }: PlannedDemo): Promise<Outcome> => {
    signal.throwIfAborted();
    return asCommand ? runAsCommand(plan, signal) : runHere(plan, { build: products.build, signal });
  };
  const results = new Map<string, PromiseWithResolvers<Outcome>>();
  for (const name of Object.keys(plans)) {
    const result = Promise.withResolvers<Outcome>();
    // Who waits for it is told; that nobody waits for it any more is no fault.
    result.promise.catch(() => undefined);
    results.set(name, result);
  }
  const waiting = [...results];
  const lane = async (): Promise<void> => {
    for (let turn = waiting.shift(); turn !== undefined; turn = waiting.shift()) {
      const [name, { resolve, promise }] = turn;
      resolve(start({ ...common(name), ...plans[name] }));
      await promise.catch(() => undefined);
    }
  };
  const lanes = Array.from({ length: AT_ONCE }, lane);
  return {
    result(name) {
      const outcome = results.get(name);
      if (outcome === undefined) throw new Error(`no demo ${name} is planned`);
      return outcome.promise;
    },
    async end() {
      interrupted.abort();
      await Promise.all(lanes);
      products.remove();
    },
  };
}
