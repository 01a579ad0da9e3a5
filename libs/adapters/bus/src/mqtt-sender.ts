import type { IClientOptions, MqttClient } from 'mqtt';
import { AntirioError, type Random } from '@antirio/kernel';
import { openStream, type MqttAddress } from './mqtt-connection.ts';
import { within } from './within.ts';

export interface MqttMessage {
  readonly topic: string;
  readonly payload: string;
  /** User properties, where the broker speaks MQTT 5. */
  readonly properties: Readonly<Record<string, string>>;
}

/** Messages with QoS 1 to a broker of somebody else, who may refuse them. One attempt each: whoever sends decides what follows. */
export interface MqttSender {
  /** Resolves when the broker has acknowledged it. @throws AntirioError forbidden where it refuses the login; unavailable | timeout */
  send(message: MqttMessage): Promise<void>;
  close(): Promise<void>;
}

const CONNECT_MS = 5000;
const ACKNOWLEDGED_MS = 10_000;
/** Return codes of CONNACK and PUBACK: MQTT 3.1.1 and 5. */
const REFUSED_LOGIN: ReadonlySet<number> = new Set([4, 5, 134, 135]);
const REFUSED_VERSION: ReadonlySet<number> = new Set([1, 132]);

const codeOf = (error: unknown): number | undefined => {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'number' ? code : undefined;
};

function failureOf(name: string, cause: unknown): AntirioError {
  if (cause instanceof AntirioError) return cause;
  const code = codeOf(cause);
  const refused = code !== undefined && REFUSED_LOGIN.has(code);
  if (refused) return new AntirioError('forbidden', `${name} refuses the login`, { code }, cause);
  return new AntirioError('unavailable', `${name} did not take a message`, {}, cause);
}

export function createMqttSender(
  address: MqttAddress & { readonly url: string },
  random: Random,
): MqttSender {
  const { protocol, host } = new URL(address.url);
  const name = `${protocol}//${host}`;
  let version: 4 | 5 = 5;
  let client: Promise<MqttClient> | undefined;
  let closed = false;

  const options = (): IClientOptions => ({
    username: address.username,
    password: address.password,
    protocolVersion: version,
    clientId: `antirio-${Buffer.from(random.bytes(8)).toString('hex')}`,
    keepalive: 15,
    connectTimeout: CONNECT_MS,
    reconnectPeriod: 0,
  });
  const connect = async (): Promise<MqttClient> => {
    const { MqttClient: Client } = await import('./mqtt-client.ts');
    const made = new Client(() => openStream(address), options());
    const connected = new Promise<void>((resolve, reject) => {
      made.once('connect', () => resolve());
      made.on('error', reject);
      made.once('close', () => reject(new AntirioError('unavailable', `${name} closed the connection`)));
    });
    try {
      await within(CONNECT_MS, connected, `${name} did not answer`);
      return made;
    } catch (error) {
      made.end(true);
      throw error;
    }
  };
  /** In MQTT 5, or as the broker knows it. */
  const connectAsKnown = async (): Promise<MqttClient> => {
    try {
      return await connect();
    } catch (error) {
      const code = codeOf(error);
      if (version === 4 || code === undefined || !REFUSED_VERSION.has(code)) throw error;
      version = 4;
      return connect();
    }
  };
  const drop = (): void => {
    const old = client;
    client = undefined;
    old?.then(
      (open) => open.end(true),
      () => undefined,
    );
  };
  const opened = async (): Promise<MqttClient> => {
    if (closed) throw new AntirioError('unavailable', 'no more is sent');
    client ??= connectAsKnown();
    const open = await client;
    if (open.connected) return open;
    drop();
    return opened();
  };
  return {
    async send({ topic, payload, properties }) {
      try {
        const open = await opened();
        const v5 = { contentType: 'application/json', userProperties: { ...properties } };
        const published = new Promise<void>((resolve, reject) => {
          // what is under way when the connection ends is told of by nobody else
          const gone = (): void => reject(new AntirioError('unavailable', `${name} closed the connection`));
          open.once('close', gone);
          open.publish(topic, payload, { qos: 1, ...(version === 5 ? { properties: v5 } : {}) }, (error) => {
            open.off('close', gone);
            if (error instanceof Error) reject(error);
            else resolve();
          });
        });
        await within(ACKNOWLEDGED_MS, published, `${name} did not acknowledge a message`);
      } catch (cause) {
        drop();
        throw failureOf(name, cause);
      }
    },
    async close() {
      closed = true;
      const open = await client?.catch(() => undefined);
      client = undefined;
      await open?.endAsync(true);
    },
  };
}
