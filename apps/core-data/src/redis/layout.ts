import { fromUtf8 } from '@antirio/kernel';
import type { TimeRange } from '../ordered-rows.ts';

/**
 * What core-data keeps in Redis, below its prefix.
 *
 * `event` (hash) has an event's record by its place in the order of arrival, `uuid` (hash) its place by its UUID, `arrival` its places.
 * The other sorted sets are indexes, in which all scores are 0 and members are in the order of their bytes: origin, then place, so that
 * origins keep their 64 bits. `e`, `e:<device>` and `e:<[device, source]>` have events; `r`, `r:<device>`, `rr:<resource>` and
 * `r:<[device, profile, resource, valueType]>` have readings. Sets of names: `source`, `device`, `series:<device>`.
 * `deletion` (list) has what is to go, oldest first; `meta` (hash) the layout and the newest place.
 */
export const LAYOUT = '1';

const json = JSON.stringify;

/** A device's name is no JSON list of names: it begins with a letter in `d`. */
export const KEYS = {
  events: 'e',
  eventsOf: (device: string): string => `e:d${device}`,
  eventsOfSource: (device: string, source: string): string => `e:${json([device, source])}`,
  readings: 'r',
  readingsOf: (device: string): string => `r:d${device}`,
  readingsOfResource: (resource: string): string => `rr:${resource}`,
  readingsOfSeries: (device: string, [profile, resource, valueType]: SeriesNames): string =>
    `r:${json([device, profile, resource, valueType])}`,
  series: (device: string): string => `series:${device}`,
} as const;

/** What readings of a device with one type have in common. */
export type SeriesNames = readonly [profile: string, resource: string, valueType: string];

export const PLACE_BYTES = 6;
const INDEX_BYTES = 3;
const ORIGIN_BYTES = 8;
const SIGN = 2n ** 63n;

/** Whether a reading has its index written in so many bytes. */
export const MOST_READINGS = 2 ** (8 * INDEX_BYTES);

export function placeBytes(place: number): Buffer {
  const bytes = Buffer.alloc(PLACE_BYTES);
  bytes.writeUIntBE(place, 0, PLACE_BYTES);
  return bytes;
}

export const placeIn = (bytes: Buffer): number => bytes.readUIntBE(0, PLACE_BYTES);

/** Of an event, or with an index of one of its readings. */
export function member(origin: bigint, place: number, index?: number): Buffer {
  const bytes = Buffer.alloc(ORIGIN_BYTES + PLACE_BYTES + (index === undefined ? 0 : INDEX_BYTES));
  bytes.writeBigUInt64BE(BigInt.asUintN(64, origin + SIGN), 0);
  bytes.writeUIntBE(place, ORIGIN_BYTES, PLACE_BYTES);
  if (index !== undefined) bytes.writeUIntBE(index, ORIGIN_BYTES + PLACE_BYTES, INDEX_BYTES);
  return bytes;
}

export interface Member {
  readonly origin: bigint;
  readonly place: number;
  /** 0 for an event. */
  readonly index: number;
}

export function memberIn(bytes: Buffer): Member {
  const index = ORIGIN_BYTES + PLACE_BYTES;
  return {
    origin: bytes.readBigUInt64BE(0) - SIGN,
    place: bytes.readUIntBE(ORIGIN_BYTES, PLACE_BYTES),
    index: bytes.length > index ? bytes.readUIntBE(index, INDEX_BYTES) : 0,
  };
}

function bound(origin: bigint, fill: number): Buffer {
  const bytes = Buffer.alloc(1 + ORIGIN_BYTES + PLACE_BYTES + INDEX_BYTES, fill);
  bytes.write('[', 0);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, origin + SIGN), 1);
  return bytes;
}

/** The bounds of a range as `ZRANGEBYLEX` has them. */
export function boundsOf(
  range: TimeRange | undefined,
): readonly [from: Buffer | string, to: Buffer | string] {
  if (range === undefined) return ['-', '+'];
  return [bound(range.start, 0).subarray(0, 1 + ORIGIN_BYTES), bound(range.end, 0xff)];
}

export const text = (bytes: unknown): string => fromUtf8(bytes as Uint8Array);
