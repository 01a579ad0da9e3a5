import type { AddEventRequest, Event, Reading } from './event.ts';
import { INT64_MAX, INT64_MIN, isName, isStorable, isUuid } from './fields.ts';
import { exactJson, integerIn, type LongIntegers, type RoughJson } from './lossless-json.ts';
import { isValueOf, normalizeValueType, type ValueType } from './value-type.ts';

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

const isMissing = (value: unknown): value is null | undefined => value === undefined || value === null;
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isGivenName = (value: unknown): value is string => typeof value === 'string' && isName(value);

/** Undefined for what is no origin, and for zero. */
function originOf(value: unknown, longs: LongIntegers): bigint | undefined {
  const origin = integerIn(longs, value);
  return origin !== undefined && origin !== 0n && origin >= INT64_MIN && origin <= INT64_MAX
    ? origin
    : undefined;
}

/** The names that a reading and its event have, where they are ones. */
function namesOf<K extends string>(fields: Fields, keys: readonly K[]): Record<K, string> | undefined {
  for (const key of keys) if (!isGivenName(fields[key])) return undefined;
  return fields as Record<K, string>;
}

const READING_NAMES = ['deviceName', 'resourceName', 'profileName'] as const;
const EVENT_NAMES = ['deviceName', 'profileName', 'sourceName'] as const;

/** What simple readings do not have. */
const isPlain = ({ tags, binaryValue, mediaType, units }: Fields): boolean =>
  isMissing(tags) &&
  isMissing(binaryValue) &&
  isMissing(mediaType) &&
  (isMissing(units) || (typeof units === 'string' && isStorable(units)));

function valueTypeOf({ valueType, value }: Fields): ValueType | undefined {
  const type = typeof valueType === 'string' ? normalizeValueType(valueType) : undefined;
  return type !== undefined && typeof value === 'string' && isValueOf(type, value) ? type : undefined;
}

/** A simple reading with a value and without tags. */
function readingOf(item: unknown, longs: LongIntegers): Reading | undefined {
  const fields = fieldsOf(item);
  if (fields === undefined || !isPlain(fields)) return undefined;
  const valueType = valueTypeOf(fields);
  const origin = originOf(fields['origin'], longs);
  const names = namesOf(fields, READING_NAMES);
  if (valueType === undefined || origin === undefined || names === undefined) return undefined;
  const { deviceName, resourceName, profileName } = names;
  const { units, value } = fields as { readonly units?: string | null; readonly value: string };
  const common = { origin, deviceName, resourceName, profileName, valueType };
  return { ...common, units: units ?? undefined, tags: undefined, kind: 'simple', value };
}

function readingsOf(value: unknown, longs: LongIntegers): Reading[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const readings: Reading[] = [];
  for (const item of value) {
    const reading = readingOf(item, longs);
    if (reading === undefined) return undefined;
    readings.push(reading);
  }
  return readings;
}

/** Undefined for what is no JSON object. */
function tagsOf(value: unknown, longs: LongIntegers): Event['tags'] | 'none' {
  if (isMissing(value)) return 'none';
  return exactJson({ value: fieldsOf(value), longs }) as Fields | undefined;
}

function eventOf(item: unknown, longs: LongIntegers): Event | undefined {
  const fields = fieldsOf(item);
  if (fields === undefined) return undefined;
  const { apiVersion, id } = fields;
  if (!isText(apiVersion) || typeof id !== 'string' || !isUuid(id)) return undefined;
  const origin = originOf(fields['origin'], longs);
  const names = namesOf(fields, EVENT_NAMES);
  const readings = readingsOf(fields['readings'], longs);
  const tags = tagsOf(fields['tags'], longs);
  if (origin === undefined || names === undefined || readings === undefined) return undefined;
  if (tags === undefined) return undefined;
  const { deviceName, profileName, sourceName } = names;
  const head = { apiVersion, id: id.toLowerCase(), deviceName, profileName, sourceName };
  return { ...head, origin, readings, tags: tags === 'none' ? undefined : tags };
}

const isRequestId = (value: unknown): value is string | null | undefined =>
  isMissing(value) || value === '' || (typeof value === 'string' && isUuid(value));

/**
 * What `addEventRequest` makes of the plain events that devices send by the thousand: simple readings without tags of their own, nothing wrong. Undefined
 * for everything else, which `addEventRequest` has to judge.
 */
export function plainAddEventRequest({ value, longs }: RoughJson): AddEventRequest | undefined {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const { apiVersion, requestId } = fields;
  if (!isText(apiVersion) || !isRequestId(requestId)) return undefined;
  const event = eventOf(fields['event'], longs);
  return event === undefined ? undefined : { apiVersion, requestId: requestId ?? undefined, event };
}
