import { edgexEnvironment, edgexVariablesNotTaken } from '@antirio/edgex-service';
import type { Log } from '@antirio/host';
import { withValue, type EdgeConfig } from './config.ts';
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
  const { broker, coreKeeper, coreMetadata, ...options } = edgexEnvironment(env, environment);
  let section: Record<string, unknown> = config[room.key];
  for (const [path, value] of Object.entries(options)) section = withValue(section, path.split('.'), value);
  if (coreKeeper === NONE) section = { ...section, followKeeper: false };
  const services = { ...config.services, ...servicesOf({ broker, coreKeeper, coreMetadata }) };
  return { ...config, services, [room.key]: section };
}

/** Says once which variables of EdgeX the service does not take. */
export function warnOfEdgexEnvironment(log: Log, env: NodeJS.ProcessEnv = process.env): void {
  const variables = edgexVariablesNotTaken(env);
  if (variables.length > 0) log.warn({ variables }, 'variables of EdgeX that are not taken');
}
