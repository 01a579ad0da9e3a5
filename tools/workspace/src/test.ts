// `npm test`: all tests, the quick kinds first.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { readCommandLine, UsageError } from '@antirio/command-line';
import {
  combine,
  countsLine,
  filesToRepeat,
  furtherAttempt,
  nothing,
  summarise,
  type JestResults,
  type Summary,
} from './jest-results.ts';
import { workspaceRoot } from './root.ts';

const KINDS = ['unit', 'integration', 'sim', 'e2e', 'lab'];
const JEST = join(workspaceRoot, 'node_modules/jest/bin/jest.js');
/** How long a run may take to end once its results are written; then something was left open. */
const GRACE_MS = 20_000;
const MESSAGE_LINES = 25;

interface Options {
  readonly kinds: readonly string[];
  readonly name: string | undefined;
  readonly paths: readonly string[];
  /** A skipped test fails the run. */
  readonly noSkips: boolean;
  /** The few files that fail are run up to twice more by themselves; what passes then is told, and does not fail the run. */
  readonly secondAttempt: boolean;
}

interface Run extends Options {
  /** One file after the other. */
  readonly alone: boolean;
}

const USAGE = `npm test [-- [flags] [path patterns]]: all tests, or those in files whose paths match. The last line is
"N passed, N failed, N skipped".

  --kind K          only these kinds, with commas between them: ${KINDS.join(', ')}
  --name P          only tests whose names match; -t P does the same
  --no-skips        a skipped test fails the run
  --second-attempt  the few files that fail are run up to twice more by themselves, and told
`;

const readOptions = (): Options =>
  readCommandLine({
    usage: USAGE,
    flags: {
      kind: { type: 'string', default: KINDS.join(',') },
      name: { type: 'string', short: 't' },
      'no-skips': { type: 'boolean', default: false },
      'second-attempt': { type: 'boolean', default: false },
    },
    positionals: Infinity,
    read({ values, positionals }) {
      const kinds = values.kind.split(',');
      const unknown = kinds.filter((kind) => !KINDS.includes(kind));
      if (unknown.length > 0)
        throw new UsageError(`--kind knows ${KINDS.join(', ')}; not ${unknown.join(', ')}`);
      return {
        kinds,
        name: values.name,
        paths: positionals,
        noSkips: values['no-skips'],
        secondAttempt: values['second-attempt'],
      };
    },
  });

/** How many tests of a kind run side by side, for jest. */
function workersOf(kind: string, alone: boolean): string[] {
  // A lab is thirty containers: two side by side would starve the beats.
  if (alone || kind === 'lab') return ['--runInBand'];
  // Integration tests wait for processes and radio times more than they work: three of them keep two cores busy.
  if (kind === 'integration') return ['--maxWorkers', '3'];
  // End-to-end tests start several edges each: two of them fill two cores, and no more.
  return kind === 'e2e' ? ['--maxWorkers', '2'] : [];
}

function jestArguments(kind: string, output: string, { name, paths, alone }: Run): string[] {
  return [
    ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', JEST],
    ...['--selectProjects', kind, '--passWithNoTests', '--json', '--outputFile', output],
    ...workersOf(kind, alone),
    ...(name === undefined ? [] : ['--testNamePattern', name]),
    ...(paths.length === 0 ? [] : ['--testPathPatterns', ...paths]),
  ];
}

