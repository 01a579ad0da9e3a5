// Many demos with one verdict each: `npm run matrix`.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { DemoError } from './errors.ts';
import { flagsOf, MATRIX_USAGE, parseMatrixOptions, planMatrix, type MatrixOptions } from './matrix-plan.ts';
import { cellOf, record } from './matrix-table.ts';
import type { DemoOptions } from './options.ts';
import { shareProducts, type BuildProduct } from './product.ts';
import type { DemoReport } from './result.ts';
import { runDemo } from './run-demo.ts';
import { createStage, type Stage } from './stage.ts';
import { monotonic } from './clock.ts';
import { Writable } from 'node:stream';

const FAILED = 1;
const MISUSED = 2;
const STORY_KEPT = 1 << 20;

interface Outcome {
  readonly verdict: 'passed' | 'FAILED' | 'skipped';
  readonly report?: DemoReport;
  /** Why it failed or was skipped, and where its logs are. */
  readonly words: readonly string[];
  readonly seconds: number;
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** A story that is told only where it ends badly. */
function keptStory(): { readonly stage: Stage; text(): string } {
  let text = '';
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text = (text + chunk.toString()).slice(-STORY_KEPT);
      done();
    },
  });
  return { stage: createStage({ output, terminal: false, now: monotonic }), text: () => text };
}

async function runOne(options: DemoOptions, build: BuildProduct, signal: AbortSignal): Promise<Outcome> {
  const story = keptStory();
  const began = monotonic();
  const since = (): number => Math.round((monotonic() - began) / 1000);
  try {
    const result = await runDemo(options, { stage: story.stage, build, signal });
    const { report, faults, folder, kept } = result;
    if (report.ok) return { verdict: 'passed', report, words: [], seconds: since() };
    const where = kept ? [`Logs and data: ${folder}`] : [];
    return { verdict: 'FAILED', report, words: [...faults, story.text(), ...where], seconds: since() };
  } catch (error) {
    const words = [error instanceof Error ? error.message : String(error), story.text()];
    const left = error instanceof DemoError && (error.code === 'interrupted' || error.code === 'unavailable');
    return { verdict: left ? 'skipped' : 'FAILED', words, seconds: since() };
  }
}

const COLUMNS = [
  ...['verdict', 's', 'kill', 'standby', 'confid.', 'runtime', 'covered', 'lost', 'doubled', 'forged'],
  ...['detected', 'reading', 'settled'],
] as const;
const WIDTHS = [7, 4, 15, 7, 7, 7, 7, 4, 7, 6, 8, 7, 9];

const rowOf = (cells: readonly (string | number)[]): string =>
  cells.map((cell, i) => String(cell).padEnd(WIDTHS[i] ?? 0)).join('  ');

function tell(options: DemoOptions, { verdict, report, words, seconds }: Outcome): void {
  const { kill, standby, confidentiality, runtime } = options;
  const cells = [verdict, seconds, kill, standby, confidentiality, runtime];
  const { uplinks, takeoverMs, settlement } = report ?? {};
  const figures = [
    ...[uplinks?.covered, uplinks?.lost, uplinks?.doubled, uplinks?.forged],
    ...[takeoverMs?.detected, takeoverMs?.firstReading, settlement?.state],
  ].map((figure) => figure ?? '-');
  print(`${rowOf([...cells, ...figures])}  ${flagsOf(options)}`);
  for (const line of words) print(line.replace(/^/gm, '    '));
}

async function engineAnswers(): Promise<boolean> {
  try {
    await promisify(execFile)('docker', ['version'], { timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

interface Counts {
  readonly verdicts: Record<Outcome['verdict'], number>;
  /** Not begun, for want of time. */
  readonly left: number;
}

async function runAll(options: MatrixOptions, signal: AbortSignal): Promise<Counts> {
  const plan = planMatrix(options);
  const verdicts = { passed: 0, FAILED: 0, skipped: 0 };
  const docker = plan.some(({ runtime }) => runtime === 'docker') && (await engineAnswers());
  const products = shareProducts();
  const until = monotonic() + (options.within ?? Infinity) * 1000;
  const again: DemoOptions[] = [];
  print(rowOf(COLUMNS));
  const skip = (words: string): Outcome => ({ verdict: 'skipped', words: [words], seconds: 0 });
  const outcomeOf = async (one: DemoOptions): Promise<Outcome> => {
    if (one.runtime === 'docker' && !docker) return skip('no container engine answers');
    return signal.aborted ? skip('interrupted') : runOne(one, products.build, signal);
  };
  const count = (one: DemoOptions, outcome: Outcome): void => {
    verdicts[outcome.verdict] += 1;
    tell(one, outcome);
    if (options.markdown !== undefined && outcome.verdict === 'passed' && outcome.report !== undefined)
      record(options.markdown, cellOf(one, outcome.report));
  };
  let next = 0;
  const work = async (): Promise<void> => {
    while (monotonic() < until) {
      const one = plan[next++];
      if (one === undefined) return;
      const outcome = await outcomeOf(one);
      // what came to its end and was judged is not judged again: a lost reading is one, however seldom
      if (outcome.verdict === 'FAILED' && outcome.report === undefined && options['second-attempt']) {
        tell(one, outcome);
        again.push(one);
      } else count(one, outcome);
    }
  };
  try {
    await Promise.all(Array.from({ length: options['at-once'] }, work));
    if (again.length > 0) print('Once more, by itself, what did not come to its end:');
    for (const one of again) count(one, await outcomeOf(one));
  } finally {
    products.remove();
  }
  return { verdicts, left: Math.max(0, plan.length - next) };
}

function readOptions(): MatrixOptions | undefined {
  try {
    return parseMatrixOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof DemoError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(MISUSED);
  }
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options === undefined) {
    process.stdout.write(MATRIX_USAGE);
    return;
  }
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interrupted.abort());
  const { verdicts, left } = await runAll(options, interrupted.signal);
  const { passed, FAILED: failed, skipped } = verdicts;
  if (left > 0) print(`not begun within ${options.within ?? 0} s: ${left} of the runs`);
  print(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : FAILED;
}

await main();
