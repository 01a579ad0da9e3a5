import { AntirioError, millisToOrigin, uuidV4, type Clock, type Random } from '@antirio/kernel';
import {
  eventMessage,
  eventOf,
  nextOrigin,
  writeValues,
  type CommandPlan,
  type CommandValue,
  type WriteRequest,
} from '@antirio/device-values';
import type { Bus } from '@antirio/host';
import type { Device, DeviceProfile, Event } from '@antirio/edgex-contracts';
import type { EventSink } from './driver.ts';
import { unlessAborted } from './within.ts';

/** Makes events of a driver's values, and sends them. */
export interface Events {
  /** Undefined where there are no values. @throws AntirioError where they are not what they should be */
  of(given: Given): Event | undefined;
  /** What the driver gets to write. @throws AntirioError invalidInput | failed */
  toWrite(plan: CommandPlan, settings: Readonly<Record<string, unknown>>): readonly WriteRequest[];
  /** @throws AntirioError tooLarge | unavailable | busy | timeout */
  send(event: Event, correlationID: string): Promise<void>;
  readonly counts: { readonly events: number; readonly readings: number; readonly dropped: number };
}

interface Given {
  readonly device: Device;
  readonly profile: DeviceProfile;
  readonly sourceName: string;
  readonly values: readonly CommandValue[];
}

interface Ports {
  readonly clock: Clock;
  readonly random: Random;
  readonly bus: Bus;
  readonly serviceName: string;
  readonly maxEventSize: number;
  readonly eventQos: 0 | 1;
  readonly eventSink?: EventSink | undefined;
  readonly dataTransform: boolean;
  readonly settings: { readonly readingUnits: boolean };
  /** Aborted when there is no time left for what is to be sent. */
  readonly hurry: AbortSignal;
  /** An assertion of its profile does not hold for the device. */
  readonly onAssertion: (deviceName: string) => void;
}

/** Events on the bus as EdgeX's device services publish them. */
function busSink({ bus, eventQos, maxEventSize, random, serviceName }: Ports): EventSink {
  return async (event, correlationID) => {
    const { topic, message } = eventMessage(event, {
      serviceName,
      requestId: uuidV4(random),
      correlationId: correlationID,
      maxEventSizeKB: maxEventSize,
    });
    await bus.publish(topic, message, { qos: eventQos });
  };
}

export function createEvents(ports: Ports): Events {
  const { clock, dataTransform, hurry, onAssertion, random, settings } = ports;
  const sink = ports.eventSink ?? busSink(ports);
  const counts = { events: 0, readings: 0, dropped: 0 };
  let origin = 0n;
  return {
    counts,
    of({ values, ...given }) {
      origin = nextOrigin(origin, millisToOrigin(clock.now()));
      const { readingUnits } = settings;
      const context = { ...given, id: uuidV4(random), origin, dataTransform, readingUnits };
      const outcome = eventOf(values, context);
      if (outcome.kind === 'event') return outcome.event;
      if (outcome.kind === 'none') return undefined;
      onAssertion(given.device.name);
      throw new AntirioError('failed', outcome.message);
    },
    toWrite: (plan, given) => writeValues(plan, given, { dataTransform }),
    async send(event, correlationID) {
      try {
        hurry.throwIfAborted();
        await unlessAborted(hurry, sink(event, correlationID));
        counts.events += 1;
        counts.readings += event.readings.length;
      } catch (error) {
        counts.dropped += 1;
        throw error;
      }
    },
  };
}