/** Ends with a complaint, or undefined where jest ended as it should. */
function runJest(kind: string, output: string, options: Run): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, jestArguments(kind, output, options), {
      cwd: workspaceRoot,
      // What jest tells while it works goes to stderr; stdout has our summary alone.
      stdio: ['ignore', process.stderr, process.stderr],
      // Tests start hundreds of processes from the same sources: each is compiled once in a run, not in each of them.
      env: { NODE_COMPILE_CACHE: join(dirname(output), 'compiled'), ...process.env },
    });
    let hung = false;
    let writtenSince: number | undefined;
    const watch = setInterval(() => {
      if (writtenSince === undefined && existsSync(output)) writtenSince = performance.now();
      hung = writtenSince !== undefined && performance.now() - writtenSince > GRACE_MS;
      if (hung) child.kill('SIGKILL');
    }, 500);
    const forward = (signal: NodeJS.Signals) => child.kill(signal);
    process.on('SIGINT', forward).on('SIGTERM', forward);
    child.on('close', (code, signal) => {
      clearInterval(watch);
      process.off('SIGINT', forward).off('SIGTERM', forward);
      if (hung) resolve('jest did not end: a test left a handle or a process open');
      else resolve(code === 0 ? undefined : `jest ended with ${signal ?? `code ${code ?? 'unknown'}`}`);
    });
  });
}

async function runOnce(kind: string, output: string, options: Run): Promise<Summary> {
  const complaint = await runJest(kind, output, options);
  const pattern = options.name === undefined ? undefined : new RegExp(options.name, 'i');
  const counted = existsSync(output)
    ? summarise(JSON.parse(readFileSync(output, 'utf8')) as JestResults, pattern)
    : nothing;
  // A run that ends badly though no test failed must not pass for a good one.
  const unexplained = complaint !== undefined && counted.failures.length === 0;
  return unexplained
    ? combine(counted, { ...nothing, failures: [{ file: kind, name: '(the run)', message: complaint }] })
    : counted;
}

async function repeatFailed(
  first: Summary,
  kind: string,
  folder: string,
  options: Options,
): Promise<Summary> {
  let known = first;
  for (const attempt of ['second', 'third']) {
    const files = filesToRepeat(known);
    if (files.length === 0) break;
    console.log(`${kind}: a ${attempt} time, by themselves: ${files.map(place).join(', ')}`);
    const paths = files.map((file) => RegExp.escape(file));
    const output = join(folder, `${kind}-${attempt}.json`);
    known = furtherAttempt(known, await runOnce(kind, output, { ...options, paths, alone: true }));
  }
  return known;
}

async function runKind(kind: string, folder: string, options: Options): Promise<Summary> {
  const started = performance.now();
  const first = await runOnce(kind, join(folder, `${kind}.json`), { ...options, alone: false });
  const summary = options.secondAttempt ? await repeatFailed(first, kind, folder, options) : first;
  const took = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${kind}: ${countsLine(summary)} (${took} s)`);
  return summary;
}

const place = (file: string): string => relative(workspaceRoot, file) || file;

function shortened(message: string): string {
  const lines = message.split('\n').filter((line) => !line.includes('/node_modules/'));
  const shown = lines.slice(0, MESSAGE_LINES);
  if (lines.length > shown.length) shown.push(`... ${lines.length - shown.length} more lines`);
  return shown.map((line) => `    ${line}`).join('\n');
}

function print(summary: Summary): void {
  if (summary.unsteady.length > 0) console.log('\nFailed first and passed at a later attempt:');
  for (const { file, name, message } of summary.unsteady) {
    console.log(`  ${place(file)} > ${name}\n${shortened(message)}`);
  }
  if (summary.failures.length > 0) console.log('\nFailed:');
  for (const { file, name, message } of summary.failures) {
    console.log(`  ${place(file)} > ${name}\n${shortened(message)}`);
  }
  if (summary.skips.length > 0) console.log('\nSkipped:');
  for (const { file, name, reason } of summary.skips) console.log(`  ${place(file)} > ${name}: ${reason}`);
  if (summary.passed + summary.failures.length === 0) console.log('\nNo test ran.');
  console.log(countsLine(summary));
}

async function main(): Promise<void> {
  const options = readOptions();
  const folder = mkdtempSync(join(tmpdir(), 'antirio-test-'));
  try {
    let total = nothing;
    for (const kind of options.kinds) total = combine(total, await runKind(kind, folder, options));
    print(total);
    const complete = total.passed > 0 && (total.skips.length === 0 || !options.noSkips);
    process.exitCode = total.failures.length === 0 && complete ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
