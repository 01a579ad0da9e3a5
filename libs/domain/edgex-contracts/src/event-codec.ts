import { decode, encode, Tokenizer } from 'cborg';
import { AntirioError, toBase64 } from '@antirio/kernel';
import { API_VERSION } from './base.ts';
import { checkDepth } from './depth.ts';
import type { AddEventRequest, Event, Reading } from './event.ts';
import { MAX_JSON_DEPTH } from './lossless-json.ts';

/** How bytes are written: JSON has base64, CBOR has them as they are. */
type WriteBytes = (bytes: Uint8Array) => unknown;

const asTheyAre: WriteBytes = (bytes) => bytes;

function valueFields(reading: Reading, writeBytes: WriteBytes): Record<string, unknown> {
  switch (reading.kind) {
    case 'simple':
      return { value: reading.value };
    case 'binary':
      return { binaryValue: writeBytes(reading.binaryValue), mediaType: reading.mediaType };
    case 'object':
      return { objectValue: reading.objectValue };
    case 'null':
      return { value: null, binaryValue: null, objectValue: null };
  }
}

const filled = (map: Readonly<Record<string, unknown>> | undefined): boolean =>
  map !== undefined && Object.keys(map).length > 0;

function readingFields(reading: Reading, writeBytes: WriteBytes): Record<string, unknown> {
  return {
    origin: reading.origin,
    deviceName: reading.deviceName,
    resourceName: reading.resourceName,
    profileName: reading.profileName,
    valueType: reading.valueType,
    ...(reading.units !== undefined && reading.units !== '' ? { units: reading.units } : {}),
    ...(filled(reading.tags) ? { tags: reading.tags } : {}),
    ...valueFields(reading, writeBytes),
  };
}

function eventFields(event: Event, writeBytes: WriteBytes): Record<string, unknown> {
  const { id, deviceName, profileName, sourceName, origin } = event;
  const head = { apiVersion: event.apiVersion, id, deviceName, profileName, sourceName, origin };
  const tags = filled(event.tags) ? { tags: event.tags } : {};
  return { ...head, readings: event.readings.map((one) => readingFields(one, writeBytes)), ...tags };
}

/** A reading as EdgeX's JSON has it; for `stringifyJson`, because of the origin. */
export function readingToJson(reading: Reading): Record<string, unknown> {
  return readingFields(reading, toBase64);
}

/** An event as EdgeX's JSON has it; for `stringifyJson`, because of the origins. */
export function eventToJson(event: Event): Record<string, unknown> {
  return eventFields(event, toBase64);
}

/** An event as EdgeX's CBOR has it, with bytes as they are; for `toCbor`. */
export function eventToCbor(event: Event): Record<string, unknown> {
  return eventFields(event, asTheyAre);
}

function requestAround(request: AddEventRequest, event: Record<string, unknown>): Record<string, unknown> {
  const { apiVersion, requestId } = request;
  return { apiVersion, ...(requestId === undefined ? {} : { requestId }), event };
}

/** The request that stores an event; for `stringifyJson`. */
export function addEventRequestToJson(request: AddEventRequest): Record<string, unknown> {
  return requestAround(request, eventToJson(request.event));
}

/** The request that stores an event; for `toCbor`. */
export function addEventRequestToCbor(request: AddEventRequest): Record<string, unknown> {
  return requestAround(request, eventToCbor(request.event));
}

/** A request for an event made here. */
export function newAddEventRequest(event: Omit<Event, 'apiVersion'>, requestId?: string): AddEventRequest {
  return { apiVersion: API_VERSION, requestId, event: { ...event, apiVersion: API_VERSION } };
}

const CBOR_RULES = {
  allowBigInt: true,
  allowIndefinite: true,
  allowUndefined: true,
  // JSON, as which it is answered, cannot say these
  allowNaN: false,
  allowInfinity: false,
  retainStringBytes: true,
};
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** The decoder alone would put U+FFFD in place of what is no UTF-8. */
class Utf8Tokenizer extends Tokenizer {
  override next(): ReturnType<Tokenizer['next']> {
    const token = super.next();
    if (token.byteValue !== undefined && String(token.value).includes('\ufffd'))
      strictUtf8.decode(token.byteValue);
    return token;
  }
}

/**
 * Reads CBOR (RFC 8949) as Go's encoder writes it: string keys, 64-bit integers (bigint beyond 2^53), byte strings. Of two equal keys the last one counts.
 * @throws AntirioError invalidInput when the bytes are no CBOR, have text that is no UTF-8, NaN or infinity, or are nested deeper than JSON may be: much of it is written as JSON.
 */
export function parseCbor(bytes: Uint8Array): unknown {
  return checkDepth(decoded(bytes), MAX_JSON_DEPTH);
}

function decoded(bytes: Uint8Array): unknown {
  // bytes within a Buffer would be Buffers, which write themselves as JSON in a way of their own
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    return decode(plain, { ...CBOR_RULES, tokenizer: new Utf8Tokenizer(plain, CBOR_RULES) });
  } catch (cause) {
    throw new AntirioError('invalidInput', 'the body is no CBOR', {}, cause);
  }
}

export function toCbor(value: unknown): Uint8Array {
  return encode(value);
}
