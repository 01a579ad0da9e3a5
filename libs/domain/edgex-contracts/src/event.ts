import { z } from 'zod';
import { fromBase64 } from '@antirio/kernel';
import { apiVersion, baseRequest, baseResponseSchema } from './base.ts';
import { anyMap, name, optional, origin, storable, uuid } from './fields.ts';
import { isValueOf, normalizeValueType, type ValueType } from './value-type.ts';

/** What the value of a reading is; which one follows from its value type, and any type may be null. */
export type ReadingValue =
  | { readonly kind: 'simple'; readonly value: string }
  | { readonly kind: 'binary'; readonly binaryValue: Uint8Array; readonly mediaType: string }
  | { readonly kind: 'object'; readonly objectValue: unknown }
  | { readonly kind: 'null' };

export interface ReadingBase {
  /** Nanoseconds since the Unix epoch. */
  readonly origin: bigint;
  readonly deviceName: string;
  readonly resourceName: string;
  readonly profileName: string;
  readonly valueType: ValueType;
  readonly units?: string | undefined;
  readonly tags?: Readonly<Record<string, unknown>> | undefined;
}

export type Reading = ReadingBase & ReadingValue;

export interface Event {
  readonly apiVersion: string;
  readonly id: string;
  readonly deviceName: string;
  readonly profileName: string;
  readonly sourceName: string;
  /** Nanoseconds since the Unix epoch. */
  readonly origin: bigint;
  readonly readings: readonly Reading[];
  readonly tags?: Readonly<Record<string, unknown>> | undefined;
}

export interface AddEventRequest {
  readonly apiVersion: string;
  readonly requestId?: string | undefined;
  readonly event: Event;
}

const valueType = z.string().transform((text, context): ValueType => {
  const type = normalizeValueType(text);
  if (type !== undefined) return type;
  context.addIssue({ code: 'custom', message: `${text.slice(0, 64)} is no value type` });
  return z.NEVER;
});

/** JSON has base64 or, as Go takes it too, an array of bytes; CBOR has bytes. */
const binaryValue = z.union([
  z.instanceof(Uint8Array),
  z.string().transform((text, context) => {
    try {
      return fromBase64(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'is no base64' });
      return z.NEVER;
    }
  }),
  z.array(z.int().min(0).max(255)).transform((bytes) => Uint8Array.from(bytes)),
]);

const rawReading = z.object({
  origin,
  deviceName: name,
  resourceName: name,
  profileName: name,
  valueType,
  value: z.unknown().optional(),
  binaryValue: binaryValue.nullish(),
  mediaType: storable.nullish(),
  objectValue: z.unknown().optional(),
  units: optional(storable),
  tags: optional(anyMap),
});

type RawReading = z.output<typeof rawReading>;

const isMissing = (value: unknown): value is null | undefined => value === undefined || value === null;

function binaryOf({ binaryValue: bytes, mediaType = '' }: RawReading): ReadingValue | string {
  if (isMissing(bytes)) return { kind: 'null' };
  if (isMissing(mediaType) || mediaType === '') return 'mediaType is required with binaryValue';
  return { kind: 'binary', binaryValue: bytes, mediaType };
}

function simpleOf({ value, valueType: type }: RawReading): ReadingValue | string {
  if (isMissing(value)) return { kind: 'null' };
  if (typeof value !== 'string') return 'value must be a string';
  return isValueOf(type, value)
    ? { kind: 'simple', value }
    : `The value does not match the ${type} valueType`;
}

/** The value, or what is wrong with it. */
function valueOf(raw: RawReading): ReadingValue | string {
  switch (raw.valueType) {
    case 'Binary':
      return binaryOf(raw);
    case 'Object':
    case 'ObjectArray':
      return isMissing(raw.objectValue) ? { kind: 'null' } : { kind: 'object', objectValue: raw.objectValue };
    default:
      return simpleOf(raw);
  }
}

export const reading = rawReading.transform((raw, context): Reading => {
  const value = valueOf(raw);
  if (typeof value === 'string') {
    context.addIssue({ code: 'custom', message: value });
    return z.NEVER;
  }
  const { origin: at, deviceName, resourceName, profileName, valueType: type, units, tags } = raw;
  return { origin: at, deviceName, resourceName, profileName, valueType: type, units, tags, ...value };
});

export const event = z.object({
  apiVersion,
  id: uuid.transform((id) => id.toLowerCase()),
  deviceName: name,
  profileName: name,
  sourceName: name,
  origin,
  readings: z.array(reading).min(1, 'should have at least one reading'),
  tags: optional(anyMap),
});

/** `POST /event/{service}/{profile}/{device}/{source}`, and the payload on `edgex/events/device/...`. */
export const addEventRequest = baseRequest.extend({ event });

/** Nanoseconds since 1970 are over what JavaScript counts exactly: zod's own bounds for integers would not hold. */
const documentedOrigin = z.int().meta({ format: 'int64', minimum: -(2 ** 63), maximum: 2 ** 63 });

const documentedReading = z.object({
  origin: documentedOrigin,
  deviceName: z.string(),
  resourceName: z.string(),
  profileName: z.string(),
  valueType: z.string(),
  value: z.string().nullable().optional(),
  binaryValue: z.string().nullable().optional(),
  mediaType: z.string().optional(),
  objectValue: z.unknown().optional(),
  units: z.string().optional(),
  tags: anyMap.optional(),
});

const documentedEvent = z.object({
  apiVersion: z.string(),
  id: z.string(),
  deviceName: z.string(),
  profileName: z.string(),
  sourceName: z.string(),
  origin: documentedOrigin,
  readings: z.array(documentedReading),
  tags: anyMap.optional(),
});

const totalCount = z.int();

export const eventResponseSchema = baseResponseSchema.extend({ event: documentedEvent });
export const multiEventsResponseSchema = baseResponseSchema.extend({
  totalCount,
  events: z.array(documentedEvent),
});
export const multiReadingsResponseSchema = baseResponseSchema.extend({
  totalCount,
  readings: z.array(documentedReading),
});
