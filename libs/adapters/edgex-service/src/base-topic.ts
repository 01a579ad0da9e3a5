import type { Bus } from '@antirio/host';
import { BASE_TOPIC } from '@antirio/edgex-contracts';

/** The bus with another base topic (EdgeX: MessageBus.BaseTopicPrefix) in place of `edgex`; who uses it sees `edgex` all the same. Its close is the bus's. */
export function withBaseTopic(bus: Bus, base: string): Bus {
  if (base === BASE_TOPIC) return bus;
  const swap =
    (from: string, to: string) =>
    (topic: string): string =>
      topic === from || topic.startsWith(`${from}/`) ? to + topic.slice(from.length) : topic;
  const outside = swap(BASE_TOPIC, base);
  const inside = swap(base, BASE_TOPIC);
  return {
    publish: (topic, payload, options) => bus.publish(outside(topic), payload, options),
    subscribe: (filter, handler, options) =>
      bus.subscribe(outside(filter), (topic, payload) => handler(inside(topic), payload), options),
    health: () => bus.health(),
    close: () => bus.close(),
  };
}
