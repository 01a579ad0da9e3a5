import { parseJson, stringifyJson, type Event, type Reading } from '@antirio/edgex-contracts';
import { AntirioError } from '@antirio/kernel';
import {
  eventHead,
  kindOf,
  readingHead,
  seriesTextOf,
  sourceNamesText,
  tagsField,
  valueText,
} from '../row-text.ts';
import { storedValue } from '../stored-value.ts';

/**
 * An event as Redis has it: the texts that its JSON is put together from, behind their lengths. Two are of the event, before and after its
 * readings; three of each reading, of which the second is its value.
 */
const OF_EVENT = 2;
const OF_READING = 3;
const LENGTH_BYTES = 4;

function tagsText(tags: Readonly<Record<string, unknown>> | undefined): string {
  return tags === undefined || Object.keys(tags).length === 0 ? '' : tagsField(stringifyJson(tags));
}

export const mediaTypeOf = (reading: Reading): string => (reading.kind === 'binary' ? reading.mediaType : '');

function textsOfReading(reading: Reading): string[] {
  const { deviceName: device, profileName: profile, resourceName: resource, valueType, units = '' } = reading;
  const series = seriesTextOf({
    device,
    profile,
    resource,
    valueType,
    units,
    mediaType: mediaTypeOf(reading),
  });
  const value = valueText(series, storedValue(reading), false);
  return [`${readingHead(reading.origin, series.names)},`, value, `${tagsText(reading.tags)}}`];
}

export function recordOf(event: Event): Buffer {
  const names = sourceNamesText(event.deviceName, event.profileName, event.sourceName);
  const texts = [eventHead(event.id.toLowerCase(), names, event.origin), `${tagsText(event.tags)}}`];
  for (const reading of event.readings) texts.push(...textsOfReading(reading));
  const lengths = texts.map((one) => Buffer.byteLength(one));
  const head = LENGTH_BYTES * texts.length;
  const bytes = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + length, head + LENGTH_BYTES));
  bytes.writeUInt32BE(event.readings.length, 0);
  let at = head + LENGTH_BYTES;
  texts.forEach((one, index) => {
    const length = lengths[index] ?? 0;
    bytes.writeUInt32BE(length, LENGTH_BYTES * (index + 1));
    bytes.write(one, at);
    at += length;
  });
  return bytes;
}

/** What an event says of itself, and of each of its readings. */
export interface EventNames {
  readonly id: string;
  readonly device: string;
  readonly source: string;
  readonly origin: bigint;
}

export interface ReadingNames {
  readonly device: string;
  readonly profile: string;
  readonly resource: string;
  readonly valueType: string;
  readonly origin: bigint;
}

export interface EventRecord {
  readonly readings: number;
  /** How long it is. */
  readonly bytes: number;
  event(numeric: boolean): string;
  reading(index: number, numeric: boolean): string;
  /** The text of a simple value; undefined where there is none. */
  value(index: number): string | undefined;
  names(): EventNames;
  readingNames(index: number): ReadingNames;
}

/** @throws AntirioError corrupt */
function textsIn(bytes: Buffer): { readonly readings: number; readonly texts: readonly string[] } {
  const readings = bytes.length < LENGTH_BYTES ? -1 : bytes.readUInt32BE(0);
  const count = OF_EVENT + OF_READING * readings;
  let at = LENGTH_BYTES * (count + 1);
  if (readings < 0 || at > bytes.length) throw new AntirioError('corrupt', 'an event in Redis is cut off');
  const texts = Array.from({ length: count }, (_, index) => {
    const end = at + bytes.readUInt32BE(LENGTH_BYTES * (index + 1));
    const one = bytes.toString('utf8', at, end);
    at = end;
    return one;
  });
  if (at !== bytes.length) throw new AntirioError('corrupt', 'an event in Redis is cut off');
  return { readings, texts };
}

export function readRecord(bytes: Buffer): EventRecord {
  const { readings, texts } = textsIn(bytes);
  const textAt = (index: number): string => texts[index] ?? '';
  const ofReading = (index: number, part: number): string => textAt(OF_EVENT + OF_READING * index + part);
  const fields = (index: number): Record<string, unknown> =>
    parseJson(`${ofReading(index, 0).slice(0, -1)}}`) as Record<string, unknown>;
  const value = (index: number): string | undefined => {
    const { value: found } = JSON.parse(`{${ofReading(index, 1)}}`) as { value?: unknown };
    return typeof found === 'string' ? found : undefined;
  };
  const shown = (index: number, numeric: boolean): string => {
    const simple = numeric ? value(index) : undefined;
    if (simple === undefined) return ofReading(index, 1);
    const kind = kindOf(String(fields(index)['valueType']));
    return valueText({ kind, mediaType: '' }, simple, true);
  };
  const reading = (index: number, numeric: boolean): string =>
    ofReading(index, 0) + shown(index, numeric) + ofReading(index, 2);
  return {
    readings,
    bytes: bytes.length,
    reading,
    value,
    event(numeric) {
      const all = Array.from({ length: readings }, (_, index) => reading(index, numeric));
      return `${textAt(0)},"readings":[${all.join(',')}]${textAt(1)}`;
    },
    names() {
      const { id, deviceName, sourceName, origin } = parseJson(`${textAt(0)}}`) as Record<string, unknown>;
      const [device, source] = [String(deviceName), String(sourceName)];
      return { id: String(id), device, source, origin: BigInt(String(origin)) };
    },
    readingNames(index) {
      const { deviceName, profileName, resourceName, valueType, origin } = fields(index);
      return {
        device: String(deviceName),
        profile: String(profileName),
        resource: String(resourceName),
        valueType: String(valueType),
        origin: BigInt(String(origin)),
      };
    },
  };
}
