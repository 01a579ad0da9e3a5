import { z } from 'zod';
import { fromUtf8, toBase64, type Random } from '@antirio/kernel';
import { parseInput, type Bus, type Subscription } from '@antirio/host';
import type { ReceiveWindow } from '@antirio/lorawan';
import type { Outcome } from './plan.ts';

/** When and through which gateway a frame goes. */
export interface Opportunity {
  readonly gatewayId: string;
  /** Of the uplink, as the gateway-bridge gave it. */
  readonly context: string;
  /** `once`: as soon as the gateway can, with the settings of the windows; else at their times after the uplink. */
  readonly at?: 'once' | undefined;
  /** The first one that works is the only one. */
  readonly windows: readonly ReceiveWindow[];
}

/** Hands frames to the gateway-bridge and hears what became of them. */
export interface Transmitter {
  /** One outcome for each window; none where the bridge says nothing. */
  transmit(bytes: Uint8Array, opportunity: Opportunity): Promise<readonly Outcome[]>;
  close(): Promise<void>;
}

export interface TransmitterPorts {
  readonly bus: Bus;
  readonly prefix: string;
  readonly region: string;
  readonly random: Random;
}

/** Beyond the last window of the longest RX1 delay that the frame was sent for, the bridge has said its word. */
const OUTCOME_AFTER_MS = 4000;

const ackSchema = z.object({
  downlinkId: z.int(),
  items: z.array(z.object({ status: z.string(), refused: z.string().optional() })).max(16),
});

function itemOf(bytes: Uint8Array, { context, at }: Opportunity, window: ReceiveWindow): unknown {
  const { frequency, power, bandwidth, spreadingFactor, delayUs } = window;
  return {
    phyPayload: toBase64(bytes),
    txInfo: {
      frequency,
      power,
      modulation: {
        lora: { bandwidth, spreadingFactor, codeRate: 'CR_4_5', polarizationInversion: true },
      },
      timing: at === 'once' ? { immediately: {} } : { delay: { delay: `${delayUs / 1e6}s` } },
      context,
    },
  };
}

export async function openTransmitter(ports: TransmitterPorts): Promise<Transmitter> {
  const { bus, prefix, region, random } = ports;
  const waiting = new Map<number, (items: readonly Outcome[]) => void>();

  const onAck = (_topic: string, payload: Uint8Array): void => {
    const { downlinkId, items } = parseInput(ackSchema, JSON.parse(fromUtf8(payload)));
    waiting.get(downlinkId)?.(items);
  };
  const subscription: Subscription = await bus.subscribe(`${prefix}${region}/gateway/+/event/ack`, onAck);
  return {
    async transmit(bytes, opportunity) {
      const { gatewayId, windows } = opportunity;
      const downlinkId = new DataView(random.bytes(4).buffer).getUint32(0);
      const answered = Promise.withResolvers<readonly Outcome[]>();
      const lastMs = Math.max(...windows.map(({ delayUs }) => delayUs / 1000));
      const timer = setTimeout(() => answered.resolve([]), lastMs + OUTCOME_AFTER_MS);
      waiting.set(downlinkId, answered.resolve);
      try {
        const items = windows.map((window) => itemOf(bytes, opportunity, window));
        const topic = `${prefix}${region}/gateway/${gatewayId}/command/down`;
        await bus.publish(topic, JSON.stringify({ downlinkId, gatewayId, items }));
        return await answered.promise;
      } finally {
        clearTimeout(timer);
        waiting.delete(downlinkId);
      }
    },
    close: () => subscription.close(),
  };
}
