import { parseArgs } from 'node:util';
import { z } from 'zod';
import { DemoError } from '../errors.ts';

const number = (least: number, most: number): z.ZodType<number> => z.coerce.number().min(least).max(most);

const optionsSchema = z.strictObject({
  edges: number(2, 5).default(3),
  stream: z.enum(['http', 'mqtt']).default('http'),
  /** The edge of the middle leg is killed there, and started again later. */
  kill: z.boolean().default(false),
  seed: z.string().min(1).max(100).default('1'),
  json: z.boolean().default(false),
  /** Seconds of one leg. */
  leg: number(1, 600).default(5),
  /** Seconds for which two edges on the route serve both. */
  overlap: number(0.5, 60).default(2),
  /** Seconds between the demands and the take-off. */
  lead: number(0, 600).default(20),
  fps: number(1, 60).default(12),
});
export type DroneOptions = z.output<typeof optionsSchema>;
export type DroneOptionsInput = z.input<typeof optionsSchema>;

/** Throws `badOptions`. */
export function completeDroneOptions(input: DroneOptionsInput): DroneOptions {
  const parsed = optionsSchema.safeParse(input);
  if (!parsed.success) throw new DemoError('badOptions', z.prettifyError(parsed.error));
  return parsed.data;
}

const flags = {
  scenario: { type: 'string' },
  edges: { type: 'string' },
  stream: { type: 'string' },
  kill: { type: 'boolean' },
  seed: { type: 'string' },
  json: { type: 'boolean' },
  leg: { type: 'string' },
  overlap: { type: 'string' },
  lead: { type: 'string' },
  fps: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

export const DRONE_USAGE = `antirio demo --scenario drone: a drone flies along edges of several owners, under contract for the time in which it
comes by; each pre-processes what it streams, nothing is lost.

  --edges 2..5         edges along the route (3)
  --stream http|mqtt   how the drone streams its frames (http)
  --kill               the edge of the middle leg is killed there, and comes back later
  --seed S             what the camera sees follows from it (1)
  --leg S              seconds of one leg (5)
  --overlap S          seconds for which two edges serve both (2)
  --lead S             seconds between the demands and the take-off (20)
  --fps N              frames per second (12)
  --json               one JSON object is all of stdout
`;

/** Whether a command line is about the drone. */
export function isDroneScenario(argv: readonly string[]): boolean {
  const at = argv.indexOf('--scenario');
  return argv.includes('--scenario=drone') || (at >= 0 && argv[at + 1] === 'drone');
}

/** Reads a command line; undefined where it asks for help. Throws `badOptions`. */
export function parseDroneOptions(argv: readonly string[]): DroneOptions | undefined {
  try {
    const { scenario: _, help, ...values } = parseArgs({ args: [...argv], options: flags }).values;
    return help === true ? undefined : completeDroneOptions(values as DroneOptionsInput);
  } catch (error) {
    if (error instanceof DemoError) throw error;
    throw new DemoError('badOptions', error instanceof Error ? error.message : String(error));
  }
}
