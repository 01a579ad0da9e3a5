import { AntirioError } from '@antirio/kernel';
import { parseDuration } from '@antirio/edgex-contracts';

/** What a text of EdgeX's configuration means as an option; undefined leaves the option as it is. @throws AntirioError badConfig */
export type Read = (text: string, name: string) => unknown;

/** How a key of EdgeX's configuration becomes an option. */
export interface Setting {
  /** The option's path, with dots. */
  readonly option: string;
  readonly read: Read;
  /** The option's value as EdgeX writes it; as it is where there is no more to it. */
  readonly write?: (value: unknown) => string;
}

/** What a service takes of EdgeX's configuration besides what all services take: options by EdgeX's keys, such as `Device/MaxCmdOps`. */
export interface OwnSettings {
  readonly integers?: Readonly<Record<string, string>>;
  /** Kilobytes; the option has bytes. 0, which is any size for EdgeX, leaves the option's own bound. */
  readonly kilobytes?: Readonly<Record<string, string>>;
  readonly texts?: Readonly<Record<string, string>>;
  readonly flags?: Readonly<Record<string, string>>;
  /** Lists of texts, with commas between them. */
  readonly lists?: Readonly<Record<string, string>>;
  /** Sections whose keys are the user's own, such as `Driver`: the environment changes those that are configured. */
  readonly sections?: Readonly<Record<string, string>>;
  /** Metrics that `Writable/Telemetry/Metrics` switches. */
  readonly metrics?: readonly string[];
  /** Whether the service asks core-metadata, and so takes `Clients/core-metadata`. */
  readonly hasMetadata?: boolean;
  /** Keys that the service takes of its own configuration, and not of what all services have in common. */
  readonly notInCommon?: readonly string[];
  /** Whether what device services have in common is the service's, too. */
  readonly isDeviceService?: boolean;
  /** Variables that the program takes by itself. */
  readonly variables?: readonly string[];
  /** What is known and means nothing to this service, each with the reason. */
  readonly without?: Readonly<Record<string, string>>;
}

const bad = (name: string, given: string, should: string): AntirioError =>
  new AntirioError('badConfig', `${name}=${given} should be ${should}`);

const text: Read = (given) => given;

export function whole(given: string, name: string): number {
  if (!/^-?\d{1,15}$/.test(given)) throw bad(name, given, 'a whole number');
  return Number(given);
}

export function flag(given: string, name: string): boolean {
  if (given !== 'true' && given !== 'false') throw bad(name, given, 'true or false');
  return given === 'true';
}

const durationMs: Read = (given, name) => {
  const nanos = parseDuration(given);
  if (nanos === undefined) throw bad(name, given, 'a duration such as 30s');
  return Math.round(nanos / 1e6);
};

const kilobytes: Read = (given, name) => {
  const size = whole(given, name);
  return size === 0 ? undefined : size * 1024;
};

/** `a, b`; EdgeX's configuration service has Go's `[a b]`, too. */
const list: Read = (given) => {
  const [, inBrackets] = /^\[(.*)\]$/.exec(given.trim()) ?? [];
  const parts = inBrackets === undefined ? given.split(',') : inBrackets.split(/[\s,]+/);
  return parts.map((part) => part.trim()).filter((part) => part !== '');
};

const inMs = (value: unknown): string => `${String(value)}ms`;
const inKilobytes = (value: unknown): string => String(Math.ceil(Number(value) / 1024));
const joined = (value: unknown): string => (Array.isArray(value) ? value.join(', ') : String(value));

/** Settings of all services. */
const COMMON: Readonly<Record<string, Setting>> = {
  'Service/Host': { option: 'service.host', read: text },
  'Service/ServerBindAddr': { option: 'bind', read: text },
  'Service/Port': { option: 'port', read: whole },
  'Service/StartupMsg': { option: 'service.startupMsg', read: text },
  'Service/RequestTimeout': { option: 'service.requestTimeoutMs', read: durationMs, write: inMs },
  'Service/HealthCheckInterval': {
    option: 'service.healthCheckIntervalMs',
    read: durationMs,
    write: inMs,
  },
  'Service/CORSConfiguration/EnableCORS': { option: 'service.cors.enabled', read: flag },
  'Service/CORSConfiguration/CORSAllowCredentials': { option: 'service.cors.allowCredentials', read: flag },
  'Service/CORSConfiguration/CORSAllowedOrigin': { option: 'service.cors.allowedOrigin', read: text },
  'Service/CORSConfiguration/CORSAllowedMethods': { option: 'service.cors.allowedMethods', read: text },
  'Service/CORSConfiguration/CORSAllowedHeaders': { option: 'service.cors.allowedHeaders', read: text },
  'Service/CORSConfiguration/CORSExposeHeaders': { option: 'service.cors.exposeHeaders', read: text },
  'Service/CORSConfiguration/CORSMaxAge': { option: 'service.cors.maxAge', read: whole },
  'Writable/LogLevel': { option: 'writable.LogLevel', read: text },
  'Writable/Telemetry/Interval': { option: 'writable.Telemetry.Interval', read: text },
};

/** All keys that a service takes, but for those that say where others are. */
export function settingsOf(own: OwnSettings): Readonly<Record<string, Setting>> {
  const all: Record<string, Setting> = { ...COMMON };
  for (const [keys, read, write] of [
    [own.integers, whole, String],
    [own.kilobytes, kilobytes, inKilobytes],
    [own.texts, text, String],
    [own.flags, flag, String],
    [own.lists, list, joined],
  ] as const)
    for (const [key, option] of Object.entries(keys ?? {})) all[key] = { option, read, write };
  for (const metric of own.metrics ?? [])
    all[`Writable/Telemetry/Metrics/${metric}`] = {
      option: `writable.Telemetry.Metrics.${metric}`,
      read: flag,
    };
  return all;
}

/** Sections of all services whose keys are the user's own. */
const COMMON_SECTIONS: Readonly<Record<string, string>> = {
  'Writable/InsecureSecrets': 'writable.InsecureSecrets',
  'Writable/Telemetry/Metrics': 'writable.Telemetry.Metrics',
  'Writable/Telemetry/Tags': 'writable.Telemetry.Tags',
};

export function sectionsOf(own: OwnSettings): Readonly<Record<string, string>> {
  return { ...COMMON_SECTIONS, ...own.sections };
}
