import { z } from 'zod';
import { AntirioError, fromBase64, fromUtf8, sha256, toHex } from '@antirio/kernel';
import { issuesOf } from '@antirio/host';
import { parseDevAddr, parseDevEui, type DevAddr, type DevEui } from '@antirio/lorawan';

/** How one gateway heard a transmission, as ChirpStack tells it. */
export interface HeardBy {
  readonly gatewayId: string;
  readonly rssi: number;
  readonly snr: number;
}

interface OfDevice {
  readonly devEui: DevEui;
  /** ChirpStack's application, whose topics the device's downlinks go to. */
  readonly applicationId: string | undefined;
  /** Wall ms; undefined where nothing usable is said. */
  readonly at: number | undefined;
}

export interface UpEvent extends OfDevice {
  readonly kind: 'up';
  readonly devAddr: DevAddr | undefined;
  /** 32 bits. */
  readonly fcnt: number;
  readonly fPort: number | undefined;
  /** FRMPayload, decrypted by ChirpStack. */
  readonly data: Uint8Array;
  /** What its codec made of that. */
  readonly object: Readonly<Record<string, unknown>> | undefined;
  /** The strongest first. */
  readonly receptions: readonly HeardBy[];
  readonly radio: {
    readonly frequency: number;
    readonly spreadingFactor: number;
    readonly bandwidth: number;
  };
  /** 16 bytes that are another uplink's never: ChirpStack's own id of the transmission, else of the message. */
  readonly unique: Uint8Array;
  readonly deduplicationId: string | undefined;
}

export interface JoinEvent extends OfDevice {
  readonly kind: 'join';
  readonly devAddr: DevAddr;
}

/** What became of a downlink. */
export interface DownlinkEvent extends OfDevice {
  readonly kind: 'txack' | 'ack' | 'lost';
  /** Of the command that asked for it; ChirpStack v3 tells none. */
  readonly itemId: string | undefined;
  readonly fcnt: number | undefined;
  /** Of an `ack`: whether the device had it. */
  readonly acknowledged: boolean;
  readonly why: string | undefined;
}

/** Status, location, other logs: nothing that is kept here. */
export interface OtherEvent extends OfDevice {
  readonly kind: 'other';
}

export type ChirpStackEvent = UpEvent | JoinEvent | DownlinkEvent | OtherEvent;

/** Far more than ChirpStack ever sends: an uplink by a hundred gateways is about 30 kB. */
export const MAX_MESSAGE_BYTES = 256 << 10;
const MAX_GATEWAYS = 64;

const eui = z.string().max(16);

/** Hex, as v4 has it and v3's own marshaler; base64 with its padding, as v3's JSON of protobuf. */
function hexOf(text: string, bytes: number): string {
  if (new RegExp(`^[0-9a-fA-F]{${bytes * 2}}$`).test(text)) return text.toLowerCase();
  const padded = Math.ceil(bytes / 3) * 4;
  const decoded = text.length === padded ? fromBase64(text) : undefined;
  if (decoded?.length === bytes) return toHex(decoded);
  throw new AntirioError('invalidInput', `not ${bytes} bytes in hex or base64: ${text}`);
}

const euiOf = (text: string): string => hexOf(text, 8);

function addressOf(text: string | undefined): DevAddr | undefined {
  return text === undefined || text === '' ? undefined : parseDevAddr(hexOf(text, 4));
}

const number = z.number().catch(0);
const reception = z.looseObject({
  gatewayId: z.string().optional().catch(undefined),
  gatewayID: z.string().optional().catch(undefined),
  rssi: number.default(0),
  snr: z.number().optional().catch(undefined),
  loRaSNR: z.number().optional().catch(undefined),
  nsTime: z.string().max(64).optional().catch(undefined),
  gwTime: z.string().max(64).optional().catch(undefined),
  time: z.string().max(64).optional().nullable().catch(undefined),
});
const id = z.union([z.string().min(1).max(64), z.int().min(0)]);

