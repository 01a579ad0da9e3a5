import { parseArgs } from 'node:util';
import { z } from 'zod';
import { DemoError } from './errors.ts';

export const SABOTAGES = ['dedupe', 'mic', 'gapfill', 'fence'] as const;
/** The one check that is removed from the product, so that the demo must fail. */
export type Sabotage = (typeof SABOTAGES)[number];

export const KILL_PHASES = ['agreement', 'migration', 'ready', 'takeover', 'active', 'handback'] as const;
/** A part of the story in which somebody may be killed besides the failure that the demo is about. */
export type KillPhase = (typeof KILL_PHASES)[number];

/**
 * How edge A, or what it lives on, fails, and what is to follow from it: `takeover`, `none` (everybody goes on as before), or
 * `either`, where it is a matter of how long it lasts. A `story` is about others too, or about more than one failure.
 */
export const FAILURES = {
  sigkill: 'takeover',
  freeze: 'takeover',
  partition: 'takeover',
  'one-way': 'takeover',
  arbitrator: 'takeover',
  'old-backup': 'takeover',
  loss: 'none',
  delay: 'none',
  clock: 'none',
  broker: 'either',
  'dead-bridge': 'takeover',
  'disk-full': 'either',
  'provider-frozen': 'story',
  'provider-cut': 'story',
  'two-providers': 'story',
  autonomous: 'story',
  'centre-frozen': 'story',
  'key-holders': 'story',
  flapping: 'story',
  'max-active': 'story',
} as const satisfies Readonly<Record<string, 'takeover' | 'none' | 'either' | 'story'>>;
export type FailureKind = keyof typeof FAILURES;
export type StoryKind = {
  [Kind in FailureKind]: (typeof FAILURES)[Kind] extends 'story' ? Kind : never;
}[FailureKind];

export const isStory = (kind: FailureKind): kind is StoryKind => FAILURES[kind] === 'story';
export const FAILURE_KINDS = Object.keys(FAILURES) as [FailureKind, ...FailureKind[]];

const furtherKillSchema = z
  .strictObject({ party: z.enum(['a', 'b', 'central']), phase: z.enum(KILL_PHASES) })
  .refine(({ party, phase }) => party !== 'a' || phase !== 'takeover', {
    message: 'edge A is dead already during the takeover',
  });
/** A further SIGKILL, besides the failure the demo is about: whom it hits, and when. */
export type FurtherKill = z.output<typeof furtherKillSchema>;

/** Of a neighbour that has no keys there are no stories of taking over, and no moments in them. */
function keptProblem({ confidentiality, kill, furtherKills, volume }: z.output<typeof demoOptions>) {
  if (confidentiality !== 'relay') return undefined;
  if (isStory(kill)) return `--kill ${kill}: a story of an edge that takes over, which \`relay\` does not`;
  if (furtherKills.some(({ phase }) => !KEPT_PHASES.has(phase)))
    return '--kill-phase: with `relay` there are agreement, migration and ready only';
  return volume ? '`relay` knows no volumes' : undefined;
}
const KEPT_PHASES: ReadonlySet<KillPhase> = new Set(['agreement', 'migration', 'ready']);

const positive = (most: number): z.ZodType<number> => z.coerce.number().int().min(1).max(most);

const demoOptions = z.strictObject({
  motes: positive(1_000).default(20),
  /** Traffic, losses and the moment of the kill follow from it. */
  seed: z.string().min(1).max(100).default('1'),
  standby: z.enum(['hot', 'warm', 'cold']).default('hot'),
  /** `relay`: the neighbour only keeps frames, and nobody takes over. */
  confidentiality: z.enum(['relay', 'forward', 'process']).default('process'),
  kill: z.enum(FAILURE_KINDS).default('sigkill'),
  runtime: z.enum(['process', 'docker']).default('process'),
  json: z.boolean().default(false),
  keep: z.boolean().default(false),
  sabotage: z.enum(SABOTAGES).optional(),
  /** Each party at most once in each phase; the moments follow from the seed. */
  furtherKills: z
    .array(furtherKillSchema)
    .max(16)
    .refine((kills) => new Set(kills.map(({ party, phase }) => `${party}/${phase}`)).size === kills.length, {
      message: 'nobody is killed twice in one phase',
    })
    .default([]),
  /** Seconds of traffic before the failure, and again after the handback. */
  duration: positive(3_600).default(6),
  /** Mean time between two uplinks of a mote, ms. */
  periodMs: z.coerce.number().int().min(1_000).max(600_000).default(2_000),
  /** Part of the motes that join (OTAA); for tests, whose verdict is their own. */
  otaa: z.number().min(0).max(1).default(0),
  /** The contract gives B the root keys of those; for tests. */
  rootKeys: z.boolean().default(false),
  /** Motes do and answer what MAC commands say; for tests. */
  answersMac: z.boolean().default(false),
  /** Part of the uplinks that a gateway misses. */
  loss: z.coerce.number().min(0).max(1).default(0.1),
  /** A's service has a volume, `state`, whose snapshots go to B; for tests. */
  volume: z.boolean().default(false),
  /** So many takeovers the contract pays for; for tests and measurements. */
  takeovers: positive(1_000).default(1),
  /** How long edge A is to be back before it asks for its sensors, ms; the same. */
  backoffMs: z.int().min(0).max(600_000).default(2_000),
  /** The contract's first drill is passed before READY, as by default; stories of other things do without. */
  drilled: z.boolean().default(false),
  /** Text to be replaced in the source of A's device service before its image is built, for tests. */
  imageEdit: z.strictObject({ file: z.string(), find: z.string(), replace: z.string() }).optional(),
});

