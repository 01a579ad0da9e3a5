import { AntirioError } from '@antirio/kernel';
import { parseDuration } from '@antirio/edgex-contracts';

type Values = Readonly<Record<string, string | undefined>>;
/** How a variable becomes an option: the path of the option, and what the text means. */
type Setting = readonly [path: string, read: (text: string, name: string) => unknown];

const text = (given: string): unknown => given;

function whole(given: string, name: string): number {
  if (!/^-?\d{1,15}$/.test(given))
    throw new AntirioError('badConfig', `${name}=${given} should be a whole number`);
  return Number(given);
}

function flag(given: string, name: string): boolean {
  if (given !== 'true' && given !== 'false')
    throw new AntirioError('badConfig', `${name}=${given} should be true or false`);
  return given === 'true';
}

function durationMs(given: string, name: string): number {
  const nanos = parseDuration(given);
  if (nanos === undefined)
    throw new AntirioError('badConfig', `${name}=${given} should be a duration such as 30s`);
  return Math.round(nanos / 1e6);
}

/** Settings of all services, under the names that EdgeX gives them in the environment. */
const COMMON: Readonly<Record<string, Setting>> = {
  EDGEX_USE_REGISTRY: ['service.register', flag],
  SERVICE_HOST: ['service.host', text],
  SERVICE_SERVERBINDADDR: ['bind', text],
  SERVICE_PORT: ['port', whole],
  SERVICE_REQUESTTIMEOUT: ['service.requestTimeoutMs', durationMs],
  SERVICE_HEALTHCHECKINTERVAL: ['service.healthCheckIntervalMs', durationMs],
  SERVICE_CORSCONFIGURATION_ENABLECORS: ['service.cors.enabled', flag],
  SERVICE_CORSCONFIGURATION_CORSALLOWCREDENTIALS: ['service.cors.allowCredentials', flag],
  SERVICE_CORSCONFIGURATION_CORSALLOWEDORIGIN: ['service.cors.allowedOrigin', text],
  SERVICE_CORSCONFIGURATION_CORSALLOWEDMETHODS: ['service.cors.allowedMethods', text],
  SERVICE_CORSCONFIGURATION_CORSALLOWEDHEADERS: ['service.cors.allowedHeaders', text],
  SERVICE_CORSCONFIGURATION_CORSEXPOSEHEADERS: ['service.cors.exposeHeaders', text],
  SERVICE_CORSCONFIGURATION_CORSMAXAGE: ['service.cors.maxAge', whole],
  WRITABLE_LOGLEVEL: ['writable.LogLevel', text],
  WRITABLE_TELEMETRY_INTERVAL: ['writable.Telemetry.Interval', text],
};

/** `<SECTION>_PROTOCOL`, `_HOST` and `_PORT` as one URL, where any of them is set. */
function urlFrom(values: Values, section: string, fallback: URL): string | undefined {
  const [protocol, host, port] = ['PROTOCOL', 'HOST', 'PORT'].map((field) => values[`${section}_${field}`]);
  if (protocol === undefined && host === undefined && port === undefined) return undefined;
  // EdgeX says tcp for MQTT
  const scheme = (protocol ?? fallback.protocol.slice(0, -1))
    .replace(/^tcp$/, 'mqtt')
    .replace(/^ssl$/, 'mqtts');
  const at = port === undefined ? fallback.port : String(whole(port, `${section}_PORT`));
  return `${scheme}://${host ?? fallback.hostname}:${at}`;
}

/** Where core-keeper is: `keeper.http://host:port`, or `none`. @throws AntirioError badConfig */
function configProvider(given: string): string {
  if (given === 'none') return given;
  const [, url] = /^keeper\.(https?:\/\/\S+)$/.exec(given) ?? [];
  if (url === undefined)
    throw new AntirioError(
      'badConfig',
      `EDGEX_CONFIG_PROVIDER=${given} should be keeper.http://host:port, or none`,
    );
  return url;
}

const LOCAL_BROKER = new URL('mqtt://127.0.0.1:1883');
const LOCAL_METADATA = new URL('http://127.0.0.1:59881');

function urls(values: Values, hasMetadata: boolean): Record<string, unknown> {
  const provider = values['EDGEX_CONFIG_PROVIDER'];
  return {
    broker: urlFrom(values, 'MESSAGEBUS', LOCAL_BROKER),
    coreKeeper: provider === undefined ? undefined : configProvider(provider),
    ...(hasMetadata ? { coreMetadata: urlFrom(values, 'CLIENTS_CORE_METADATA', LOCAL_METADATA) } : {}),
  };
}

function kilobytes(given: string, name: string): number {
  return whole(given, name) * 1024;
}

export interface OwnSettings {
  /** Numbers by the variable's name: the path of the option. */
  readonly integers?: Readonly<Record<string, string>>;
  /** Kilobytes likewise; the option has bytes. */
  readonly kilobytes?: Readonly<Record<string, string>>;
  /** Texts likewise, such as those of the Writable section. */
  readonly texts?: Readonly<Record<string, string>>;
  /** Switches, true or false, likewise. */
  readonly flags?: Readonly<Record<string, string>>;
  /** Metrics that `WRITABLE_TELEMETRY_METRICS_<NAME>` switches. */
  readonly metrics?: readonly string[];
  /** Whether the service asks core-metadata, and so takes `CLIENTS_CORE_METADATA_HOST` and so on. */
  readonly hasMetadata?: boolean;
}

function settingsOf(given: OwnSettings): Record<string, Setting> {
  const { integers, kilobytes: sizes, texts, flags, metrics = [] } = given;
  const own: Record<string, Setting> = {};
  for (const [names, read] of [
    [integers, whole],
    [sizes, kilobytes],
    [texts, text],
    [flags, flag],
  ] as const)
    for (const [name, path] of Object.entries(names ?? {})) own[name] = [path, read];
  for (const metric of metrics)
    own[`WRITABLE_TELEMETRY_METRICS_${metric.toUpperCase()}`] = [
      `writable.Telemetry.Metrics.${metric}`,
      flag,
    ];
  return { ...COMMON, ...own };
}

/**
 * Options, by their paths, that the environment sets under EdgeX's names (`SERVICE_PORT`, `WRITABLE_LOGLEVEL`, ...); an empty variable is none.
 * @throws AntirioError badConfig naming the variable
 */
export function edgexEnvironment(values: Values, own: OwnSettings = {}): Readonly<Record<string, unknown>> {
  const settings = Object.entries(settingsOf(own)).flatMap(([name, [path, read]]) => {
    const given = values[name];
    return given === undefined || given === '' ? [] : [[path, read(given, name)] as const];
  });
  const given = Object.entries(values).filter(([, value]) => value !== '');
  return { ...urls(Object.fromEntries(given), own.hasMetadata === true), ...Object.fromEntries(settings) };
}

/** Of all that begins with `EDGEX_`. */
const TAKEN = new Set(['EDGEX_USE_REGISTRY', 'EDGEX_CONFIG_PROVIDER', 'EDGEX_CONFIG_FILE']);

/** Names of variables that are EdgeX's and mean nothing here; an empty variable is none. */
export function edgexVariablesNotTaken(values: Values): readonly string[] {
  return Object.keys(values)
    .filter((name) => name.startsWith('EDGEX_') && (values[name] ?? '') !== '' && !TAKEN.has(name))
    .toSorted();
}
