// `npm run sim -- --seeds N --from S [--kind K] [--workers W] [--trace]`: runs the scenarios of these seeds on W threads; the first
// failing one prints its story. Interrupted, it says with which seed to go on.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { scenarioKinds } from './kinds.ts';
import { runInParts } from './parts.ts';
import type { Order, StretchResult } from './stretch.ts';

const PROGRESS_EVERY_MS = 10_000;
const MOST_WORKERS = 64;
const INTERRUPTED = 130;

function fail(words: string): never {
  process.stderr.write(`${words}\n`);
  process.exit(2);
}

function numberOf(text: string | undefined, fallback: number, name: string): number {
  const value = text === undefined ? fallback : Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  return fail(`--${name} takes a whole number, not ${String(text)}`);
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string' },
    workers: { type: 'string' },
    trace: { type: 'boolean' },
    fine: { type: 'boolean' },
    kind: { type: 'string' },
  },
});
const seeds = numberOf(values.seeds, 1000, 'seeds');
const from = numberOf(values.from, 1, 'from');
const workers = numberOf(values.workers, Math.min(availableParallelism(), MOST_WORKERS), 'workers');
if (workers < 1 || workers > MOST_WORKERS) fail(`--workers is from 1 to ${MOST_WORKERS}, not ${workers}`);
const kind =
  scenarioKinds.find((one) => one === (values.kind ?? scenarioKinds[0])) ??
  fail(`--kind is one of ${scenarioKinds.join(', ')}`);
const stories: Order['stories'] = values.fine === true ? 'fine' : values.trace === true ? 'all' : 'failing';

const print = (text: string): void => void process.stdout.write(`${text}\n`);
const say = (text: string): void => void process.stderr.write(`${text}\n`);

const began = performance.now();
let done = 0;
let events = 0;
let simulatedMs = 0;
const failed: number[] = [];

function settle(result: StretchResult): void {
  done += result.count;
  events += result.events;
  simulatedMs += result.simulatedMs;
  if (stories !== 'failing' || failed.length === 0) result.stories.forEach(print);
  for (const { seed, words } of result.failed) {
    failed.push(seed);
    print(`seed ${seed} ${words}`);
  }
}

const secondsSoFar = (): number => (performance.now() - began) / 1000;

function tellProgress(): void {
  const leftMinutes = ((secondsSoFar() / done) * (seeds - done)) / 60;
  const left = done === 0 ? '' : `, ${leftMinutes.toFixed(1)} minutes to go`;
  say(`${done} of ${seeds}, ${failed.length} failed${left}`);
}

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    interruption.abort();
  });
const progress = setInterval(tellProgress, PROGRESS_EVERY_MS);
let broken = false;
try {
  await runInParts({ kind, stories }, { from, count: seeds }, workers, settle, interruption.signal);
} catch (error) {
  broken = true;
  say(`a part has died: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
} finally {
  clearInterval(progress);
}
const seconds = secondsSoFar();
const ofThem = done === seeds ? '' : ` of ${seeds}`;
const which = failed.length === 0 ? '' : ` (${failed.slice(0, 20).join(', ')})`;
print(
  `${done}${ofThem} seeds from ${from}: ${failed.length} failed${which}; ` +
    `${(simulatedMs / 3_600_000).toFixed(1)} simulated hours in ${seconds.toFixed(1)} s, ${Math.round(events / seconds)} events/s`,
);
if (done < seeds) print(`to go on: --kind ${kind} --from ${from + done} --seeds ${seeds - done}`);
if (failed.length > 0 || broken) process.exitCode = 1;
else if (done < seeds) process.exitCode = INTERRUPTED;
