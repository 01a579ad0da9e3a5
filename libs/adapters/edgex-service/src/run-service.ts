import { createMqttBus } from '@antirio/bus';
import { BASE_TOPIC } from '@antirio/edgex-contracts';
import { AntirioError } from '@antirio/kernel';
import {
  createLog,
  httpPeer,
  runAlone,
  systemClock,
  systemRandom,
  type Bus,
  type HttpPeer,
  type Service,
} from '@antirio/host';
import { z } from 'zod';
import type { EdgexServicePorts } from './edgex-service.ts';
import { withBaseTopic } from './base-topic.ts';
import { checked, configurationOf, environmentOf } from './configuration.ts';
import { configFileOf } from './edgex-file.ts';
import { edgexVariablesNotTaken } from './environment.ts';
import { secretsOf, type Secrets } from './secrets.ts';
import type { OwnSettings } from './settings.ts';
import type { Tree } from './tree.ts';

const NONE = 'none';
const KEEPER = 'core-keeper';

/** EdgeX's MessageBus section, but for the address. */
const messageBus = z.strictObject({
  authMode: z.enum(['none', 'usernamepassword']).default('none'),
  /** The secret with `username` and `password`. */
  secretName: z.string().default(''),
  /** What all topics begin with. */
  baseTopicPrefix: z
    .string()
    .regex(/^[^+#\p{Cc}/]+(?:\/[^+#\p{Cc}/]+)*$/u, 'should be a topic')
    .default(BASE_TOPIC),
});

/** Options of a service that runs alone: where the others are. */
const surroundings = z.object({
  port: z.int(),
  /** `mqtt://host:port`, or `none` to run without a bus. */
  broker: z.string().default('mqtt://127.0.0.1:1883'),
  messageBus: messageBus.prefault({}),
  coreMetadata: z.url().default('http://127.0.0.1:59881'),
  /** Where core-keeper is, if there is one. */
  coreKeeper: z.string().default(NONE),
});

export interface AlonePorts extends EdgexServicePorts {
  readonly bus?: Bus;
  readonly peers: Readonly<Record<string, HttpPeer>>;
}

/** A service that may be the whole of a process. */
export interface AloneService<S extends z.ZodObject> {
  /** EdgeX's service key, such as `core-data`. */
  readonly serviceKey: string;
  readonly options: S;
  /** What it takes from the environment under EdgeX's names besides what all services take. */
  readonly environment?: OwnSettings;
  /** Options that the program brings along: what is configured overrules them. */
  readonly defaults?: Tree;
  readonly create: (options: z.output<S>, ports: AlonePorts) => Service & { readonly port: number };
}

/** Where a service has its secrets. */
const withSecrets = z.object({
  dataDir: z.string(),
  writable: z.record(z.string(), z.unknown()).default({}),
});

/** Who the service is for the broker. @throws AntirioError badConfig where there is no such secret */
function loginOf(
  { authMode, secretName }: z.output<typeof messageBus>,
  secrets: () => Secrets,
): { username?: string; password?: string } {
  if (authMode === 'none') return {};
  const { username, password } = secrets().get(secretName) ?? {};
  if (username === undefined || password === undefined)
    throw new AntirioError(
      'badConfig',
      `the message bus wants the secret ${JSON.stringify(secretName)} with username and password`,
    );
  return { username, password };
}

/**
 * Runs an EdgeX service as the whole of this process. Its configuration: what core-keeper has for all services, a file (the argument, else `EDGEX_CONFIG_FILE`), the environment
 * under our names (`CORE_DATA_MAX_RESULT_COUNT`), what core-keeper has for this service, the environment under EdgeX's names (`SERVICE_MAXRESULTCOUNT`).
 */
export async function runService<S extends z.ZodObject>(alone: AloneService<S>): Promise<void> {
  const { serviceKey, create, environment = {} } = alone;
  const { argv, env } = process;
  const log = createLog(serviceKey);
  const schema = alone.options.extend(surroundings.shape);
  const configured = { ...alone, options: schema };
  const configuration = await configurationOf(configured, env, configFileOf(argv[2], env), log);
  const { tree } = configuration;
  const given = checked(schema, tree);
  const around = surroundings.parse(given);
  const { broker, coreMetadata, coreKeeper, port } = around;
  const keeper = serviceKey === KEEPER && coreKeeper === NONE ? `http://127.0.0.1:${port}` : coreKeeper;
  const variables = edgexVariablesNotTaken(env, environment, tree);
  if (Object.keys(variables).length > 0) log.warn({ variables }, 'variables of EdgeX that are not taken');
  const { broker: _b, coreMetadata: _m, coreKeeper: _k, messageBus: _u, ...own } = given;
  const options = alone.options.parse(own);
  const peers: Record<string, HttpPeer> = { 'core-metadata': httpPeer({ url: coreMetadata }) };
  if (keeper !== NONE) peers[KEEPER] = httpPeer({ url: keeper });
  const login = loginOf(around.messageBus, () => secretsOf(serviceKey, withSecrets.parse(own)));
  const openBus = (): Bus =>
    withBaseTopic(createMqttBus({ url: broker, ...login }, log), around.messageBus.baseTopicPrefix);
  const fromEnvironment = environmentOf(configuration, environment);
  const ports = { clock: systemClock, random: systemRandom, log, peers, fromEnvironment };
  const room = create(options, broker === NONE ? ports : { ...ports, bus: openBus() });
  await runAlone(log, () => room);
  log.info({ port: room.port }, 'listening');
}