const headSchema = z.looseObject({
  deviceInfo: z.looseObject({ devEui: eui, applicationId: id.optional() }).optional(),
  devEUI: eui.optional(),
  applicationID: id.optional(),
  time: z.string().max(64).optional().nullable().catch(undefined),
});
const upSchema = z.looseObject({
  deduplicationId: z.string().max(64).optional(),
  devAddr: z.string().max(8).optional(),
  fCnt: z.int().min(0).max(0xffff_ffff),
  fPort: z.int().min(0).max(255).optional().nullable(),
  // 242 bytes are the most that a frame has
  data: z.string().max(324).optional().nullable(),
  object: z.record(z.string(), z.unknown()).optional().nullable().catch(undefined),
  objectJSON: z.string().max(65_536).optional().nullable().catch(undefined),
  rxInfo: z
    .array(reception.optional().catch(undefined))
    .max(1024)
    .transform((all) => all.filter((one) => one !== undefined))
    .optional()
    .nullable()
    .catch(undefined),
  txInfo: z
    .looseObject({
      frequency: number.default(0),
      modulation: z
        .looseObject({
          lora: z
            .looseObject({ bandwidth: number.default(125_000), spreadingFactor: number.default(0) })
            .optional(),
        })
        .optional()
        .catch(undefined),
    })
    .optional()
    .nullable()
    .catch(undefined),
});
const joinSchema = z.looseObject({ devAddr: z.string().min(1).max(8) });
const outcomeSchema = z.looseObject({
  queueItemId: z.string().max(64).optional(),
  fCntDown: z.int().min(0).max(0xffff_ffff).optional(),
  fCnt: z.int().min(0).max(0xffff_ffff).optional(),
  acknowledged: z.boolean().default(false),
});
const logSchema = z.looseObject({
  code: z.string().max(64).default(''),
  description: z.string().max(1024).default(''),
  context: z.record(z.string(), z.unknown()).optional().nullable().catch(undefined),
});
/** Logs of ChirpStack that say that a downlink will not be sent. */
const LOST = new Set(['DOWNLINK_PAYLOAD_SIZE', 'EXPIRED', 'F_CNT_DOWN']);

function checked<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AntirioError('invalidInput', issuesOf(parsed.error));
}

/** Undefined for what is no time, and for the years of clocks that nobody has set. */
export function timeOf(text: string | null | undefined): number | undefined {
  const ms = Date.parse(text ?? '');
  return Number.isFinite(ms) && ms > Date.UTC(2015) && ms < Date.UTC(2100) ? ms : undefined;
}

function headOf(value: unknown): OfDevice {
  const { deviceInfo, devEUI, applicationID, time } = checked(headSchema, value);
  const given = deviceInfo?.devEui ?? devEUI;
  if (given === undefined)
    throw new AntirioError('invalidInput', 'no deviceInfo.devEui (v4) and no devEUI (v3)');
  const applicationId = deviceInfo?.applicationId ?? applicationID;
  return {
    devEui: parseDevEui(euiOf(given)),
    applicationId: applicationId === undefined ? undefined : String(applicationId),
    at: timeOf(time),
  };
}

/** A gateway that is named wrongly costs nobody a reading. */
function gatewayOf(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : euiOf(text);
  } catch {
    return undefined;
  }
}

function receptionsOf(rxInfo: z.output<typeof upSchema>['rxInfo']): HeardBy[] {
  return (rxInfo ?? [])
    .flatMap(({ gatewayId, gatewayID, rssi, snr, loRaSNR }) => {
      const known = gatewayOf(gatewayId ?? gatewayID);
      return known === undefined ? [] : [{ gatewayId: known, rssi, snr: snr ?? loRaSNR ?? 0 }];
    })
    .sort((a, b) => b.snr - a.snr || b.rssi - a.rssi)
    .slice(0, MAX_GATEWAYS);
}