const optionsSchema = demoOptions.superRefine((options, context) => {
  const message = keptProblem(options);
  if (message !== undefined) context.addIssue({ code: 'custom', message });
});

/** A complete set of options: every default filled in. */
export type DemoOptions = z.output<typeof optionsSchema>;
/** What a caller gives: nothing is required. */
export type DemoOptionsInput = z.input<typeof optionsSchema>;

/** Checks options and fills in the defaults. Throws `badOptions` naming each wrong one. */
export function completeOptions(input: DemoOptionsInput): DemoOptions {
  const parsed = optionsSchema.safeParse(input);
  if (!parsed.success) throw new DemoError('badOptions', z.prettifyError(parsed.error));
  return parsed.data;
}

const flags = {
  motes: { type: 'string' },
  seed: { type: 'string' },
  standby: { type: 'string' },
  confidentiality: { type: 'string' },
  kill: { type: 'string' },
  runtime: { type: 'string' },
  json: { type: 'boolean' },
  keep: { type: 'boolean' },
  sabotage: { type: 'string' },
  'kill-party': { type: 'string', multiple: true },
  'kill-phase': { type: 'string', multiple: true },
  duration: { type: 'string' },
  period: { type: 'string' },
  loss: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

export const USAGE = `antirio demo: two edges, a centre and simulated motes; one edge fails, its neighbour serves, nothing is lost.

  --motes N               simulated motes (20)
  --seed S                traffic, losses and the moment of the failure follow from it (1)
  --standby hot|warm|cold how the neighbour stands by (hot)
  --confidentiality relay|forward|process
                          whether the neighbour only keeps frames and never takes over, takes over
                          and cannot read the payloads, or reads them too (process)
  --kill sigkill|freeze|partition|one-way|arbitrator|old-backup|loss|delay|clock|broker
                         |dead-bridge|disk-full
                          how edge A fails, or what it lives on (sigkill)
  --kill provider-frozen|provider-cut|two-providers|autonomous|centre-frozen|key-holders|flapping|max-active
                          edge A dies, and that is not all (docs/fault-matrix.md says what)
  --runtime process|docker
                          where the neighbour runs A's device service (process)
  --json                  one JSON object is all of stdout
  --keep                  leave the processes running and print their URLs
  --sabotage dedupe|mic|gapfill|fence
                          remove that one check; the demo must then fail
  --duration S            seconds of traffic before the failure, and again after the handback (6)
  --period MS             mean time between two uplinks of a mote (2000)
  --loss P                part of the uplinks that a gateway misses (0.1)
  --scenario drone        another story: --scenario drone --help
  --kill-party a|b|central --kill-phase agreement|migration|ready|takeover|active|handback
                          one more SIGKILL, of whom and when; both flags may be given again
`;

/** Reads a command line; undefined where it asks for help. Throws `badOptions`. */
export function parseOptions(argv: readonly string[]): DemoOptions | undefined {
  const read = (): ReturnType<typeof parseArgs<{ options: typeof flags; args: string[] }>>['values'] => {
    try {
      return parseArgs({ args: [...argv], options: flags }).values;
    } catch (error) {
      throw new DemoError('badOptions', error instanceof Error ? error.message : String(error));
    }
  };
  const values = read();
  if (values.help === true) return undefined;
  const { 'kill-party': parties = [], 'kill-phase': phases = [], period, help: _, ...rest } = values;
  if (parties.length !== phases.length)
    throw new DemoError('badOptions', '--kill-party and --kill-phase go together');
  const furtherKills = parties.map((party, i) => ({ party, phase: phases[i] }));
  const complete = completeOptions({ ...rest, furtherKills, periodMs: period } as DemoOptionsInput);
  const { kill, sabotage } = complete;
  return { ...complete, drilled: kill === 'sigkill' && sabotage === undefined && parties.length === 0 };
}
