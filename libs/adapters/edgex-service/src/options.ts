import { z } from 'zod';
import { parseDuration } from '@antirio/edgex-contracts';

const atLeastOneMs = z
  .string()
  .refine((text) => (parseDuration(text) ?? 0) >= 1e6, 'should be a duration such as 30s, of at least 1ms');

/** EdgeX's Service.CORSConfiguration, with its defaults. */
const cors = z.strictObject({
  enabled: z.boolean().default(false),
  allowCredentials: z.boolean().default(false),
  allowedOrigin: z.string().default('https://localhost'),
  allowedMethods: z.string().default('GET, POST, PUT, PATCH, DELETE'),
  allowedHeaders: z
    .string()
    .default('Authorization, Accept, Accept-Language, Content-Language, Content-Type, X-Correlation-ID'),
  exposeHeaders: z
    .string()
    .default(
      'Cache-Control, Content-Language, Content-Length, Content-Type, Expires, Last-Modified, Pragma, X-Correlation-ID',
    ),
  /** Seconds; 0 leaves it to the browser. */
  maxAge: z.int().min(0).default(3600),
});

export type CorsOptions = z.output<typeof cors>;

/** EdgeX's Service section, as far as rooms have no options of their own for it. */
const service = z.strictObject({
  /** Under which host others reach this service; in the registry. By default the address that it listens on. */
  host: z.string().min(1).max(255).optional(),
  /** A request that takes longer is answered with 503 (EdgeX: RequestTimeout). */
  requestTimeoutMs: z.int().min(1).max(3_600_000).default(45_000),
  /** How often core-keeper asks for its health (EdgeX: HealthCheckInterval). */
  healthCheckIntervalMs: z.int().min(100).default(10_000),
  /** Whether core-keeper is told of it (EdgeX: `EDGEX_USE_REGISTRY`). */
  register: z.boolean().default(true),
  /** For the log, once the service listens. */
  startupMsg: z.string().max(1000).optional(),
  cors: cors.prefault({}),
});

/** A switch as configuration by key has it: text. */
export const writableBoolean = z.union([
  z.boolean(),
  z.enum(['true', 'false']).transform((text) => text === 'true'),
]);

const LOG_LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'] as const;

const logLevel = z
  .string()
  .transform((text) => text.toUpperCase())
  .pipe(z.enum(LOG_LEVELS));

const telemetry = z.object({
  Interval: atLeastOneMs.optional(),
  Metrics: z.record(z.string(), writableBoolean).optional(),
  Tags: z.record(z.string(), z.string()).optional(),
});

const insecureSecret = z.object({
  SecretName: z.string().default(''),
  SecretData: z.record(z.string(), z.coerce.string()).default({}),
});

/** EdgeX's Writable.InsecureSecrets: secrets in the configuration, for where there is no secret store. */
const insecureSecrets = z.record(z.string(), insecureSecret);
export type InsecureSecrets = z.output<typeof insecureSecrets>;

/** What every service follows of its Writable section, under EdgeX's names. */
export const commonWritable = z.object({
  LogLevel: logLevel.optional(),
  InsecureSecrets: insecureSecrets.optional(),
  Telemetry: telemetry.optional(),
});
export type CommonWritable = z.output<typeof commonWritable>;

/** Options that the EdgeX core services have in common: to be spread into a room's own. */
export const edgexServiceOptions = {
  service: service.prefault({}),
  /** EdgeX's Writable section, under its own names: what is in force where core-keeper says nothing else. */
  writable: z.record(z.string(), z.unknown()).default({}),
  /** Whether the service registers with core-keeper and follows what that has as its Writable section. */
  followKeeper: z.boolean().default(true),
};

export type EdgexServiceOptions = {
  readonly service: z.output<typeof service>;
  readonly writable: Readonly<Record<string, unknown>>;
  readonly followKeeper: boolean;
};
