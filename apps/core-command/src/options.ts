import { z } from 'zod';
import { edgexServiceOptions, type OwnSettings } from '@antirio/edgex-service';

export const coreCommandOptions = z.strictObject({
  port: z.int().min(0).max(65535).default(59882),
  bind: z.string().default('127.0.0.1'),
  ...edgexServiceOptions,
  /** The edge's data folder; the room keeps to `core-command` in it, where only its secrets are. */
  dataDir: z.string().min(1),
  /** How clients reach this room, shown with each command; by default the address that it listens on. */
  publicUrl: z.url().optional(),
  /** EdgeX's MaxResultCount. */
  maxResultCount: z.int().min(1).max(100_000).default(1024),
  /** Devices and device services that are remembered between commands. */
  maxRemembered: z.int().min(1).default(10_000),
  /** After this long core-metadata is asked anew, also where no system event told of a change. */
  rememberMs: z.int().min(0).default(10_000),
  /** Largest request (EdgeX: MaxRequestSize). */
  maxBodyBytes: z
    .int()
    .min(1024)
    .default(1 << 20),
  /** Largest answer of a device service. */
  maxAnswerBytes: z
    .int()
    .min(1024)
    .default(32 << 20),
  /** Commands that came by the bus and wait for their answer at once; each may take as long as a request (`service.requestTimeoutMs`). */
  maxBusCommands: z.int().min(1).default(256),
});

export type CoreCommandOptions = z.output<typeof coreCommandOptions>;

/** What it takes from the environment under EdgeX's names, besides what all services take. */
export const coreCommandEnvironment: OwnSettings = {
  integers: { 'Service/MaxResultCount': 'maxResultCount' },
  kilobytes: { 'Service/MaxRequestSize': 'maxBodyBytes' },
  hasMetadata: true,
};
