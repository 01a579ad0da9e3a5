import { connect as connectSocket, isIP, type LookupFunction } from 'node:net';
import { connect as connectTls, type SecureContextOptions } from 'node:tls';
import type { IClientOptions, MqttClient } from 'mqtt';
import { AntirioError } from '@antirio/kernel';
import type { Check, Log } from '@antirio/host';
import { within } from './within.ts';

/** Where an MQTT broker is, and who we are there. */
export type MqttAddress = (
  | {
      /** `mqtt://[user:password@]host[:port]`, or `mqtts://` */
      readonly url: string;
      /** In place of the system's resolver, for names; an address in the URL is taken as it is. */
      readonly lookup?: LookupFunction | undefined;
    }
  | { readonly socketPath: string }
) & {
  readonly username?: string;
  readonly password?: string;
  /** In place of a user name and a password: read for each connection. */
  readonly token?: (() => string) | undefined;
  /** What is trusted there, and who we are; read for each connection. */
  readonly tls?: (() => SecureContextOptions) | undefined;
};

/** One connection to a broker: opened when first wanted, found again whenever it is lost. */
export interface MqttConnection {
  /** The connected client. @throws AntirioError unavailable when there is none within the time. */
  client(timeoutMs: number): Promise<MqttClient>;
  health(): Check;
  close(): Promise<void>;
}

const FIRST_DELAY_MS = 100;
const LAST_DELAY_MS = 3000;

type Stream = ReturnType<NonNullable<ConstructorParameters<typeof MqttClient>[0]>>;

export function openStream(address: MqttAddress): Stream {
  if ('socketPath' in address) return connectSocket(address.socketPath);
  const { protocol, hostname, port } = new URL(address.url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const by = address.lookup === undefined ? {} : { lookup: address.lookup };
  if (protocol === 'mqtts:')
    return connectTls({
      ...address.tls?.(),
      ...{ host, port: Number(port || 8883), ...by },
      // an address is no name to send (RFC 6066); the certificate is checked against it all the same
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
  return connectSocket({ host, port: Number(port || 1883), noDelay: true, ...by });
}

/** @throws AntirioError badConfig */
function checkAddress(address: MqttAddress): void {
  if ('socketPath' in address) return;
  if (!URL.canParse(address.url) || !/^mqtts?:$/.test(new URL(address.url).protocol))
    throw new AntirioError('badConfig', "the broker's address is no mqtt:// or mqtts:// URL");
}

interface Login {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

const decoded = (text: string): string | undefined => (text === '' ? undefined : decodeURIComponent(text));

/** What is given by itself wins over what is in the URL. */
function loginOf(address: MqttAddress): Login {
  if (address.token !== undefined) return { username: 'token', password: address.token() };
  if ('socketPath' in address) return address;
  const { username, password } = new URL(address.url);
  return {
    username: address.username ?? decoded(username),
    password: address.password ?? decoded(password),
  };
}

/** Where it is, without who we are there. */
function nameOf(address: MqttAddress): string {
  if ('socketPath' in address) return address.socketPath;
  const { protocol, host } = new URL(address.url);
  return `${protocol}//${host}`;
}

export interface ConnectionHooks {
  readonly messageIds?: NonNullable<IClientOptions['messageIdProvider']>;
  /** The name under which the broker keeps what comes while we are away; without it nothing is kept. */
  readonly session?: string;
  /** Gets the client before it connects. */
  readonly onClient?: (client: MqttClient) => void;
  /** A connection that was lost is there again. */
  readonly onBack?: () => void;
}

export function createMqttConnection(
  address: MqttAddress,
  log: Log,
  { messageIds, session, onClient, onBack }: ConnectionHooks = {},
): MqttConnection {
  checkAddress(address);
  const name = nameOf(address);
  let opening: Promise<MqttClient> | undefined;
  let lastError = 'not connected yet';
  let online = Promise.withResolvers<undefined>();
  let connected = false;
  let wasConnected = false;
  let closed = false;

  const settings = (): IClientOptions => ({
    ...loginOf(address),
    clientId: session ?? `antirio-${process.pid}-${Math.random().toString(36).slice(2, 12)}`,
    clean: session === undefined,
    keepalive: 15,
    connectTimeout: 5000,
    reconnectPeriod: FIRST_DELAY_MS,
    reconnectOnConnackError: true,
    queueQoSZero: false,
    messageIdProvider: messageIds,
  });
  const watch = (client: MqttClient): void => {
    let delay = FIRST_DELAY_MS;
    client.on('connect', () => {
      delay = FIRST_DELAY_MS;
      connected = true;
      online.resolve(undefined);
      log.debug({ broker: name }, 'connected');
      if (wasConnected) onBack?.();
      wasConnected = true;
    });
    client.on('error', (error) => {
      if (lastError !== error.message) log.warn({ broker: name, error: error.message }, 'broker');
      lastError = error.message;
    });
    client.on('close', () => {
      if (connected) {
        if (!closed) log.warn({ broker: name }, 'the broker is gone');
        online = Promise.withResolvers();
      }
      connected = false;
      delay = Math.min(delay * 2, LAST_DELAY_MS);
      // a token may be another one by now
      Object.assign(client.options, loginOf(address));
      // Read when the next attempt is planned: clients that lost one broker do not come back all at once.
      client.options.reconnectPeriod = Math.round(delay * (0.5 + Math.random()));
    });
  };
  const open = async (): Promise<MqttClient> => {
    // Loaded when first wanted: inside the broker's process nobody needs it.
    const { MqttClient: Client } = await import('./mqtt-client.ts');
    const client = new Client(() => openStream(address), settings());
    watch(client);
    onClient?.(client);
    return client;
  };
  return {
    async client(timeoutMs) {
      if (closed) throw new AntirioError('unavailable', 'the bus is closed');
      opening ??= open();
      const client = await opening;
      if (client.connected) return client;
      try {
        await within(timeoutMs, online.promise, `${name} did not answer`);
      } catch (cause) {
        throw new AntirioError('unavailable', `no broker at ${name}: ${lastError}`, {}, cause);
      }
      return client;
    },
    health: () =>
      opening === undefined || connected
        ? { ok: !closed }
        : { ok: false, detail: `no broker at ${name}: ${lastError}` },
    async close() {
      closed = true;
      // who waits for the connection waits for nothing
      online.promise.catch(() => undefined);
      online.reject(new AntirioError('unavailable', 'the bus is closed'));
      await (await opening)?.endAsync(true);
    },
  };
}
