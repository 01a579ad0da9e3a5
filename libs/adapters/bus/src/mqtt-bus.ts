import type { IClientPublishOptions, IPublishPacket, MqttClient } from 'mqtt';
import { AntirioError } from '@antirio/kernel';
import type { Bus, BusHandler, Log, SubscribeOptions, Subscription } from '@antirio/host';
import { MAX_PAYLOAD_BYTES } from './limits.ts';
import { createInbox, type Inbox } from './inbox.ts';
import { createMqttConnection, type MqttAddress } from './mqtt-connection.ts';
import { createPublications } from './publications.ts';
import { checkFilter, checkTopic, createTopicMatcher } from './topics.ts';
import { within } from './within.ts';

export interface MqttBusLimits {
  /** The largest payload that `publish` takes (default 36 MiB, which EdgeX's largest event fits in). */
  readonly maxPayloadBytes?: number;
  /** Publications under way before `publish` answers `busy` (default 2000, 16 MiB; one alone may have more). */
  readonly maxPending?: number;
  readonly maxPendingBytes?: number;
  /** How long `publish` waits for the broker (default 15 s). */
  readonly publishTimeoutMs?: number;
  /** How long `subscribe` waits for the broker (default 30 s). */
  readonly subscribeTimeoutMs?: number;
}

interface Subscriber {
  readonly filter: string;
  readonly matches: (topic: string) => boolean;
  readonly inbox: Inbox;
  readonly onBack: (() => void) | undefined;
}

const REFUSED = 128;
const UNSUBSCRIBE_MS = 2000;

const bytesOf = (payload: string | Buffer): Uint8Array => {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
};

/** Every subscriber with its own queue; the connection is not read on while one of them is full. */
function createDispatch(subscribers: ReadonlySet<Subscriber>): (client: MqttClient) => void {
  const dispatch = async ({ topic, payload }: IPublishPacket): Promise<void> => {
    const bytes = bytesOf(payload);
    const taking = [...subscribers].filter(({ matches }) => matches(topic));
    await Promise.all(taking.map(({ inbox }) => inbox.offer(topic, bytes, { until: 'accepted' })));
  };
  return (client) => {
    client.handleMessage = (packet, callback) => void dispatch(packet).then(() => callback());
  };
}

/**
 * The bus through an MQTT 3.1.1 broker. Publications and subscriptions have a connection each: acknowledgements of what a handler
 * publishes are never behind the messages that wait for that handler. While the broker is away, `publish` waits and then fails;
 * subscriptions come back with the connection, and retained messages may come again then.
 */
export function createMqttBus(address: MqttAddress, log: Log, limits: MqttBusLimits = {}): Bus {
  const {
    maxPayloadBytes = MAX_PAYLOAD_BYTES,
    maxPending = 2000,
    maxPendingBytes = 16 << 20,
    publishTimeoutMs = 15_000,
    subscribeTimeoutMs = 30_000,
  } = limits;
  const subscribers = new Set<Subscriber>();
  const withdrawn = new WeakSet<Subscriber>();
  const publications = createPublications();
  const outgoing = createMqttConnection(address, log, { messageIds: publications.messageIds });
  const incoming = createMqttConnection(address, log, {
    onClient: createDispatch(subscribers),
    onBack() {
      for (const { onBack } of subscribers) onBack?.();
    },
  });
  let closed = false;
  let pending = 0;
  let pendingBytes = 0;

  const send = async (topic: string, payload: Buffer, options: IClientPublishOptions): Promise<void> => {
    const client = await outgoing.client(publishTimeoutMs);
    const sent = publications.publish(client, topic, payload, options);
    try {
      await within(publishTimeoutMs, sent.acknowledged, 'the broker took no message');
    } catch (error) {
      sent.withdraw();
      throw error;
    }
  };
  /** @throws AntirioError where a message may not be sent, or not now. */
  const admit = (topic: string, bytes: number): void => {
    checkTopic(topic);
    if (closed) throw new AntirioError('unavailable', 'the bus is closed');
    if (bytes > maxPayloadBytes)
      throw new AntirioError('tooLarge', `a message of ${bytes} bytes`, { topic, maxPayloadBytes });
    if (pending >= maxPending || (pending > 0 && pendingBytes + bytes > maxPendingBytes))
      throw new AntirioError('busy', 'too many messages under way', { topic, pending });
  };
  const granted = async (filter: string): Promise<boolean> => {
    const client = await incoming.client(subscribeTimeoutMs);
    const answers = await client.subscribeAsync(filter, { qos: 1 });
    return answers.every(({ qos }) => qos !== REFUSED);
  };
  const unsubscribe = async (filter: string): Promise<void> => {
    const client = await incoming.client(0);
    await client.unsubscribeAsync(filter);
  };
  /** What the broker sends until it has ended the subscription is taken: mqtt.js acknowledges it. */
  const withdraw = async (subscriber: Subscriber): Promise<void> => {
    const { filter, inbox } = subscriber;
    withdrawn.add(subscriber);
    const shared = [...subscribers].some((other) => other.filter === filter && !withdrawn.has(other));
    if (!shared && !closed && incoming.health().ok)
      await within(UNSUBSCRIBE_MS, unsubscribe(filter), 'the broker did not end it').catch(() => undefined);
    subscribers.delete(subscriber);
    await inbox.close();
  };
  const subscribe = async (
    filter: string,
    handler: BusHandler,
    { onBack, ...options }: SubscribeOptions,
  ): Promise<Subscription> => {
    const inbox = createInbox({ filter, handler, log, ...options });
    const subscriber = { filter, matches: createTopicMatcher(filter), inbox, onBack };
    subscribers.add(subscriber);
    try {
      if (!(await within(subscribeTimeoutMs, granted(filter), 'the broker did not take the subscription')))
        throw new AntirioError('forbidden', 'the broker refused the subscription', { filter });
    } catch (cause) {
      await withdraw(subscriber);
      if (cause instanceof AntirioError) throw cause;
      throw new AntirioError(
        refusedBy(cause) ? 'forbidden' : 'unavailable',
        `cannot subscribe to ${filter}`,
        {},
        cause,
      );
    }
    return { close: () => withdraw(subscriber) };
  };
  return {
    async publish(topic, payload, { qos = 0, retain = false } = {}) {
      const bytes = Buffer.from(payload);
      admit(topic, bytes.length);
      pending += 1;
      pendingBytes += bytes.length;
      try {
        await send(topic, bytes, { qos, retain });
      } catch (cause) {
        if (cause instanceof AntirioError) throw cause;
        throw new AntirioError('unavailable', `cannot publish to ${topic}`, {}, cause);
      } finally {
        pending -= 1;
        pendingBytes -= bytes.length;
      }
    },
    async subscribe(filter, handler, options = {}) {
      checkFilter(filter);
      if (closed) throw new AntirioError('unavailable', 'the bus is closed');
      return subscribe(filter, handler, options);
    },
    health() {
      if (closed) return { ok: false, detail: 'the bus is closed' };
      const checks = [incoming.health(), outgoing.health()];
      return checks.find(({ ok }) => !ok) ?? { ok: true };
    },
    async close() {
      closed = true;
      const inboxes = [...subscribers].map(({ inbox }) => inbox.close());
      subscribers.clear();
      await Promise.all([...inboxes, outgoing.close(), incoming.close()]);
    },
  };
}

/** mqtt.js fails a subscription with the broker's return code. */
function refusedBy(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === REFUSED;
}