/** When the first gateway's copy came: what ChirpStack says of the whole is some hundred ms later. */
function heardAt(rxInfo: z.output<typeof upSchema>['rxInfo']): number | undefined {
  const times = (rxInfo ?? []).flatMap(({ nsTime, gwTime, time }) => timeOf(nsTime ?? gwTime ?? time) ?? []);
  return times.length === 0 ? undefined : Math.min(...times);
}

function objectOf({ object, objectJSON }: z.output<typeof upSchema>): UpEvent['object'] {
  if (object !== undefined && object !== null) return object;
  try {
    const parsed: unknown = JSON.parse(objectJSON ?? 'null');
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function radioOf(txInfo: z.output<typeof upSchema>['txInfo']): UpEvent['radio'] {
  const { bandwidth = 125_000, spreadingFactor = 0 } = txInfo?.modulation?.lora ?? {};
  return { frequency: txInfo?.frequency ?? 0, bandwidth, spreadingFactor };
}

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

function upOf(head: OfDevice, value: unknown, bytes: Uint8Array): UpEvent {
  const up = checked(upSchema, value);
  const { deduplicationId, fPort, rxInfo } = up;
  const isUuid = deduplicationId !== undefined && UUID.test(deduplicationId);
  return {
    ...{ ...head, kind: 'up', at: heardAt(rxInfo) ?? head.at, devAddr: addressOf(up.devAddr) },
    ...{ fcnt: up.fCnt, fPort: fPort ?? undefined, data: fromBase64(up.data ?? '') },
    ...{ object: objectOf(up), receptions: receptionsOf(rxInfo), radio: radioOf(up.txInfo) },
    unique: isUuid
      ? new Uint8Array(Buffer.from(deduplicationId.replaceAll('-', ''), 'hex'))
      : sha256(bytes).subarray(0, 16),
    deduplicationId: isUuid ? deduplicationId.toLowerCase() : undefined,
  };
}

function outcomeOf(head: OfDevice, kind: 'txack' | 'ack', value: unknown): DownlinkEvent {
  const { queueItemId, fCntDown, fCnt, acknowledged } = checked(outcomeSchema, value);
  return { ...head, kind, itemId: queueItemId, fcnt: fCntDown ?? fCnt, acknowledged, why: undefined };
}

function logOf(head: OfDevice, value: unknown): DownlinkEvent | OtherEvent {
  const { code, description, context } = checked(logSchema, value);
  const item = context?.['queue_item_id'];
  if (!LOST.has(code) || typeof item !== 'string') return { ...head, kind: 'other' };
  const why = `ChirpStack: ${code}: ${description}`;
  return { ...head, kind: 'lost', itemId: item, fcnt: undefined, acknowledged: false, why };
}

/**
 * Reads what ChirpStack's integrations send, v4's JSON or v3's.
 * @param name of the event: the last level of the topic, or the query's `event`
 * @throws AntirioError invalidInput | tooLarge, with what is wrong
 */
export function readChirpStackEvent(name: string, bytes: Uint8Array): ChirpStackEvent {
  if (bytes.length > MAX_MESSAGE_BYTES)
    throw new AntirioError('tooLarge', `an event of ${bytes.length} bytes; ${MAX_MESSAGE_BYTES} are taken`);
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes));
  } catch {
    throw new AntirioError('invalidInput', 'no JSON: set the integration in ChirpStack to JSON');
  }
  const head = headOf(value);
  switch (name) {
    case 'up':
      return upOf(head, value, bytes);
    case 'join': {
      const devAddr = addressOf(checked(joinSchema, value).devAddr);
      return devAddr === undefined ? { ...head, kind: 'other' } : { ...head, kind: 'join', devAddr };
    }
    case 'txack':
    case 'ack':
      return outcomeOf(head, name, value);
    case 'log':
      return logOf(head, value);
    default:
      return { ...head, kind: 'other' };
  }
}
