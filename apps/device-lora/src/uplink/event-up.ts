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

const eventWith = <M extends z.ZodType>(metadata: M) =>
  z.object({
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
      metadata,
    }),
  });

const uplinkSchema = eventWith(
  z.object({
    ring: z.string(),
    incarnation: z.string(),
    seq: digits,
    previousSeq: digits,
    last: digits,
    via: z.string().max(128),
    receivedAt: decimal,
    reception: z.enum(['first', 'again']).default('first'),
    heardAt: decimal.optional(),
    tenure: z.string().max(160).optional(),
  }),
);

const joinSchema = eventWith(
  z.object({ kind: z.literal('join'), ring: z.string(), heardAt: decimal, receivedAt: decimal }),
);

/** How one gateway heard a transmission. */
export interface Reception {
  readonly gatewayId: string;
  readonly rssi: number;
  readonly snr: number;
  /** The gateway's counter, as the bridge wants it back in a downlink. */
  readonly context: string;
  readonly frequency: number;
  readonly bandwidth: number;
  readonly spreadingFactor: number;
}

/** That alone of what a gateway heard: without the frame's place in the ring and its time, which are those of its first reception. */
export function radioOf(heard: Reception): Reception {
  const { gatewayId, rssi, snr, context, frequency, bandwidth, spreadingFactor } = heard;
  return { gatewayId, rssi, snr, context, frequency, bandwidth, spreadingFactor };
}

/** A JoinRequest, which no ring keeps. */
export interface JoinHeard extends Reception {
  readonly kind: 'join';
  /** The ring whose reader is asked. */
  readonly ring: string;
  /** Monotonic ms of the reception by radio. */
  readonly heardAt: number;
  /** Wall ms. */
  readonly receivedAt: number;
  readonly phyPayload: Uint8Array;
}

/** A frame as the gateway-bridge publishes it, with its place in the ring. */
export interface Uplink extends Reception {
  readonly kind: 'uplink';
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
  /** The right to act for the device that this edge had when the frame was told: the same words while it is the same one; empty: none. */
  readonly tenure?: string | undefined;
  readonly phyPayload: Uint8Array;
}

const isJoin = (value: unknown): boolean =>
  (value as { rxInfo?: { metadata?: { kind?: unknown } } } | null)?.rxInfo?.metadata?.kind === 'join';

function receptionOf({
  txInfo,
  rxInfo,
}: Pick<z.output<typeof joinSchema>, 'txInfo'> & {
  rxInfo: Omit<Reception, 'frequency' | 'bandwidth' | 'spreadingFactor'>;
}): Reception {
  const { gatewayId, rssi, snr, context } = rxInfo;
  return { gatewayId, rssi, snr, context, frequency: txInfo.frequency, ...txInfo.modulation.lora };
}

function toJoin(value: unknown): JoinHeard {
  const event = parseInput(joinSchema, value);
  return { ...event.rxInfo.metadata, ...receptionOf(event), phyPayload: fromBase64(event.phyPayload) };
}

function toUplink(value: unknown): Uplink {
  const event = parseInput(uplinkSchema, value);
  const { reception, ...place } = event.rxInfo.metadata;
  return {
    kind: 'uplink',
    ...place,
    ...receptionOf(event),
    heardAt: place.heardAt,
    again: reception === 'again',
    phyPayload: fromBase64(event.phyPayload),
  };
}

/** @throws AntirioError invalidInput */
export function readEventUp(payload: Uint8Array): Uplink | JoinHeard {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(payload));
  } catch (cause) {
    throw new AntirioError('invalidInput', 'event/up without JSON', {}, cause);
  }
  return isJoin(value) ? toJoin(value) : toUplink(value);
}
