import { z } from 'zod';

export const coreCommandOptions = z.strictObject({
  port: z.int().min(0).max(65535).default(59882),
  bind: z.string().default('127.0.0.1'),
  /** Accepted for uniformity with other rooms: core-command keeps nothing. */
  dataDir: z.string().min(1).optional(),
  /** How clients reach this room, shown with each command; by default the address that it listens on. */
  publicUrl: z.url().optional(),
  /** EdgeX's MaxResultCount. */
  maxResultCount: z.int().min(1).max(100_000).default(1024),
  /** How long a device service may take for a command (EdgeX: RequestTimeout, 45 s). */
  requestTimeoutMs: z.int().min(1).default(45_000),
  /** Largest answer of a device service. */
  maxAnswerBytes: z
    .int()
    .min(1024)
    .default(32 << 20),
  /** Commands that came by the bus and wait for their answer at once. */
  maxBusCommands: z.int().min(1).default(256),
});

export type CoreCommandOptions = z.output<typeof coreCommandOptions>;
