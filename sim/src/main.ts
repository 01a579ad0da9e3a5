// `npm run sim -- --seeds N --from S [--trace]`: runs the scenarios of these seeds; the first failing one prints its story.
import { parseArgs } from 'node:util';
import { runSeed, scenarioKinds } from './run.ts';
import { storyOf } from './story.ts';

const PROGRESS_EVERY = 500;

function numberOf(text: string | undefined, fallback: number, name: string): number {
  const value = text === undefined ? fallback : Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  process.stderr.write(`--${name} takes a whole number, not ${String(text)}\n`);
  process.exit(2);
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string' },
    trace: { type: 'boolean' },
    fine: { type: 'boolean' },
    kind: { type: 'string' },
  },
});
const seeds = numberOf(values.seeds, 1000, 'seeds');
const from = numberOf(values.from, 1, 'from');

const kind = scenarioKinds.find((one) => one === (values.kind ?? scenarioKinds[0]));
if (kind === undefined) {
  process.stderr.write(`--kind is one of ${scenarioKinds.join(', ')}\n`);
  process.exit(2);
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

const tell = (seed: number): void => {
  print(storyOf(runSeed(seed, { kind, trace: true }), values.fine ?? false));
};

const began = performance.now();
let events = 0;
let simulatedMs = 0;
const failed: number[] = [];
for (let seed = from; seed < from + seeds; seed++) {
  const result = runSeed(seed, { kind });
  events += result.events;
  simulatedMs += result.simulatedMs;
  const firstFailure = result.violations.length > 0 && failed.length === 0;
  if (values.trace === true || values.fine === true || firstFailure) tell(seed);
  const [violation] = result.violations;
  if (violation !== undefined) {
    failed.push(seed);
    print(`seed ${seed} broke ${violation.invariant}: ${violation.message}`);
  }
  if ((seed - from + 1) % PROGRESS_EVERY === 0)
    process.stderr.write(`${seed - from + 1} of ${seeds}, ${failed.length} failed\n`);
}
const seconds = (performance.now() - began) / 1000;
print(
  `${seeds} seeds from ${from}: ${failed.length} failed${failed.length === 0 ? '' : ` (${failed.slice(0, 20).join(', ')})`}; ` +
    `${(simulatedMs / 3_600_000).toFixed(1)} simulated hours in ${seconds.toFixed(1)} s, ${Math.round(events / seconds)} events/s`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
