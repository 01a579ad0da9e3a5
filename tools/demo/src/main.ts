// The demo as a command: `node tools/demo/src/main.ts [flags]`, also `npm run demo` and `antirio demo`.
import { monotonic } from './clock.ts';
import { DRONE_USAGE, isDroneScenario, parseDroneOptions, type DroneOptions } from './drone/options.ts';
import { droneClosing } from './drone/report.ts';
import { runDroneDemo } from './drone/run.ts';
import { DemoError } from './errors.ts';
import { parseOptions, USAGE, type DemoOptions } from './options.ts';
import { closingOf } from './report.ts';
import { emptyReport } from './result.ts';
import { runDemo } from './run-demo.ts';
import { createStage, type Stage } from './stage.ts';

const FAILED = 1;
const MISUSED = 2;

function stageFor({ json }: Pick<DemoOptions, 'json'>): Stage {
  // With `--json` all of stdout is the result: the story is told on stderr.
  const output = json ? process.stderr : process.stdout;
  return createStage({ output, terminal: output.isTTY, now: monotonic });
}

function interruptible(): AbortSignal {
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      // A second one does not wait: the warden ends what is left.
      if (interrupted.signal.aborted) process.exit(FAILED);
      interrupted.abort();
    });
  return interrupted.signal;
}

async function perform(options: DemoOptions): Promise<void> {
  const stage = stageFor(options);
  try {
    const result = await runDemo(options, { stage, signal: interruptible() });
    for (const line of closingOf(result)) stage.note(line);
    if (options.json) process.stdout.write(`${JSON.stringify(result.report)}\n`);
    process.exitCode = result.report.ok ? 0 : FAILED;
  } catch (error) {
    process.exitCode = FAILED;
    if (options.json) process.stdout.write(`${JSON.stringify(emptyReport)}\n`);
    if (!(error instanceof DemoError)) throw error;
    stage.note(error.message);
  }
}

function readOptions<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof DemoError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(MISUSED);
  }
}

async function performDrone(options: DroneOptions): Promise<void> {
  const stage = stageFor(options);
  try {
    const result = await runDroneDemo(options, { stage, signal: interruptible() });
    for (const line of droneClosing(result, result.folder)) stage.note(line);
    if (options.json) process.stdout.write(`${JSON.stringify(result.report)}\n`);
    process.exitCode = result.report.ok ? 0 : FAILED;
  } catch (error) {
    process.exitCode = FAILED;
    if (options.json) process.stdout.write(`${JSON.stringify({ ok: false })}\n`);
    if (!(error instanceof DemoError)) throw error;
    stage.note(error.message);
  }
}

const argv = process.argv.slice(2);
if (isDroneScenario(argv)) {
  const options = readOptions(() => parseDroneOptions(argv));
  if (options === undefined) process.stdout.write(DRONE_USAGE);
  else await performDrone(options);
} else {
  const options = readOptions(() => parseOptions(argv));
  if (options === undefined) process.stdout.write(USAGE);
  else await perform(options);
}
