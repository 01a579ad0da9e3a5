import { z } from 'zod';
import { parseDuration } from './duration.ts';

const NAME_LIMIT = 1024;
export const INT64_MAX = 2n ** 63n - 1n;
export const INT64_MIN = -(2n ** 63n);
const NOT_BLANK = /\S/;

/** Whether EdgeX's store, Postgres, has such a text: it has none with a NUL. */
export function isStorable(text: string): boolean {
  return !text.includes('\u0000');
}

/** A text that rows are found by or that says what a value is. */
export const storable = z.string().refine(isStorable, 'should not contain a NUL character');

/** Whether it is a name as EdgeX 3.1 and later take it. */
export function isName(text: string): boolean {
  return text.length <= NAME_LIMIT && NOT_BLANK.test(text) && isStorable(text);
}

/** A name as EdgeX 3.1 and later take it: any characters but NUL, not blank; bounded here because names become topic levels. */
export const name = storable
  .max(NAME_LIMIT)
  .refine((text) => text.trim() !== '', 'should not be empty string');

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

export const uuid = z.string().refine(isUuid, 'field needs a uuid');

/** An id that may be left empty, which Go takes for missing. */
export const uuidOrEmpty = z.string().refine((text) => text === '' || isUuid(text), 'field needs a uuid');

/** Nanoseconds since the Unix epoch in an int64; not zero, which EdgeX takes for missing. */
export const origin = z
  .union([z.bigint(), z.int()])
  .transform((value) => BigInt(value))
  .refine((value) => value !== 0n, 'is required')
  .refine((value) => value >= INT64_MIN && value <= INT64_MAX, 'is out of the range of int64');

/** A field that may be missing or null, which Go's JSON takes for the same. */
export function optional<S extends z.ZodType>(schema: S) {
  return schema.nullish().transform((value) => value ?? undefined);
}

/** A float64: integers too large for a number come with all their digits and lose them here, as in Go. */
export const float64 = z.union([z.number(), z.bigint().transform(Number)]);

/** A whole number within the bounds; a bigint only where a number would lose digits. */
export function wholeNumber(least: bigint, most: bigint) {
  return z
    .union([z.int(), z.bigint()])
    .refine((value) => BigInt(value) >= least && BigInt(value) <= most, 'is out of range');
}

export const int64 = wholeNumber(-INT64_MAX - 1n, INT64_MAX);

/** Any JSON object. */
export const anyMap = z.record(z.string(), z.unknown());

export const labels = z.array(z.string());
export const adminState = z.enum(['LOCKED', 'UNLOCKED']);
export const operatingState = z.enum(['UP', 'DOWN', 'UNKNOWN']);
export const readWrite = z.enum(['R', 'W', 'RW', 'WR']);

/** A Go duration such as `100ms` or `24h`. */
export const duration = z
  .string()
  .refine((text) => parseDuration(text) !== undefined, 'should be a duration such as 100ms or 24h');

/** A Go duration such as `100ms` or `24h`, not shorter than the least one. */
export function durationFrom(least: string) {
  const nanos = parseDuration(least) ?? 0;
  return z
    .string()
    .refine(
      (text) => (parseDuration(text) ?? -Infinity) >= nanos,
      `should follows the ISO 8601 Durations format, e.g.,100ms, 24h, or be greater than or equal to the minimum value ${least}`,
    );
}
