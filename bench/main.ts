// `npm run bench [-- --quick] [names...]`: one line of JSON per figure on stdout, progress on stderr.
import { parseArgs } from 'node:util';
import { availability } from './availability.ts';
import type { Benchmark, BenchOptions } from './benchmark.ts';
import { codec } from './codec.ts';
import { coreCommand } from './core-command.ts';
import { coreIngest } from './core-ingest.ts';
import { coreKill } from './core-kill.ts';
import { coreMemory } from './core-memory.ts';
import { coreQueries } from './core-query.ts';
import { detector } from './detector.ts';
import { handback } from './handback.ts';
import { ledger } from './ledger.ts';
import { loraLatency } from './lora-latency.ts';
import { loraSessions } from './lora-sessions.ts';
import { loraUplinks } from './lora-uplinks.ts';
import { memory } from './memory.ts';
import { start } from './start.ts';
import { storage } from './storage.ts';
import { takeovers } from './takeover.ts';
import { udp } from './udp.ts';

const BENCHMARKS: readonly Benchmark[] = [
  codec,
  start,
  memory,
  udp,
  coreIngest,
  coreKill,
  ...coreQueries,
  coreMemory,
  coreCommand,
  ...storage,
  loraUplinks,
  loraLatency,
  loraSessions,
  ledger,
  detector,
  availability,
  ...takeovers,
  handback,
];

const say = (text: string): void => void process.stderr.write(`${text}\n`);

const USAGE = `npm run bench [-- [--quick] [--runs N] [name...]]: one line of JSON per figure on stdout.
  --quick   few and short runs: whether it works, not how fast
  --runs N  so many takeovers (20)
  --takeovers N  so many of them in a row in one setting (20), in which one edge is killed and comes back each time
  --beside N  so many settings for them at a time (1); only one of them is in the moments that are measured

${BENCHMARKS.map(({ name, about }) => `  ${name.padEnd(16)}${about}`).join('\n')}`;

/** `takeover` means `takeover.hot` and all others that begin so. */
const isMeant = ({ name }: Benchmark, wanted: string): boolean =>
  name === wanted || name.startsWith(`${wanted}.`);

function chosen(names: readonly string[]): readonly Benchmark[] | undefined {
  const unknown = names.filter((wanted) => !BENCHMARKS.some((benchmark) => isMeant(benchmark, wanted)));
  if (unknown.length > 0) say(`there is no benchmark ${unknown.join(', ')}\n\n${USAGE}`);
  else
    return BENCHMARKS.filter(
      (benchmark) => names.length === 0 || names.some((wanted) => isMeant(benchmark, wanted)),
    );
  return undefined;
}

/** Ctrl-C and the like: what was started is ended in order. */
function interruptible(): AbortController {
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      // A second one does not wait: the warden ends what is left.
      if (interrupted.signal.aborted) process.exit(1);
      interrupted.abort(new Error('interrupted'));
    });
  return interrupted;
}

async function take(benchmark: Benchmark, options: BenchOptions, interrupted: AbortSignal): Promise<boolean> {
  const { name, about } = benchmark;
  say(`${name}: ${about}`);
  const withinS = benchmark.withinS(options);
  const overdue = AbortSignal.timeout(withinS * 1_000);
  const signal = AbortSignal.any([interrupted, overdue]);
  const ports = { options, say: (text: string) => say(`  ${text}`), signal };
  try {
    for await (const figure of benchmark.run(ports)) process.stdout.write(`${JSON.stringify(figure)}\n`);
    return true;
  } catch (error) {
    const why = overdue.aborted ? `it took more than ${withinS} s` : String(error);
    say(`${name} could not be taken: ${why}`);
    return false;
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    runs: { type: 'string' },
    takeovers: { type: 'string' },
    beside: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});
const benchmarks = chosen(positionals);
const counts = ['runs', 'takeovers', 'beside'] as const;
const [runs, inARow, beside] = counts.map((name) =>
  values[name] === undefined ? undefined : Number(values[name]),
);
const wrong = counts.find((name) => values[name] !== undefined && !/^[1-9]\d{0,5}$/.test(values[name]));
if (values.help === true) say(USAGE);
else if (wrong !== undefined) {
  say(`--${wrong} is a whole number, not ${values[wrong]}\n\n${USAGE}`);
  process.exitCode = 2;
} else if (benchmarks === undefined) process.exitCode = 2;
else {
  const interrupted = interruptible().signal;
  for (const benchmark of benchmarks) {
    if (interrupted.aborted) process.exitCode = 1;
    else if (!(await take(benchmark, { quick: values.quick, runs, takeovers: inARow, beside }, interrupted)))
      process.exitCode = 1;
  }
}
