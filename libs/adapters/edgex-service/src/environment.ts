import { AntirioError } from '@antirio/kernel';
import {
  LOCAL_BROKER,
  LOCAL_METADATA,
  placesOf,
  registryOf,
  type Keys,
  type Places,
  type TextOf,
} from './places.ts';
import { flag, sectionsOf, settingsOf, type OwnSettings } from './settings.ts';
import { leavesOf, isTree, merged, treeWith, valueAt, type Tree } from './tree.ts';

export type Variables = Readonly<Record<string, string | undefined>>;

/** The variable that overrides a key of EdgeX's configuration: `Clients/core-metadata/Host` is `CLIENTS_CORE_METADATA_HOST`. */
export function variableOf(key: string): string {
  return key.replace(/[/-]/g, '_').toUpperCase();
}

/** An empty variable is none. */
const given = (values: Variables, name: string): string | undefined => {
  const value = values[name];
  return value === '' ? undefined : value;
};

/** Where core-keeper is: `keeper.http://host:port`, or `none`. @throws AntirioError badConfig */
function configProvider(text: string): string {
  if (text === 'none') return text;
  const [, url] = /^keeper\.(https?:\/\/\S+)$/.exec(text) ?? [];
  if (url === undefined)
    throw new AntirioError(
      'badConfig',
      `EDGEX_CONFIG_PROVIDER=${text} should be keeper.http://host:port, or none`,
    );
  return url;
}

/** `EDGEX_CONFIG_PROVIDER`; without it, the registry where that is to be used. */
function keeperOf(values: Variables): string | undefined {
  const provider = given(values, 'EDGEX_CONFIG_PROVIDER');
  if (provider !== undefined) return configProvider(provider);
  if (given(values, 'EDGEX_USE_REGISTRY') !== 'true') return undefined;
  return registryOf((key) => given(values, variableOf(key)), variableOf);
}

function withHost(url: string, host: string): string {
  const at = new URL(url);
  at.hostname = host.includes(':') ? `[${host}]` : host;
  return at.href.replace(/\/$/, '');
}

/** `EDGEX_REMOTE_SERVICE_HOSTS=<this host>,<the core's host>,<bind>`, for a service on another host than the core. @throws AntirioError badConfig */
function remoteHosts(values: Variables, places: Places, hasMetadata: boolean): Tree {
  const text = given(values, 'EDGEX_REMOTE_SERVICE_HOSTS');
  if (text === undefined) return {};
  const hosts = text.split(',').map((host) => host.trim());
  if (hosts.length !== 3 || hosts.includes(''))
    throw new AntirioError(
      'badConfig',
      `EDGEX_REMOTE_SERVICE_HOSTS=${text} should be three hosts: this one, the core's, and where to listen`,
    );
  const [mine, core = '', bind] = hosts;
  const known: Record<string, string | undefined> = {
    broker: places.broker ?? LOCAL_BROKER.href,
    coreMetadata: hasMetadata ? (places.coreMetadata ?? LOCAL_METADATA.href) : undefined,
    coreKeeper: places.coreKeeper,
  };
  const there = Object.entries(known).flatMap(([which, url]) =>
    url === undefined || url === 'none' ? [] : [[which, withHost(url, core)]],
  );
  return { bind, service: { host: mine }, ...(Object.fromEntries(there) as Tree) };
}

/** What is configured in sections whose keys are the user's own, by the variables that change it. */
function sectionKeys(own: OwnSettings, configured: Tree): ReadonlyMap<string, readonly string[]> {
  const keys = new Map<string, readonly string[]>();
  for (const [section, option] of Object.entries(sectionsOf(own))) {
    const path = option.split('.');
    const tree = valueAt(configured, path);
    if (!isTree(tree)) continue;
    for (const [leaf] of leavesOf(tree))
      keys.set(variableOf([section, ...leaf].join('/')), [...path, ...leaf]);
  }
  return keys;
}

/** Where the others are. @throws AntirioError badConfig */
function surroundings(values: Variables, { hasMetadata = false }: OwnSettings, known: Keys): Tree {
  const coreKeeper = keeperOf(values);
  const textOf: TextOf = (key) => given(values, variableOf(key)) ?? known[key];
  const places = {
    ...placesOf(textOf, variableOf, hasMetadata),
    ...(coreKeeper !== undefined && { coreKeeper }),
  };
  return merged(places, remoteHosts(values, places, hasMetadata));
}

/**
 * Options that the environment sets under EdgeX's names (`SERVICE_PORT`, `WRITABLE_LOGLEVEL`, ...), as a tree; an empty variable is none. What is
 * configured already says which keys of sections such as `Driver` there are to be changed; and `places` has EdgeX's keys of where others are, of which the
 * environment changes some.
 * @throws AntirioError badConfig naming the variable
 */
