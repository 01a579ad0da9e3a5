import { z } from 'zod';
import { AntirioError, fromBase64, fromUtf8 } from '@antirio/kernel';
import { parseInput } from '@antirio/host';

const digits = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);
const decimal = z
  .string()
  .regex(/^\d{1,15}(\.\d{1,12})?$/)
  .transform(Number);

const upSchema = z.object({
  phyPayload: z.string().max(344),
  txInfo: z.object({
    frequency: z.int().min(1),
    modulation: z.object({
      lora: z.object({ bandwidth: z.int().min(1), spreadingFactor: z.int().min(5).max(12) }),
    }),
  }),
  rxInfo: z.object({
    gatewayId: z.string().regex(/^[0-9a-f]{16}$/),
    rssi: z.number().default(0),
    snr: z.number().default(0),
    context: z.string().max(64).default(''),
    metadata: z.object({
      ring: z.string(),
      incarnation: z.string(),
      seq: digits,
      previousSeq: digits,
      last: digits,
      via: z.string().max(128),
      receivedAt: decimal,
      reception: z.enum(['first', 'again']).default('first'),
      heardAt: decimal.optional(),
    }),
  }),
});

/** A frame as the gateway-bridge publishes it, with its place in the ring. */
export interface Uplink {
  readonly ring: string;
  readonly incarnation: string;
  readonly seq: number;
  readonly previousSeq: number;
  /** The newest frame of the ring. */
  readonly last: number;
  readonly via: string;
  /** Wall ms of the reception by radio. */
  readonly receivedAt: number;
  /** The same bytes were heard before. */
  readonly again: boolean;
  /** Monotonic ms of the reception by radio; only of what was heard just now. */
  readonly heardAt: number | undefined;
  readonly phyPayload: Uint8Array;
  readonly gatewayId: string;
  readonly rssi: number;
  readonly snr: number;
  /** The gateway's counter, as the bridge wants it back in a downlink. */
  readonly context: string;
  readonly frequency: number;
  readonly bandwidth: number;
  readonly spreadingFactor: number;
}

/** @throws AntirioError invalidInput */
export function readUplink(payload: Uint8Array): Uplink {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(payload));
  } catch (cause) {
    throw new AntirioError('invalidInput', 'event/up without JSON', {}, cause);
  }
  const { phyPayload, txInfo, rxInfo } = parseInput(upSchema, value);
  const { metadata, ...rx } = rxInfo;
  const { reception, ...place } = metadata;
  return {
    ...place,
    ...rx,
    ...txInfo.modulation.lora,
    heardAt: place.heardAt,
    again: reception === 'again',
    frequency: txInfo.frequency,
    phyPayload: fromBase64(phyPayload),
  };
}
