import { AntirioError, utf8 } from '@antirio/kernel';
import type { Bus, Log, PublishOptions, Subscription } from '@antirio/host';
import type { Broker, BrokerMessage } from './broker.ts';
import { currentWaiter, type Waiter } from './handling.ts';
import { createInbox, type Inbox, type Offered } from './inbox.ts';
import { checkFilter, checkTopic } from './topics.ts';
import { within } from './within.ts';

export interface LocalBusLimits {
  /** Publications of this process under way before `publish` answers `busy` (default 10 000, 64 MiB). */
  readonly maxPending?: number;
  readonly maxPendingBytes?: number;
  /** How long `publish` waits for those who take the message before it answers `timeout` (default 30 s). */
  readonly publishTimeoutMs?: number;
}

/**
 * The bus inside the broker's own process: without sockets. A QoS 1 `publish` resolves when the handlers of this process are through
 * with the message, a QoS 0 one when their queues have taken it. A handler never waits for itself, by however many turns.
 */
export function createLocalBus(broker: Broker, log: Log, limits: LocalBusLimits = {}): Bus {
  const { maxPending = 10_000, maxPendingBytes = 64 << 20, publishTimeoutMs = 30_000 } = limits;
  const subscriptions = new Set<{ close(): Promise<void> }>();
  let closed = false;
  let pending = 0;
  let pendingBytes = 0;

  const checkOpen = (): void => {
    if (closed) throw new AntirioError('unavailable', 'the bus is closed');
  };
  const deliver = (inbox: Inbox, message: BrokerMessage, waiter: Waiter): Promise<Offered> =>
    inbox.offer(message.topic, message.payload, { until: message.qos > 0 ? 'handled' : 'accepted', waiter });
  const publish = async (topic: string, payload: Uint8Array, options: PublishOptions): Promise<void> => {
    const { qos = 0, retain = false } = options;
    if (pending >= maxPending || pendingBytes + payload.length > maxPendingBytes)
      throw new AntirioError('busy', 'too many messages under way', { topic, pending });
    pending += 1;
    pendingBytes += payload.length;
    const taken = broker.engine.publish(topic, payload, qos, retain).finally(() => {
      pending -= 1;
      pendingBytes -= payload.length;
    });
    await within(publishTimeoutMs, taken, `nobody was through with a message on ${topic}`);
  };
  /** Messages that come while the retained ones are read wait behind them. */
  const subscribe = async (filter: string, inbox: Inbox, required: boolean): Promise<Subscription> => {
    let early: (() => void)[] | undefined = [];
    const take = (message: BrokerMessage): Promise<Offered> => {
      const waiter = currentWaiter();
      if (early === undefined) return deliver(inbox, message, waiter);
      const turn = Promise.withResolvers<Offered>();
      early.push(() => void deliver(inbox, message, waiter).then(turn.resolve));
      return turn.promise;
    };
    const detach = broker.engine.attach(
      filter,
      required ? take : (message) => take(message).then(() => 'taken'),
    );
    const subscription = {
      async close() {
        subscriptions.delete(subscription);
        detach();
        await inbox.close();
      },
    };
    subscriptions.add(subscription);
    for (const message of await broker.engine.retained(filter))
      void inbox.offer(message.topic, message.payload, { until: 'accepted' });
    const later = early;
    early = undefined;
    for (const run of later) run();
    return subscription;
  };
  return {
    acknowledgesTaken: true,
    async publish(topic, payload, options = {}) {
      checkOpen();
      checkTopic(topic);
      await publish(topic, typeof payload === 'string' ? utf8(payload) : payload, options);
    },
    async subscribe(filter, handler, { required = false, concurrency, maxMessages, maxBytes } = {}) {
      checkOpen();
      checkFilter(filter);
      const inbox = createInbox({ filter, handler, log, concurrency, maxMessages, maxBytes, required });
      return subscribe(filter, inbox, required);
    },
    health: () => (closed ? { ok: false, detail: 'the bus is closed' } : broker.health()),
    async close() {
      closed = true;
      await Promise.all([...subscriptions].map((subscription) => subscription.close()));
    },
  };
}
