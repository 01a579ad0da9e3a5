import { z } from 'zod';
import { edgexServiceOptions, type OwnSettings } from '@antirio/edgex-service';
import { storeOptions } from '@antirio/store-redis';

const port = z.int().min(0).max(65535);

export const coreKeeperOptions = z.strictObject({
  port: port.default(59890),
  bind: z.string().default('127.0.0.1'),
  /** The edge's data folder; the room keeps to `core-keeper` in it. */
  dataDir: z.string().min(1),
  ...edgexServiceOptions,
  /** Where keys and registrations are: a SQLite file of the data folder, or Redis. */
  store: storeOptions,
  /** Whether EdgeX's common configuration is put there at the first start, and what it says. */
  commonConfig: z
    .strictObject({
      enabled: z.boolean().default(true),
      /** Where other hosts' services reach this edge. */
      host: z.string().min(1).max(255).default('127.0.0.1'),
      messageBusPort: port.default(1883),
      coreMetadataPort: port.default(59881),
    })
    .prefault({}),
  /** Largest request (EdgeX: MaxRequestSize). */
  maxBodyBytes: z
    .int()
    .min(1024)
    .default(1 << 20),
  /** Services that may register. */
  maxRegistrations: z.int().min(1).default(256),
  /** Keys that may be stored. */
  maxKeys: z.int().min(1).default(100_000),
  /** How long a service may take to answer a health check. */
  checkTimeoutMs: z.int().min(1).default(5000),
  /** Health checks are not made more often than this, whatever a registration says. */
  minCheckIntervalMs: z.int().min(10).default(1000),
});

export type CoreKeeperOptions = z.output<typeof coreKeeperOptions>;

/** What it takes from the environment under EdgeX's names, besides what all services take. */
export const coreKeeperEnvironment: OwnSettings = { kilobytes: { 'Service/MaxRequestSize': 'maxBodyBytes' } };
