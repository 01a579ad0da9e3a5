// `npm run fuzz`: foreign input for whatever takes it. The last line is `N passed, N failed, N skipped`.
import { readCommandLine, UsageError, wholeNumber } from '@antirio/command-line';
import {
  createCoreServices,
  CORE_SERVICES,
  type CoreService,
  type CoreServices,
} from '@antirio/core-services';
import { loadContract } from '@antirio/edgex-contract';
import { fuzzService, type Outcome } from './fuzz-service.ts';
import { runParsers } from './parsers/run.ts';
import { runProperties, type Counts, type Part } from './properties.ts';
import { ensureSchemathesis } from './schemathesis.ts';
import { createSeeds } from './seeds.ts';

const RESOW_MS = 1000;
const LEAST_SECONDS = 4;

interface Options {
  /** For a service, in the mean: each gets as much as it has operations. */
  readonly seconds: number;
  readonly seed: number;
  readonly properties: Part | undefined;
  /** Inputs for all parsers together. */
  readonly count: number;
  readonly parsersAlone: boolean;
}

const USAGE = `npm run fuzz             what schemathesis draws from EdgeX's OpenAPI documents against the running services, every parser
                         of what gateways and motes send with bad inputs, and the property tests with other examples
npm run fuzz -- parsers  the parsers alone

  --seconds N     for each service, in the mean (120)
  --seed N        everything follows from it (drawn by the time)
  --properties P  none, or a part of the property tests, such as 1/3 (1/1)
  --count N       inputs for all parsers together (100000, and 1000000 for the parsers alone)
`;

function partOf(text: string): Part | undefined {
  if (text === 'none') return undefined;
  const [, part = '', of = ''] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (part === '' || Number(part) < 1 || Number(part) > Number(of))
    throw new UsageError(`--properties is none or a part, such as 1/3; not ${text}`);
  return { part: Number(part), of: Number(of) };
}

const readOptions = (): Options =>
  readCommandLine({
    usage: USAGE,
    flags: {
      seconds: { type: 'string', default: '120' },
      seed: { type: 'string', default: String(Math.floor(Date.now() / 1000) % 1_000_000) },
      properties: { type: 'string', default: '1/1' },
      count: { type: 'string' },
    },
    positionals: 1,
    read({ values, positionals: [what] }) {
      if (what !== undefined && what !== 'parsers') throw new UsageError(`fuzz knows parsers, not ${what}`);
      const parsersAlone = what === 'parsers';
      return {
        seconds: wholeNumber('seconds', values.seconds, 4),
        seed: wholeNumber('seed', values.seed, 0),
        properties: partOf(values.properties),
        count: wholeNumber('count', values.count ?? (parsersAlone ? '1000000' : '100000'), 1),
        parsersAlone,
      };
    },
  });

function say({ round: { service, names, seed }, cases, operations, complaint }: Outcome): void {
  const tried = `${operations.tested} of ${operations.selected} operations`;
  const said = `${service}, ${names} names, seed ${seed}: ${cases} requests, ${tried}`;
  console.log(complaint === undefined ? `ok     ${said}` : `FAILED ${said}\n${complaint}`);
}

/** Seconds for one round of each service. */
function secondsOf(mean: number): ReadonlyMap<CoreService, number> {
  const operations = CORE_SERVICES.map((service) => loadContract(service).operations.length);
  const all = operations.reduce((sum, some) => sum + some, 0);
  const total = mean * CORE_SERVICES.length;
  return new Map(
    CORE_SERVICES.map((service, i) => [
      service,
      Math.max(LEAST_SECONDS, Math.ceil((total * (operations[i] ?? 0)) / all / 2)),
    ]),
  );
}

/** What no round of the service got to. */
function untested(outcomes: readonly Outcome[]): string | undefined {
  const missed = outcomes.map(({ operations }) => operations.selected - operations.tested);
  const least = Math.min(...missed);
  return least === 0
    ? undefined
    : `no round tested all operations: ${least} were not; give it more --seconds`;
}

/** One round after the other; what requests have deleted is put back meanwhile. */
async function rounds(command: string, core: CoreServices, { seconds, seed }: Options): Promise<Outcome[]> {
  const seeds = await createSeeds(core);
  const outcomes: Outcome[] = [];
  let sowing: Promise<void> | undefined;
  const resow = (): void => {
    sowing ??= seeds
      .sow()
      // Failing services are the rounds' to tell.
      .catch((error: unknown) => void process.stderr.write(`seeds: ${String(error)}\n`))
      .finally(() => (sowing = undefined));
  };
  await seeds.sow();
  const timer = setInterval(resow, RESOW_MS);
  try {
    for (const [service, each] of secondsOf(seconds)) {
      const drawn = await fuzzService(command, core, { service, names: 'drawn', seed, seconds: each });
      say(drawn);
      const last = await fuzzService(command, core, { service, names: 'known', seed, seconds: each });
      const known = { ...last, complaint: last.complaint ?? untested([drawn, last]) };
      say(known);
      outcomes.push(drawn, known);
    }
  } finally {
    clearInterval(timer);
    await sowing;
    seeds.end();
  }
  return outcomes;
}

async function fuzz(options: Options): Promise<Counts> {
  const command = ensureSchemathesis();
  const core = await createCoreServices();
  let failed = 1;
  try {
    await core.start();
    const outcomes = await rounds(command, core, options);
    failed = outcomes.filter(({ complaint }) => complaint !== undefined).length;
    return { passed: outcomes.length - failed, failed, skipped: 0 };
  } finally {
    await core.end(failed === 0);
    if (failed > 0) console.log(`logs and data: ${core.folder}`);
  }
}

async function all(options: Options): Promise<Counts[]> {
  const { seed, count, properties } = options;
  const parts = [await runParsers(count, seed)];
  if (options.parsersAlone) return parts;
  parts.push(await fuzz(options));
  if (properties !== undefined) parts.push(await runProperties(properties, seed));
  return parts;
}

const options = readOptions();
console.log(`seed ${options.seed}`);
const parts = await all(options);
const sum = (of: keyof Counts): number => parts.reduce((total, counts) => total + counts[of], 0);
console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
process.exitCode = sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;
