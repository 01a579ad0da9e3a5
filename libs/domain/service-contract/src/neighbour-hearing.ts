import { z } from 'zod';

/** How a provider hears the devices that it may have to serve: for whoever sets their data rates and powers. */

/** Retained, one message for each part of a contract's devices: `<topic>/<contractId>/<part>`; an empty one ends it. */
export const NEIGHBOUR_HEARING_TOPIC = 'antirio/neighbour-hearing';
/** Uplinks of a device that are told of: those that a data rate is chosen by. */
export const HEARD_TOLD = 20;
/** Devices in one message. */
const IN_A_MESSAGE = 200;

const fcnt = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);

export const neighbourHearing = z.object({
  devices: z
    .array(
      z.object({
        devAddr: z.string().regex(/^[0-9a-f]{8}$/),
        /** What came after this FCnt was not looked at yet. */
        through: fcnt,
        /** The newest that the provider heard: FCnt and SNR in dB. */
        heard: z.array(z.tuple([fcnt, z.number()])).max(HEARD_TOLD),
      }),
    )
    .max(IN_A_MESSAGE),
});
export type NeighbourHearing = z.output<typeof neighbourHearing>;

/** Of a whole set; in memory, as it is learnt again soon. */
export interface HearingBook {
  /** The customer's own gateway heard it. */
  sent(devAddr: string, fcnt: number): void;
  /** The provider's did. */
  heard(devAddr: string, fcnt: number, snr: number): void;
  messages(): NeighbourHearing[];
}

export function createHearingBook(): HearingBook {
  const through = new Map<string, number>();
  const heard = new Map<string, Map<number, number>>();
  return {
    sent(devAddr, fcnt) {
      through.set(devAddr, fcnt);
    },
    heard(devAddr, fcnt, snr) {
      const known = heard.get(devAddr) ?? new Map<number, number>();
      known.set(fcnt, Math.max(snr, known.get(fcnt) ?? -Infinity));
      for (const oldest of known.keys()) if (known.size > HEARD_TOLD) known.delete(oldest);
      heard.set(devAddr, known);
    },
    messages() {
      const devices = [...through].map(([devAddr, last]) => ({
        devAddr,
        through: last,
        heard: [...(heard.get(devAddr) ?? [])],
      }));
      const parts = Math.ceil(devices.length / IN_A_MESSAGE);
      return Array.from({ length: parts }, (_, i) => ({
        devices: devices.slice(i * IN_A_MESSAGE, (i + 1) * IN_A_MESSAGE),
      }));
    },
  };
}
