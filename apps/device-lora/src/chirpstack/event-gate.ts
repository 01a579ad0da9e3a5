import { AntirioError } from '@antirio/kernel';
import type { Bus } from '@antirio/host';

type Take = (topic: string, payload: Uint8Array) => Promise<void>;

/** ChirpStack's events at the edge's own broker: what nobody takes is not acknowledged, and ChirpStack sends it again. */
export interface EventGate {
  /** Lets events through. The function that it gives shuts the gate again, and resolves when what came through is done. */
  open(take: Take): Promise<() => Promise<void>>;
}

const CONCURRENCY = 32;

function createGate(bus: Bus, filter: string): EventGate {
  let take: Take | undefined;
  const underWay = new Set<Promise<void>>();
  const handle: Take = async (topic, payload) => {
    if (take === undefined) throw new AntirioError('unavailable', "ChirpStack's events are not taken now");
    const work = take(topic, payload);
    underWay.add(work);
    try {
      await work;
    } finally {
      underWay.delete(work);
    }
  };
  const attached = bus.subscribe(filter, handle, { required: true, concurrency: CONCURRENCY });
  // told to who opens it
  attached.catch(() => undefined);
  return {
    async open(given) {
      await attached;
      take = given;
      return async () => {
        if (take === given) take = undefined;
        await Promise.allSettled(underWay);
      };
    },
  };
}

/** One for a bus and filter, as long as the bus is there: between two services that follow each other nothing may pass. */
const gates = new WeakMap<Bus, Map<string, EventGate>>();

/**
 * The gate of these topics, shut until it is opened. It is to be there before the broker listens, and stays when who opened it is gone:
 * a broker without a subscriber acknowledges, and what it acknowledges ChirpStack forgets.
 * @throws AntirioError badConfig where the broker is in another process, which acknowledges what we have not stored
 */
export function gateOf(bus: Bus, filter: string): EventGate {
  if (bus.acknowledgesTaken !== true)
    throw new AntirioError(
      'badConfig',
      "chirpStack.mqtt: the edge's broker is in another process and would acknowledge events that are not stored: have ChirpStack write to a broker that keeps what waits, such as mosquitto, and name that in `url`; or let device-lora run beside the broker",
    );
  const ofBus = gates.get(bus) ?? new Map<string, EventGate>();
  gates.set(bus, ofBus);
  const gate = ofBus.get(filter) ?? createGate(bus, filter);
  ofBus.set(filter, gate);
  return gate;
}