export function edgexEnvironment(
  values: Variables,
  own: OwnSettings = {},
  configured: Tree = {},
  places: Keys = {},
): Tree {
  let options: Tree = {};
  const put = (path: readonly string[], value: unknown): void => {
    options = merged(options, treeWith(path, value));
  };
  for (const [key, { option, read }] of Object.entries(settingsOf(own))) {
    const name = variableOf(key);
    const text = given(values, name);
    if (text !== undefined) put(option.split('.'), read(text, name));
  }
  for (const [name, path] of sectionKeys(own, configured)) {
    const text = given(values, name);
    if (text !== undefined) put(path, text);
  }
  const useRegistry = given(values, 'EDGEX_USE_REGISTRY');
  if (useRegistry !== undefined) put(['service', 'register'], flag(useRegistry, 'EDGEX_USE_REGISTRY'));
  return merged(options, surroundings(values, own, places));
}

/** Variables that begin with `EDGEX_` and are not taken: why. Undefined where they are. */
const EDGEX: Readonly<Record<string, ((value: string) => string | undefined) | undefined>> = {
  EDGEX_USE_REGISTRY: undefined,
  EDGEX_CONFIG_PROVIDER: undefined,
  EDGEX_CONFIG_FILE: undefined,
  EDGEX_CONFIG_DIR: undefined,
  EDGEX_PROFILE: undefined,
  EDGEX_COMMON_CONFIG: undefined,
  EDGEX_OVERWRITE_CONFIG: undefined,
  EDGEX_STARTUP_DURATION: undefined,
  EDGEX_STARTUP_INTERVAL: undefined,
  EDGEX_REMOTE_SERVICE_HOSTS: undefined,
  EDGEX_SECURITY_SECRET_STORE: (value) =>
    value === 'false' ? undefined : 'there is no secret store: secrets are in a file of the service',
  EDGEX_DISABLE_JWT_VALIDATION: (value) =>
    /^(?:1|t|true)$/i.test(value) ? undefined : 'tokens are not asked for: who reaches the port may use it',
  EDGEX_MSG_BASE64_PAYLOAD: (value) =>
    value === 'true' ? 'payloads are sent as JSON; those in base64 are understood' : undefined,
  EDGEX_FILE_URI_TIMEOUT: () => 'files are read from this host only',
};

export const NO_NAME_ESCAPE =
  'names are escaped only where they would break a topic: services of EdgeX beside this one need it off, too';

/** Keys of EdgeX's configuration that no service takes. */
const NOT_TAKEN: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/^(?:SERVICE|CLIENTS_\w+)_SECURITYOPTIONS_/, 'there is no zero trust network here'],
  [/^CLIENTS_\w+_USEMESSAGEBUS=true$/, 'core-metadata is asked by HTTP'],
  [/^CLIENTS_\w+_(?:HOST|PORT|PROTOCOL)$/, 'the service does not ask that one'],
  [/^MESSAGEBUS_OPTIONAL_/, 'the client of the bus has its own settings'],
  [/^DATABASE_/, 'the service has its own store'],
  [/^SERVICE_ENABLENAMEFIELDESCAPE=true$/, NO_NAME_ESCAPE],
  [/^WRITABLE_(?:INSECURESECRETS|TELEMETRY_METRICS|TELEMETRY_TAGS)_/, 'no such key is configured'],
];

/** Each variable that is EdgeX's and means nothing here, with the reason; an empty variable is none. */
export function edgexVariablesNotTaken(
  values: Variables,
  own: OwnSettings = {},
  configured: Tree = {},
): Readonly<Record<string, string>> {
  const taken = new Set([
    ...(own.variables ?? []),
    ...Object.keys(settingsOf(own)).map(variableOf),
    ...sectionKeys(own, configured).keys(),
  ]);
  if (own.hasMetadata === true)
    for (const field of ['HOST', 'PORT', 'PROTOCOL']) taken.add(`CLIENTS_CORE_METADATA_${field}`);
  const without = new Map(Object.entries(own.without ?? {}).map(([key, why]) => [variableOf(key), why]));
  const sections = Object.keys(own.sections ?? {}).map((key) => `${variableOf(key)}_`);
  const whyNot = (name: string, value: string): string | undefined => {
    if (taken.has(name)) return undefined;
    if (name.startsWith('EDGEX_')) return name in EDGEX ? EDGEX[name]?.(value) : 'it has no meaning here';
    const [, why] =
      NOT_TAKEN.find(([pattern]) => pattern.test(name) || pattern.test(`${name}=${value}`)) ?? [];
    const isOfSection = sections.some((section) => name.startsWith(section));
    return without.get(name) ?? why ?? (isOfSection ? 'no such key is configured' : undefined);
  };
  const found = Object.entries(values).flatMap(([name, value = '']) => {
    const why = value === '' ? undefined : whyNot(name, value);
    return why === undefined ? [] : [[name, why] as const];
  });
  return Object.fromEntries(found.toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
