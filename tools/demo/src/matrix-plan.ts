import { parseArgs } from 'node:util';
import { z } from 'zod';
import { drawn } from './clock.ts';
import { DemoError } from './errors.ts';
import {
  completeOptions,
  FAILURE_KINDS,
  FAILURES,
  KILL_PHASES,
  type DemoOptions,
  type FailureKind,
  type FurtherKill,
} from './options.ts';

const STANDBYS = ['hot', 'warm', 'cold'] as const;
const CONFIDENTIALITIES = ['process', 'forward'] as const;
const RUNTIMES = ['process', 'docker'] as const;
const PARTIES = ['a', 'b', 'central'] as const;

const whole = (least: number, most: number) => z.coerce.number().int().min(least).max(most);
const some = <T extends string>(all: readonly [T, ...T[]]) =>
  z
    .array(z.enum(all))
    .min(1)
    .default([...all]);

const matrixSchema = z.strictObject({
  /** Every run's own seed, its further kills and their moments follow from it. */
  seed: z.string().min(1).max(60).default('1'),
  /** How often each combination is run. */
  rounds: whole(1, 10_000).default(1),
  /** `2/6`: the second sixth of the runs, spread over all combinations. */
  part: z
    .string()
    .regex(/^\d{1,4}\/\d{1,4}$/, 'such as 2/6')
    .default('1/1')
    .transform((text) => {
      const [number = 1, of = 1] = text.split('/').map(Number);
      return { number, of };
    })
    .refine(({ number, of }) => number >= 1 && number <= of, 'from 1/N to N/N'),
  'at-once': whole(1, 16).default(2),
  /** Seconds after which no further run begins: what is left is told, and not counted. */
  within: whole(1, 1_000_000).optional(),
  /** What does not come to its end is run once more by itself; what passes then is told, and does not fail the matrix. */
  'second-attempt': z.boolean().default(false),
  /** Further SIGKILLs of a run at most. */
  further: whole(0, 6).default(3),
  duration: whole(1, 3_600).default(3),
  /** A document with what happened in each cell: the cells that are run are written anew. */
  markdown: z.string().min(1).optional(),
  kill: some(FAILURE_KINDS),
  standby: some(STANDBYS),
  /** Of each run one of these, drawn from its seed. */
  confidentiality: some(CONFIDENTIALITIES),
  runtime: some(RUNTIMES),
});
export type MatrixOptions = z.output<typeof matrixSchema>;

export const MATRIX_USAGE = `npm run matrix: demos of every failure, standby and runtime, each with a confidentiality and further SIGKILLs drawn from its seed.
Stories in which more than one thing happens are told with one standby and one runtime (the first that are asked for), without further SIGKILLs.

  --seed S            everything follows from it (1)
  --rounds N          how often each of the combinations is run (1)
  --part K/N          only this part of the runs (1/1)
  --at-once N         demos side by side (2)
  --within S          begins no further run after S seconds, and tells how many are left
  --second-attempt    runs once more, by itself, what did not come to its end
  --further N         further SIGKILLs of a run at most (3)
  --duration S        seconds of traffic before the failure, and again after the handback (3)
  --markdown FILE     writes what happened in each cell into the table of this document
  --kill, --standby, --confidentiality, --runtime V
                      only these values; may be given again

One run alone: npm run demo with the flags that its line ends with.
`;

