// `npm run sim`: runs the scenarios of some seeds; the first failing one prints its story. Interrupted, it says with which
// seed to go on.
import { availableParallelism } from 'node:os';
import { readCommandLine, UsageError, wholeNumber } from '@antirio/command-line';
import { scenarioKinds, type ScenarioKind } from './kinds.ts';
import { runInParts } from './parts.ts';
import type { Order, StretchResult } from './stretch.ts';

const PROGRESS_EVERY_MS = 10_000;
const MOST_WORKERS = 64;
const INTERRUPTED = 130;

const USAGE = `npm run sim: the scenarios of some seeds, each checked for every promise. The first that breaks one prints its story.

  --seeds N    so many (1000)
  --from S     the first one (1)
  --kind K     ${scenarioKinds.join(', ')} (${scenarioKinds[0]})
  --workers W  threads (as many as there are processors)
  --trace      prints every story
  --fine       the same with every message and write
`;

interface Options {
  readonly seeds: number;
  readonly from: number;
  readonly workers: number;
  readonly kind: ScenarioKind;
  readonly stories: Order['stories'];
}

const { seeds, from, workers, kind, stories } = readCommandLine({
  usage: USAGE,
  flags: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    workers: { type: 'string', default: String(Math.min(availableParallelism(), MOST_WORKERS)) },
    trace: { type: 'boolean', default: false },
    fine: { type: 'boolean', default: false },
    kind: { type: 'string', default: scenarioKinds[0] },
  },
  read({ values }): Options {
    const found = scenarioKinds.find((one) => one === values.kind);
    if (found === undefined) throw new UsageError(`--kind is one of ${scenarioKinds.join(', ')}`);
    return {
      seeds: wholeNumber('seeds', values.seeds, 0, Number.MAX_SAFE_INTEGER),
      from: wholeNumber('from', values.from, 0, Number.MAX_SAFE_INTEGER),
      workers: wholeNumber('workers', values.workers, 1, MOST_WORKERS),
      kind: found,
      stories: values.fine ? 'fine' : values.trace ? 'all' : 'failing',
    };
  },
});

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
