import type { Bus } from '@antirio/host';

/** A part of the bus as if it were all of it: every topic and filter gets the prefix, and handlers do not see it. Its close is not the bus's. */
export function prefixedBus(bus: Bus, prefix: string): Bus {
  return {
    publish: (topic, payload, options) => bus.publish(prefix + topic, payload, options),
    subscribe: (filter, handler, options) =>
      bus.subscribe(
        prefix + filter,
        (topic, payload) => handler(topic.slice(prefix.length), payload),
        options,
      ),
    health: () => bus.health(),
    close: async () => undefined,
  };
}
