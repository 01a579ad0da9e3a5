import { z } from 'zod';
import { AntirioError, fromBase64, fromUtf8, toBase64 } from '@antirio/kernel';
import { API_VERSION } from './base.ts';
import { optional } from './fields.ts';
import { parseCbor, toCbor } from './event-codec.ts';
import {
  exactJson,
  parseJson,
  parseJsonBytes,
  parseRoughJson,
  stringifyJson,
  type LongIntegers,
} from './lossless-json.ts';

export const CONTENT_TYPE_JSON = 'application/json';
export const CONTENT_TYPE_CBOR = 'application/cbor';
export const CONTENT_TYPE_TEXT = 'text/plain';

/** What EdgeX services send each other over the bus. */
export interface MessageEnvelope {
  readonly correlationID: string;
  readonly requestID: string;
  /** 0: fine; anything else: the payload is the text of what went wrong. */
  readonly errorCode: number;
  /** A JSON value, or bytes where the content type is neither JSON nor text. */
  readonly payload: unknown;
  readonly contentType: string;
  readonly queryParams: Readonly<Record<string, string>>;
}

const schema = z.object({
  correlationID: optional(z.string()),
  requestID: optional(z.string()),
  errorCode: optional(z.int()),
  payload: z.unknown().optional(),
  contentType: optional(z.string()),
  queryParams: optional(z.record(z.string(), z.string())),
});

function bytesOf(payload: string | Uint8Array): Uint8Array {
  return typeof payload === 'string' ? fromBase64(payload) : payload;
}

function jsonOf(payload: string | Uint8Array): unknown {
  if (typeof payload === 'string' && /^\s*[{[]/.test(payload)) return parseJson(payload);
  return parseJsonBytes(bytesOf(payload));
}

const textOf = (payload: string | Uint8Array): string =>
  typeof payload === 'string' ? payload : fromUtf8(payload);

const mediaTypeOf = (contentType: string): string => contentType.replace(/;.*/, '').trim().toLowerCase();

/** The payload as its content type says; with `EDGEX_MSG_BASE64_PAYLOAD` and in CBOR it comes as base64 or bytes. */
function decodePayload(payload: unknown, contentType: string, failed: boolean): unknown {
  if (typeof payload !== 'string' && !(payload instanceof Uint8Array)) return payload;
  if (payload.length === 0) return failed ? '' : undefined;
  switch (failed ? CONTENT_TYPE_TEXT : mediaTypeOf(contentType)) {
    case CONTENT_TYPE_TEXT:
      return textOf(payload);
    case CONTENT_TYPE_CBOR:
      return parseCbor(bytesOf(payload));
    case CONTENT_TYPE_JSON:
    case '':
      return jsonOf(payload);
    default:
      return bytesOf(payload);
  }
}

function fromCborMap(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? value : undefined;
}

const OPEN_BRACE = 0x7b;

const NO_LONGS: LongIntegers = new Map();

/**
 * Reads an envelope, whether JSON or (`EDGEX_MSG_CBOR_ENCODE`) CBOR; integers of its payload may be rounded numbers that `longs` has the
 * digits of.
 * @throws AntirioError invalidInput
 */
export function parseRoughEnvelope(bytes: Uint8Array): MessageEnvelope & { readonly longs: LongIntegers } {
  const first = bytes.find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d);
  const { value, longs } =
    first === OPEN_BRACE
      ? parseRoughJson(fromUtf8(bytes))
      : { value: fromCborMap(parseCbor(bytes)), longs: NO_LONGS };
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new AntirioError('invalidInput', `no message envelope: ${parsed.error.message}`);
  const {
    correlationID = '',
    requestID = '',
    errorCode = 0,
    contentType = '',
    queryParams = {},
    payload,
  } = parsed.data;
  return {
    correlationID,
    requestID,
    errorCode,
    payload: decodePayload(payload, contentType, errorCode !== 0),
    contentType,
    queryParams,
    longs,
  };
}

/**
 * Reads an envelope, whether JSON or (`EDGEX_MSG_CBOR_ENCODE`) CBOR.
 * @throws AntirioError invalidInput
 */
export function parseEnvelope(bytes: Uint8Array): MessageEnvelope {
  const { longs, ...envelope } = parseRoughEnvelope(bytes);
  return { ...envelope, payload: exactJson({ value: envelope.payload, longs }) };
}

export interface EnvelopeFields {
  readonly correlationID: string;
  readonly requestID?: string;
  readonly errorCode?: number;
  readonly contentType?: string;
  readonly queryParams?: Readonly<Record<string, string>>;
}

/** The JSON text of an envelope around a payload that is JSON text already, so that it goes out as it came in. */
export function envelopeAround(payloadJson: string, fields: EnvelopeFields): string {
  const head = stringifyJson({
    apiVersion: API_VERSION,
    receivedTopic: '',
    correlationID: fields.correlationID,
    requestID: fields.requestID ?? '',
    errorCode: fields.errorCode ?? 0,
    contentType: fields.contentType ?? CONTENT_TYPE_JSON,
    ...(fields.queryParams === undefined ? {} : { queryParams: fields.queryParams }),
  });
  return `${head.slice(0, -1)},"payload":${payloadJson}}`;
}

/** The JSON text of an envelope; bytes, and what the content type says is CBOR, go as base64. */
export function makeEnvelope(payload: unknown, fields: EnvelopeFields): string {
  if (payload instanceof Uint8Array) return envelopeAround(JSON.stringify(toBase64(payload)), fields);
  if (fields.contentType === CONTENT_TYPE_CBOR)
    return envelopeAround(JSON.stringify(toBase64(toCbor(payload))), fields);
  return envelopeAround(stringifyJson(payload ?? null), fields);
}

/** An answer that tells what went wrong. */
export function errorEnvelope(message: string, fields: EnvelopeFields): string {
  return makeEnvelope(message, { ...fields, errorCode: 1, contentType: CONTENT_TYPE_TEXT });
}
