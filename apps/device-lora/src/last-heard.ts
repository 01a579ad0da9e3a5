import { z } from 'zod';
import { dataRateName, type DevEui } from '@antirio/lorawan';
import type { Reception } from './uplink/event-up.ts';

export const heardView = z.object({
  /** Wall ms. */
  at: z.number(),
  gatewayId: z.string(),
  rssi: z.number(),
  snr: z.number(),
  gateways: z.int(),
  /** Hz. */
  frequency: z.int(),
  dataRate: z.string(),
});

type LastHeard = z.output<typeof heardView>;

/** How the gateway that heard a frame best heard it; wall ms. */
type HeardBest = Omit<Reception, 'context'> & { readonly receivedAt: number };

/** The newest frame of each device since the start. */
export interface HeardLast {
  get(devEui: DevEui): LastHeard | undefined;
  /** Takes a frame; an older one than is known changes nothing. */
  note(devEui: DevEui, best: HeardBest, gateways: number): void;
}

type Row = readonly [at: number, gatewayId: string, rssi: number, snr: number, gateways: number, ...Rate];
type Rate = readonly [frequency: number, dataRate: string];

export function createHeardLast(): HeardLast {
  // as text: half of what the objects of ten thousand devices would hold
  const rows = new Map<DevEui, string>();
  const rowOf = (devEui: DevEui): Row | undefined => {
    const text = rows.get(devEui);
    return text === undefined ? undefined : (JSON.parse(text) as Row);
  };
  return {
    get(devEui) {
      const row = rowOf(devEui);
      if (row === undefined) return undefined;
      const [at, gatewayId, rssi, snr, gateways, frequency, dataRate] = row;
      return { at, gatewayId, rssi, snr, gateways, frequency, dataRate };
    },
    note(devEui, best, gateways) {
      const { receivedAt, gatewayId, rssi, snr, frequency } = best;
      if ((rowOf(devEui)?.[0] ?? -Infinity) > receivedAt) return;
      const rate: Rate = [frequency, dataRateName(best)];
      const row: Row = [receivedAt, gatewayId, rssi, snr, gateways, ...rate];
      rows.set(devEui, JSON.stringify(row));
    },
  };
}