const one = { type: 'string' } as const;
const many = { type: 'string', multiple: true } as const;
const flags = {
  ...{ seed: one, rounds: one, part: one, 'at-once': one, further: one, duration: one, markdown: one },
  ...{ kill: many, standby: many, confidentiality: many, runtime: many },
  within: one,
  'second-attempt': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Reads a command line; undefined where it asks for help. Throws `badOptions`. */
export function parseMatrixOptions(argv: readonly string[]): MatrixOptions | undefined {
  let values: Record<string, unknown>;
  try {
    values = parseArgs({ args: [...argv], options: flags }).values;
  } catch (error) {
    throw new DemoError('badOptions', error instanceof Error ? error.message : String(error));
  }
  const { help, ...rest } = values;
  if (help === true) return undefined;
  const parsed = matrixSchema.safeParse(rest);
  if (!parsed.success) throw new DemoError('badOptions', z.prettifyError(parsed.error));
  return parsed.data;
}

const possibleKills: readonly FurtherKill[] = KILL_PHASES.flatMap((phase) =>
  // Edge A is away during the takeover.
  PARTIES.filter((party) => party !== 'a' || phase !== 'takeover').map((party) => ({ party, phase })),
);

/** In the order of the story. */
function drawKills(seed: string, most: number): FurtherKill[] {
  const count = Math.floor(drawn(seed, 'matrix/count') * (most + 1));
  const ranked = possibleKills.map((kill) => ({
    kill,
    rank: drawn(seed, `matrix/${kill.party}/${kill.phase}`),
  }));
  const chosen = new Set(
    ranked
      .sort((a, b) => a.rank - b.rank)
      .slice(0, count)
      .map(({ kill }) => kill),
  );
  return possibleKills.filter((kill) => chosen.has(kill));
}

/** Each of these is one run, however many standbys and runtimes there are: what it shows has little to do with them. */
const ONCE: ReadonlySet<FailureKind> = new Set<FailureKind>([
  ...(['two-providers', 'autonomous', 'centre-frozen', 'key-holders', 'flapping', 'max-active'] as const),
]);
/** These take minutes: no part is to have two of them. */
const LONG: ReadonlySet<FailureKind> = new Set<FailureKind>([
  ...(['provider-frozen', 'provider-cut', 'two-providers', 'flapping', 'max-active'] as const),
]);

type Combination = Pick<DemoOptions, 'kill' | 'standby' | 'runtime'>;

function combinationsOf({ kill: kills, standby: standbys, runtime: runtimes }: MatrixOptions): Combination[] {
  const all = runtimes.flatMap((runtime) =>
    standbys.flatMap((standby) => kills.map((kill) => ({ kill, standby, runtime }))),
  );
  return all.filter(
    ({ kill, standby, runtime }) => !ONCE.has(kill) || (standby === standbys[0] && runtime === runtimes[0]),
  );
}

/** All runs of a matrix, or of the part of it that is asked for. */
export function planMatrix(options: MatrixOptions): DemoOptions[] {
  const { seed, rounds, part, further, duration } = options;
  const all: DemoOptions[] = [];
  for (let round = 0; round < rounds; round++)
    for (const { kill, standby, runtime } of combinationsOf(options)) {
      const own = `${seed}-${all.length + 1}`;
      // Where nothing is to follow, it is to follow from nothing else.
      const furtherKills = FAILURES[kill] === 'takeover' ? drawKills(own, further) : [];
      const drawnAt = Math.floor(drawn(own, 'matrix/confidentiality') * options.confidentiality.length);
      const confidentiality = options.confidentiality[drawnAt];
      const chosen = { kill, standby, confidentiality, runtime };
      all.push(completeOptions({ seed: own, ...chosen, duration, furtherKills }));
    }
  // Shuffled, so that a part has some of everything; what takes long is dealt out first.
  const shuffled = all
    .map((run) => ({ run, rank: drawn(run.seed, 'matrix/order') - (LONG.has(run.kill) ? 1 : 0) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ run }) => run);
  return shuffled.filter((_, i) => i % part.of === part.number - 1);
}

/** The flags of `npm run demo` that give the same run. */
export function flagsOf(options: DemoOptions): string {
  const { seed, kill, standby, confidentiality, runtime, duration, furtherKills } = options;
  const kills = furtherKills.map(({ party, phase }) => `--kill-party ${party} --kill-phase ${phase}`);
  return [
    `--seed ${seed} --kill ${kill} --standby ${standby} --confidentiality ${confidentiality} --runtime ${runtime}`,
    `--duration ${duration}`,
    ...kills,
  ].join(' ');
}
