import { createMqttBus } from '@antirio/bus';
import {
  createLog,
  httpPeer,
  loadConfig,
  runAlone,
  systemClock,
  systemRandom,
  type Bus,
  type HttpPeer,
  type Service,
} from '@antirio/host';
import { z } from 'zod';
import type { EdgexServicePorts } from './edgex-service.ts';
import { edgexEnvironment, edgexVariablesNotTaken, type OwnSettings } from './environment.ts';

const NONE = 'none';
const KEEPER = 'core-keeper';

/** Options of a service that runs alone: where the others are. */
const surroundings = z.object({
  port: z.int(),
  /** `mqtt://host:port`, or `none` to run without a bus. */
  broker: z.string().default('mqtt://127.0.0.1:1883'),
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
  readonly create: (options: z.output<S>, ports: AlonePorts) => Service & { readonly port: number };
}

/**
 * Runs an EdgeX service as the whole of this process. Its configuration: a file (the argument, else `EDGEX_CONFIG_FILE`), then the environment
 * under our names (`CORE_DATA_MAX_RESULT_COUNT`), then under EdgeX's (`SERVICE_MAXRESULTCOUNT`).
 */
export async function runService<S extends z.ZodObject>(alone: AloneService<S>): Promise<void> {
  const { serviceKey, create, environment = {} } = alone;
  const { env, argv } = process;
  const schema = alone.options.extend(surroundings.shape);
  const given = loadConfig(schema, {
    file: argv[2] ?? env['EDGEX_CONFIG_FILE'],
    env: { prefix: serviceKey.toUpperCase().replaceAll('-', '_'), values: env },
    flags: edgexEnvironment(env, environment),
  });
  const { broker, coreMetadata, coreKeeper, port } = surroundings.parse(given);
  const keeper = serviceKey === KEEPER && coreKeeper === NONE ? `http://127.0.0.1:${port}` : coreKeeper;
  const log = createLog(serviceKey);
  const variables = edgexVariablesNotTaken(env);
  if (variables.length > 0) log.warn({ variables }, 'variables of EdgeX that are not taken');
  const peers: Record<string, HttpPeer> = { 'core-metadata': httpPeer({ url: coreMetadata }) };
  if (keeper !== NONE) peers[KEEPER] = httpPeer({ url: keeper });
  const bus = broker === NONE ? {} : { bus: createMqttBus({ url: broker }, log) };
  const { broker: _b, coreMetadata: _m, coreKeeper: _k, ...own } = given;
  const ports = { clock: systemClock, random: systemRandom, log, peers, ...bus };
  const room = create(alone.options.parse(own), ports);
  await runAlone(log, () => room);
  log.info({ port: room.port }, 'listening');
}
