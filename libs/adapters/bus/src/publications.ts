import type { IClientOptions, IClientPublishOptions, MqttClient } from 'mqtt';

type MessageIds = NonNullable<IClientOptions['messageIdProvider']>;

/** A publication that was given to mqtt.js. */
export interface Sent {
  readonly acknowledged: Promise<unknown>;
  /** It is not sent any more; without that mqtt.js sends it again with every connection, and one that the broker never takes ends them all. */
  withdraw(): void;
}

/** What one client publishes, by the packet ids that mqtt.js gives it. */
export interface Publications {
  /** For the client's settings. */
  readonly messageIds: MessageIds;
  publish(client: MqttClient, topic: string, payload: Buffer, options: IClientPublishOptions): Sent;
}

interface Waiting {
  id: number | undefined;
}

const LAST_ID = 65_535;

export function createPublications(): Publications {
  const used = new Set<number>();
  /** Without an id so far: mqtt.js gives them out in the order of the calls. */
  const waiting = new Set<Waiting>();
  let last = 0;

  const next = (): number => (last % LAST_ID) + 1;
  const allocate = (): number | null => {
    if (used.size === LAST_ID) return null;
    for (last = next(); used.has(last);) last = next();
    used.add(last);
    const [first] = waiting;
    if (first !== undefined) {
      first.id = last;
      waiting.delete(first);
    }
    return last;
  };
  return {
    messageIds: {
      allocate,
      getLastAllocated: () => (last === 0 ? null : last),
      register(id) {
        const isNew = !used.has(id);
        used.add(id);
        return isNew;
      },
      deallocate: (id) => void used.delete(id),
      clear: () => used.clear(),
    },
    publish(client, topic, payload, options) {
      const { promise, resolve, reject } = Promise.withResolvers<undefined>();
      const own: Waiting = { id: undefined };
      // only those with QoS 1 and 2 have one
      if ((options.qos ?? 0) > 0) waiting.add(own);
      client.publish(topic, payload, options, (error) => {
        waiting.delete(own);
        if (error === undefined || (error as Error | null) === null) resolve(undefined);
        else reject(error);
      });
      return {
        acknowledged: promise,
        withdraw() {
          promise.catch(() => undefined);
          if (own.id !== undefined) client.removeOutgoingMessage(own.id);
        },
      };
    },
  };
}
