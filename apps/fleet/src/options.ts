import { z } from 'zod';
import type { HttpPeer, Log, RimAccess } from '@antirio/host';
import type { Clock } from '@antirio/kernel';

export const fleetOptions = z.strictObject({
  port: z.int().min(0).max(65_535).default(59_710),
  bind: z.string().default('127.0.0.1'),
  dataDir: z.string().min(1).describe('the data folder; the room keeps to `fleet` in it'),
  fleet: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}$/, 'must be the name of a fleet, as balena push takes it')
    .optional()
    .describe('the fleet that is pushed to; without it nothing is pushed'),
  command: z
    .array(z.string().min(1))
    .min(1)
    .default(['balena'])
    .describe('the command-line tool of balena, logged in by the operator'),
  pushTimeoutMs: z.int().min(1000).default(1_800_000).describe('a push that takes longer is ended'),
  limits: z
    .strictObject({
      memoryBytes: z
        .int()
        .min(16 << 20)
        .default(128 << 20),
      cpus: z.number().positive().max(1024).default(1),
      imageBytes: z
        .int()
        .min(1 << 20)
        .default(2 ** 30)
        .describe('unpacked'),
    })
    .prefault({})
    .describe('what one customer’s service may use'),
});
export type FleetOptions = z.output<typeof fleetOptions>;

/** `peers`: migration, which has fetched and verified what is to be pushed. */
export interface FleetPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  /** Who may call; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
}

export const VERSION = '0.1.0';
