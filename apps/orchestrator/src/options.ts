import { z } from 'zod';
import type { Bus, HttpPeer, Log, RimAccess } from '@antirio/host';
import type { Clock, Identity, Random } from '@antirio/kernel';
import { namedVolumes } from '@antirio/service-contract';
import type { Runtime } from '@antirio/runtime';

const fig313 = z
  .strictObject({
    activationEvent: z
      .string()
      .default('offline')
      .describe('offline, overload, schedule, manual, or several with commas'),
    interval: z.string().regex(/^\d+$/).default('20').describe('seconds of silence before suspicion'),
    ip: z.string().default('').describe('an address by which this edge can be probed'),
    event: z
      .record(z.string(), z.unknown())
      .default({})
      .describe('further fields of `event`: `windows` of a schedule, `takeovers`'),
    ports: z.string().default(''),
    volumes: z.string().default(''),
    dependsOn: z.array(z.string()).default([]),
    namedVolumes: namedVolumes.default({}).describe('volumes whose state moves with the service'),
  })
  .prefault({});

const argv = z.array(z.string().min(1).max(1024)).min(1).max(32).optional();

/** Where the own service's volumes are on this edge, and how it is brought to leave them alone; commands are run without a shell. */
const ownVolume = z.strictObject({
  path: z.string().regex(/^\/[^\0]+[^/]$/, 'an absolute path without a slash at its end'),
  quiesce: argv.describe('before a snapshot: has the service write down what it holds, and pause'),
  resume: argv.describe('after a snapshot, whatever became of it'),
  stop: argv.describe('when a provider serves: the service is to let the volume go'),
  start: argv.describe('when its newest content is in place'),
});
export type OwnVolume = z.output<typeof ownVolume>;

export const orchestratorOptions = z.strictObject({
  port: z.int().min(0).max(65_535).default(59_700),
  bind: z.string().default('127.0.0.1'),
  dataDir: z.string().min(1).describe("the edge's data folder; the room keeps to `orchestrator` in it"),
  runtime: z
    .enum(['process', 'docker', 'balena'])
    .default('process')
    .describe(
      'process: child processes, only for images that the operator trusts; docker: containers; balena: containers by the supervisor of a device in local mode',
    ),
  balena: z
    .strictObject({
      appFile: z
        .string()
        .min(1)
        .describe('the device’s own application as it was pushed, which every target state repeats'),
      overrideLocks: z
        .boolean()
        .default(false)
        .describe('services start and stop although another one holds an update lock'),
    })
    .optional()
    .describe('for runtime balena; address, key and application come from the supervisor’s environment'),
  runRoot: z
    .string()
    .optional()
    .describe(
      'where the sockets of foreign services are: a short path (default: tmpfs, else the temporary files)',
    ),
  brokerSocket: z
    .string()
    .optional()
    .describe("the broker's socket for contracts (default: broker/foreign.sock in dataDir)"),
  baseUrl: z
    .url()
    .optional()
    .describe('how core-command reaches this room (default: by bind and port, https with tls)'),
  allowDiskSecrets: z
    .boolean()
    .default(false)
    .describe('keep opened keys on disk where the host has no tmpfs'),
  edgeId: z.string().default('').describe("this edge's id, named in the configuration of its services"),
  configuration: fig313.describe('what configuration.json says of this edge’s services'),
  volumes: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,23}$/), ownVolume)
    .default({})
    .describe('folders of the own service’s volumes, by their names in `namedVolumes`'),
  limits: z
    .strictObject({
      memoryBytes: z
        .int()
        .min(16 << 20)
        .default(128 << 20),
      cpus: z.number().positive().max(1024).default(1),
      pids: z.int().min(8).max(100_000).default(64),
    })
    .prefault({})
    .describe('what one foreign service may use'),
  stopGraceMs: z.int().min(0).max(60_000).default(2000),
  serviceSilenceMs: z
    .int()
    .min(1000)
    .default(10_000)
    .describe('a service that says nothing for so long after its start or its last word is started again'),
  switchOverMs: z
    .int()
    .min(1000)
    .default(300_000)
    .describe('a new version of a service that is not ready after so long is given up, the old one goes on'),
  handOver: z
    .strictObject({
      limitMs: z
        .int()
        .min(100)
        .default(30_000)
        .describe(
          'for so long the old version may be stopped; if the new one does not act by then, it goes on',
        ),
      maxBytes: z
        .int()
        .min(1 << 20)
        .default(2 ** 30),
      maxFiles: z.int().min(1).default(20_000),
    })
    .prefault({})
    .describe('of the data of an old version of a service to the new one'),
  giveUpMs: z
    .int()
    .min(0)
    .default(300_000)
    .describe('an image that cannot be fetched or loaded is begun anew for so long before it has FAILED'),
  followIntervalMs: z
    .int()
    .min(20)
    .default(500)
    .describe('how often the rooms that work on a contract are asked how far they are'),
  maxAttempts: z
    .int()
    .min(1)
    .default(200)
    .describe('of one step of a contract that fails for reasons that may pass'),
  maxContracts: z.int().min(1).max(10_000).default(256).describe('under way at once, on each side'),
});
export type OrchestratorOptions = z.output<typeof orchestratorOptions>;

/** `peers`: migration, dmu, arbitrator, coreData, coreMetadata. */
export interface OrchestratorPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  readonly bus: Bus;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  /** Signs snapshots of volumes; an edge without any needs none. */
  readonly identity?: Identity;
  /** In place of the one that the options name. */
  readonly runtime?: Runtime;
}

export const VERSION = '0.1.0';
