import { AntirioError } from '@antirio/kernel';
import { flag, whole } from './settings.ts';

/** EdgeX's configuration by its keys, such as `Device/MaxCmdOps`. */
export type Keys = Readonly<Record<string, string>>;
/** The text of a key of EdgeX's configuration, where there is one. */
export type TextOf = (key: string) => string | undefined;
/** What the key is called where it came from. */
export type NameOf = (key: string) => string;

/** Where the others are, and how they are met. */
export interface Places {
  readonly broker?: string;
  readonly coreMetadata?: string;
  readonly coreKeeper?: string;
  readonly messageBus?: {
    readonly authMode?: string;
    readonly secretName?: string;
    readonly baseTopicPrefix?: string;
  };
}

export const LOCAL_BROKER = new URL('mqtt://127.0.0.1:1883');
export const LOCAL_METADATA = new URL('http://127.0.0.1:59881');
const LOCAL_KEEPER = new URL('http://127.0.0.1:59890');

const bracketed = (host: string): string =>
  host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;

/** `<section>/Protocol`, `/Host` and `/Port` as one URL, where any of them is set. */
function urlFrom(section: string, fallback: URL, textOf: TextOf, nameOf: NameOf): string | undefined {
  const [protocol, host, port] = ['Protocol', 'Host', 'Port'].map((field) => textOf(`${section}/${field}`));
  if (protocol === undefined && host === undefined && port === undefined) return undefined;
  // EdgeX says tcp for MQTT
  const scheme = (protocol ?? fallback.protocol.slice(0, -1))
    .replace(/^tcp$/, 'mqtt')
    .replace(/^(?:ssl|tls)$/, 'mqtts');
  const at = port === undefined ? fallback.port : String(whole(port, nameOf(`${section}/Port`)));
  return `${scheme}://${bracketed(host ?? fallback.hostname)}:${at}`;
}

/** @throws AntirioError badConfig where the key has another value than those */
function oneOf(key: string, known: readonly string[], why: string, textOf: TextOf, nameOf: NameOf): void {
  const given = textOf(key);
  if (given !== undefined && !known.includes(given))
    throw new AntirioError('badConfig', `${nameOf(key)}=${given}: ${why}`);
}

const AUTH_MODES = ['none', 'usernamepassword'];

/** @throws AntirioError badConfig */
function busFrom(textOf: TextOf, nameOf: NameOf): Pick<Places, 'broker' | 'messageBus'> {
  oneOf('MessageBus/Type', ['mqtt'], 'the bus is an MQTT broker, nothing else', textOf, nameOf);
  oneOf(
    'MessageBus/AuthMode',
    AUTH_MODES,
    'the broker is met with none or usernamepassword; certificates are not taken',
    textOf,
    nameOf,
  );
  const disabled = textOf('MessageBus/Disabled');
  if (disabled !== undefined && flag(disabled, nameOf('MessageBus/Disabled'))) return { broker: 'none' };
  const broker = urlFrom('MessageBus', LOCAL_BROKER, textOf, nameOf);
  const authMode = textOf('MessageBus/AuthMode');
  const secretName = textOf('MessageBus/SecretName');
  const baseTopicPrefix = textOf('MessageBus/BaseTopicPrefix');
  const messageBus = {
    ...(authMode !== undefined && { authMode }),
    ...(secretName !== undefined && { secretName }),
    ...(baseTopicPrefix !== undefined && { baseTopicPrefix }),
  };
  return {
    ...(broker !== undefined && { broker }),
    ...(Object.keys(messageBus).length > 0 && { messageBus }),
  };
}

/** @throws AntirioError badConfig */
export function placesOf(textOf: TextOf, nameOf: NameOf, hasMetadata: boolean): Places {
  oneOf('Registry/Type', ['keeper'], 'the registry is core-keeper, nothing else', textOf, nameOf);
  const coreMetadata = hasMetadata
    ? urlFrom('Clients/core-metadata', LOCAL_METADATA, textOf, nameOf)
    : undefined;
  return { ...busFrom(textOf, nameOf), ...(coreMetadata !== undefined && { coreMetadata }) };
}

/** A URL as `<section>/Protocol`, `/Host` and `/Port`, without who we are there. */
function partsOf(section: string, url: string | undefined): Record<string, string> {
  if (url === undefined || !URL.canParse(url)) return {};
  const { protocol, hostname, port } = new URL(url);
  const scheme = protocol
    .slice(0, -1)
    .replace(/^mqtt$/, 'tcp')
    .replace(/^mqtts$/, 'ssl');
  const parts = {
    Protocol: scheme,
    Host: hostname.replace(/^\[|\]$/g, ''),
    ...(port !== '' && { Port: port }),
  };
  return Object.fromEntries(Object.entries(parts).map(([field, value]) => [`${section}/${field}`, value]));
}

/** The keys that say so much; the opposite of `placesOf`. */
export function keysOfPlaces({ broker, coreMetadata, messageBus = {} }: Places): Record<string, string> {
  const { authMode, secretName, baseTopicPrefix } = messageBus;
  const rest = {
    'MessageBus/AuthMode': authMode,
    'MessageBus/SecretName': secretName,
    'MessageBus/BaseTopicPrefix': baseTopicPrefix,
    'MessageBus/Disabled': broker === 'none' ? 'true' : undefined,
  };
  const given = Object.entries(rest).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return {
    ...partsOf('MessageBus', broker),
    ...partsOf('Clients/core-metadata', coreMetadata),
    ...Object.fromEntries(given),
  };
}

/** Where the registry is. @throws AntirioError badConfig */
export function registryOf(textOf: TextOf, nameOf: NameOf): string | undefined {
  return urlFrom('Registry', LOCAL_KEEPER, textOf, nameOf);
}
