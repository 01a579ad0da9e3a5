import { z } from 'zod';
import { dataRateName, type DevEui } from '@antirio/lorawan';
import type { HeardUplink } from './uplink/reader.ts';

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

/** The newest frame of each device since the start. */
export interface HeardLast {
  get(devEui: DevEui): LastHeard | undefined;
  /** Takes a frame; an older one than is known changes nothing. */
  note(heard: Pick<HeardUplink, 'session' | 'uplink' | 'receptions'>): void;
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
    note({ session, uplink, receptions }) {
      const { devEui } = session.device;
      const { receivedAt, gatewayId, rssi, snr, frequency } = uplink;
      if ((rowOf(devEui)?.[0] ?? -Infinity) > receivedAt) return;
      const rate: Rate = [frequency, dataRateName(uplink)];
      const row: Row = [receivedAt, gatewayId, rssi, snr, receptions.length, ...rate];
      rows.set(devEui, JSON.stringify(row));
    },
  };
}
