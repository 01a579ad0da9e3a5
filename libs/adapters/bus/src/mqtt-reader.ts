import { AntirioError, describeError } from '@antirio/kernel';
import type { Check, Log } from '@antirio/host';
import { createMqttConnection, type MqttAddress } from './mqtt-connection.ts';

export interface MqttReaderPorts {
  readonly address: MqttAddress;
  /** The name of the session that the broker keeps: always the same one, and nobody else's there. */
  readonly clientId: string;
  readonly filter: string;
  /** The message is acknowledged when this has resolved; after a failure it is tried again, and nothing else is taken before it. */
  readonly onMessage: (topic: string, payload: Uint8Array) => Promise<void>;
  readonly log: Log;
}

/** Reads topics of somebody else's broker so that nothing is lost: what comes while we are away waits in our session there. */
export interface MqttReader {
  health(): Check;
  /** What was not acknowledged comes again to the next reader of that name. */
  close(): Promise<void>;
}

const AGAIN_MS = 1000;
const SUBSCRIBE_WITHIN_MS = 10_000;
const REFUSED = 128;

export function createMqttReader(ports: MqttReaderPorts): MqttReader {
  const { address, clientId, filter, onMessage, log } = ports;
  const stopping = new AbortController();
  let subscribed = false;
  let failing: string | undefined;
  let timer: NodeJS.Timeout | undefined;

  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const wait = setTimeout(resolve, AGAIN_MS);
      const stop = (): void => {
        clearTimeout(wait);
        resolve();
      };
      stopping.signal.addEventListener('abort', stop, { once: true });
    });
  const closed = (): boolean => stopping.signal.aborted;
  /** Whether it was taken; not only where we stop. */
  const take = async (topic: string, payload: Uint8Array): Promise<boolean> => {
    while (!closed()) {
      try {
        await onMessage(topic, payload);
        failing = undefined;
        return true;
      } catch (error) {
        const text = describeError(error);
        if (failing !== text) log.warn({ topic, error: text }, 'a message cannot be taken, and waits');
        failing = text;
        await pause();
      }
    }
    return false;
  };
  const connection = createMqttConnection(address, log, {
    session: clientId,
    onClient(client) {
      client.handleMessage = ({ topic, payload }, callback) => {
        const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
        // without an acknowledgement it stays with the broker
        void take(topic, new Uint8Array(bytes)).then((taken) => {
          if (taken) callback();
        });
      };
    },
    onBack: () => void subscribe(),
  });
  const subscribe = async (): Promise<void> => {
    clearTimeout(timer);
    if (closed()) return;
    try {
      const client = await connection.client(SUBSCRIBE_WITHIN_MS);
      const answers = await client.subscribeAsync(filter, { qos: 1 });
      if (answers.some(({ qos }) => qos === REFUSED))
        throw new AntirioError('forbidden', `the broker refuses the subscription to ${filter}`);
      subscribed = true;
      failing = undefined;
    } catch (error) {
      subscribed = false;
      failing = describeError(error);
      timer = setTimeout(() => void subscribe(), AGAIN_MS);
    }
  };
  void subscribe();
  return {
    health() {
      const connected = connection.health();
      if (!connected.ok) return connected;
      if (failing !== undefined) return { ok: false, detail: failing };
      return subscribed ? { ok: true } : { ok: false, detail: `not subscribed to ${filter} yet` };
    },
    async close() {
      stopping.abort();
      clearTimeout(timer);
      await connection.close();
    },
  };
}
