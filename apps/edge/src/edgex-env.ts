import { edgexEnvironment, edgexVariablesNotTaken, merged } from '@antirio/edgex-service';
import type { Log } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import type { EdgeConfig } from './config.ts';
import type { RunnableRoom } from './loaders.ts';

const NONE = 'none';

/** Where other rooms are, as the environment says it. */
function servicesOf(found: Readonly<Record<string, unknown>>): EdgeConfig['services'] {
  const places = ['broker', 'coreKeeper', 'coreMetadata'].flatMap((key) => {
    const url = found[key];
    return typeof url === 'string' && url !== NONE ? [[key, { url }] as const] : [];
  });
  return Object.fromEntries(places);
}

/** An edge's rooms have a bus, under EdgeX's own topics. @throws AntirioError badConfig */
function checkBus(broker: unknown, messageBus: unknown): void {
  if (broker === NONE)
    throw new AntirioError('badConfig', 'MESSAGEBUS_DISABLED=true: rooms of an edge need the message bus');
  const { authMode = NONE, baseTopicPrefix = 'edgex' } = (messageBus ?? {}) as Record<string, unknown>;
  if (authMode !== NONE)
    throw new AntirioError(
      'badConfig',
      'MESSAGEBUS_AUTHMODE: of an edge, services.broker.url says who it is for the broker (mqtt://user:password@host)',
    );
  if (baseTopicPrefix !== 'edgex')
    throw new AntirioError('badConfig', 'MESSAGEBUS_BASETOPICPREFIX: the topics of an edge begin with edgex');
}

/**
 * A process that is one EdgeX service alone takes its settings from the environment under EdgeX's names too (`SERVICE_PORT`, `WRITABLE_LOGLEVEL`,
 * `EDGEX_CONFIG_PROVIDER`, ...), as EdgeX's own images do; with more rooms in the process they would not say which is meant.
 * @throws AntirioError badConfig naming the variable
 */
export async function withEdgexEnvironment(
  config: EdgeConfig,
  rooms: readonly RunnableRoom[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<EdgeConfig> {
  const [room, ...others] = rooms;
  if (room === undefined || others.length > 0) return config;
  const { environment } = await room.load();
  if (environment === undefined) return config;
  const found = edgexEnvironment(env, environment, config[room.key]);
  const { broker, coreKeeper, coreMetadata, messageBus, ...options } = found;
  checkBus(broker, messageBus);
  const followed = coreKeeper === NONE ? { followKeeper: false } : {};
  const services = { ...config.services, ...servicesOf({ broker, coreKeeper, coreMetadata }) };
  return { ...config, services, [room.key]: merged({ ...config[room.key], ...followed }, options) };
}

/** What means something to a service only that is not started as a room of an edge. */
const OWN_PROCESS = [
  ...['EDGEX_CONFIG_FILE', 'EDGEX_CONFIG_DIR', 'EDGEX_PROFILE', 'EDGEX_COMMON_CONFIG'],
  ...['EDGEX_OVERWRITE_CONFIG', 'EDGEX_STARTUP_DURATION', 'EDGEX_STARTUP_INTERVAL'],
];

/** Says once which variables of EdgeX the service does not take, and why. */
export async function warnOfEdgexEnvironment(
  log: Log,
  config: EdgeConfig,
  [room]: readonly RunnableRoom[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const environment = (await room?.load())?.environment;
  if (room === undefined || environment === undefined) return;
  const ownProcess = OWN_PROCESS.filter((name) => (env[name] ?? '') !== '');
  const variables = {
    ...edgexVariablesNotTaken(env, environment, config[room.key]),
    ...Object.fromEntries(ownProcess.map((name) => [name, 'an edge has its own configuration file'])),
  };
  if (Object.keys(variables).length > 0) log.warn({ variables }, 'variables of EdgeX that are not taken');
}
