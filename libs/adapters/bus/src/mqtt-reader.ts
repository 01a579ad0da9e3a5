import { AntirioError, describeError } from '@antirio/kernel';
import { sleep, type Check, type Log } from '@antirio/host';
import type { MqttClient } from 'mqtt';
import { createMqttConnection, type MqttAddress } from './mqtt-connection.ts';

export interface MqttReaderPorts {
  readonly address: MqttAddress;
  /** The name of the session that the broker keeps: always the same one, and nobody else's there. */
  readonly clientId: string;
  readonly filter: string;
  /** The message is acknowledged when this has resolved; after a failure it is tried again, and nothing else is taken before it. One that comes again by a new connection may be under way twice. */
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

/** The client hears no answers to its pings behind a message that waits: the broker is told that we are here, and no answer is asked for. */
function stayConnected(client: MqttClient): void {
  client.sendPing();
  client.reschedulePing(true);
}

export function createMqttReader(ports: MqttReaderPorts): MqttReader {
  const { address, clientId, filter, onMessage, log } = ports;
  const stopping = new AbortController();
  let subscribed = false;
  let failing: string | undefined;
  let timer: NodeJS.Timeout | undefined;

  const closed = (): boolean => stopping.signal.aborted;
  /** Whether it was taken; not only where the connection that it came by ends: the broker sends it again by the next one. */
  const take = async (
    topic: string,
    payload: Uint8Array,
    { client, signal }: { readonly client: MqttClient; readonly signal: AbortSignal },
  ): Promise<boolean> => {
    const ended = (): boolean => signal.aborted;
    while (!ended()) {
      try {
        await onMessage(topic, payload);
        failing = undefined;
        // what it came by may be gone: an acknowledgement by another connection would be of something else
        return !ended();
      } catch (error) {
        const text = describeError(error);
        if (failing !== text) log.warn({ topic, error: text }, 'a message cannot be taken, and waits');
        failing = text;
        await sleep(AGAIN_MS, signal);
        if (!ended()) stayConnected(client);
      }
    }
    return false;
  };
  const connection = createMqttConnection(address, log, {
    session: clientId,
    onClient(client) {
      let link = new AbortController();
      client.on('close', () => {
        link.abort();
        link = new AbortController();
      });
      stopping.signal.addEventListener('abort', () => link.abort(), { once: true });
      client.handleMessage = ({ topic, payload }, callback) => {
        const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
        // without an acknowledgement it stays with the broker
        void take(topic, new Uint8Array(bytes), { client, signal: link.signal }).then((taken) => {
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
