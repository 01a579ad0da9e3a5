import { AntirioError, toBase64 } from '@antirio/kernel';
import type { Database } from '@antirio/host';
import { API_VERSION } from '@antirio/edgex-contracts';
import { simpleText } from './stored-value.ts';

/**
 * Rows as the JSON text of EdgeX's DTOs: put together from texts, so that origins and stored objects keep every digit. Integers in rows are
 * bigint; with `numeric`, values of numeric types are JSON numbers.
 */
export interface RowText {
  /** From `series, origin, value, tags`. */
  reading(row: Row, numeric: boolean): string;
  /** From `uuid, source, origin, tags`. */
  event(row: Row, readings: readonly string[]): string;
  /** The event with its reading, from `uuid, source, origin, value, tags`. */
  single(row: Row, numeric: boolean): string;
  /** Its reading alone. */
  readingOfSingle(row: Row, numeric: boolean): string;
}

type Row = Readonly<Record<string, unknown>>;

type Kind = 'simple' | 'number' | 'numbers' | 'binary' | 'object';

export interface SeriesText {
  readonly names: string;
  readonly kind: Kind;
  readonly mediaType: string;
}

/** What readings have in common. */
export interface SeriesFields {
  readonly device: string;
  readonly profile: string;
  readonly resource: string;
  readonly valueType: string;
  /** Empty where there are none. */
  readonly units: string;
  readonly mediaType: string;
}

interface SourceText {
  readonly names: string;
  readonly series: number;
}

const REMEMBERED = 50_000;

function remembered<T>(make: (id: number) => T): (id: number) => T {
  const known = new Map<number, T>();
  return (id) => {
    const found = known.get(id);
    if (found !== undefined) return found;
    if (known.size >= REMEMBERED) known.clear();
    const made = make(id);
    known.set(id, made);
    return made;
  };
}

export function kindOf(valueType: string): Kind {
  if (valueType === 'Binary') return 'binary';
  if (valueType === 'Object' || valueType === 'ObjectArray') return 'object';
  if (!/^(?:Uint|Int|Float)/.test(valueType)) return 'simple';
  return valueType.endsWith('Array') ? 'numbers' : 'number';
}

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** The number as JSON has it, with all its digits; what JSON has no number for (infinite, NaN) stays text. */
function numberText(text: string): string {
  if (JSON_NUMBER.test(text)) return text;
  const value = Number(text);
  return text !== '' && Number.isFinite(value) ? String(value) : JSON.stringify(text);
}

function numbersText(text: string): string {
  const items = text.slice(1, -1).split(',');
  return `[${items.map((item) => numberText(item.trim())).join(',')}]`;
}

export function uuidText(bytes: Uint8Array): string {
  const h = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`;
}

/** The value with the name of its field, from what is stored of it. */
export function valueText(
  series: Pick<SeriesText, 'kind' | 'mediaType'>,
  value: unknown,
  numeric: boolean,
): string {
  if (value === null || value === undefined) return '"value":null,"binaryValue":null,"objectValue":null';
  switch (series.kind) {
    case 'binary':
      return `"binaryValue":"${toBase64(value as Uint8Array)}","mediaType":${JSON.stringify(series.mediaType)}`;
    case 'object':
      return `"objectValue":${value as string}`;
    case 'number':
      return `"value":${numeric ? numberText(simpleText(value)) : JSON.stringify(simpleText(value))}`;
    case 'numbers':
      return `"value":${numeric ? numbersText(simpleText(value)) : JSON.stringify(value)}`;
    case 'simple':
      return `"value":${JSON.stringify(simpleText(value))}`;
  }
}

export const tagsField = (tags: unknown): string => (typeof tags === 'string' ? `,"tags":${tags}` : '');

const json = (value: unknown): string => JSON.stringify(String(value));

export function seriesTextOf({
  device,
  resource,
  profile,
  valueType,
  units,
  mediaType,
}: SeriesFields): SeriesText {
  const names =
    `"deviceName":${json(device)},"resourceName":${json(resource)},"profileName":${json(profile)},` +
    `"valueType":${json(valueType)}${units === '' ? '' : `,"units":${json(units)}`}`;
  return { names, kind: kindOf(valueType), mediaType };
}

export const sourceNamesText = (device: unknown, profile: unknown, source: unknown): string =>
  `"deviceName":${json(device)},"profileName":${json(profile)},"sourceName":${json(source)}`;

export const readingHead = (origin: unknown, names: string): string => `{"origin":${String(origin)},${names}`;

export const eventHead = (id: string, names: string, origin: unknown): string =>
  `{"apiVersion":"${API_VERSION}","id":"${id}",${names},"origin":${String(origin)}`;

export function createRowText(db: Database): RowText {
  const seriesRow = db.prepare(
    'SELECT device, profile, resource, value_type, units, media_type FROM series WHERE id = ?',
  );
  const sourceRow = db.prepare('SELECT device, profile, name, series FROM source WHERE id = ?');

  // What is remembered stays true: rows do not change, and an id is never given to other names.
  const seriesText = remembered((id): SeriesText => {
    const row = seriesRow.get(id);
    if (row === undefined) throw new AntirioError('corrupt', `series ${id} is not there`);
    const { device, profile, resource, value_type: valueType, units, media_type: mediaType } = row;
    return seriesTextOf({
      device,
      profile,
      resource,
      valueType,
      units,
      mediaType,
    } as unknown as SeriesFields);
  });
  const sourceText = remembered((id): SourceText => {
    const row = sourceRow.get(id);
    if (row === undefined) throw new AntirioError('corrupt', `source ${id} is not there`);
    const names = sourceNamesText(row['device'], row['profile'], row['name']);
    return { names, series: Number(row['series']) };
  });
  const readingText = (series: number, row: Row, tags: string, numeric: boolean): string => {
    const text = seriesText(series);
    return `${readingHead(row['origin'], text.names)},${valueText(text, row['value'], numeric)}${tags}}`;
  };
  const eventText = (row: Row, source: SourceText, readings: string): string => {
    const head = eventHead(uuidText(row['uuid'] as Uint8Array), source.names, row['origin']);
    return `${head},"readings":[${readings}]${tagsField(row['tags'])}}`;
  };
  return {
    reading: (row, numeric) => readingText(Number(row['series']), row, tagsField(row['tags']), numeric),
    event: (row, readings) => eventText(row, sourceText(Number(row['source'])), readings.join(',')),
    single(row, numeric) {
      const source = sourceText(Number(row['source']));
      return eventText(row, source, readingText(source.series, row, '', numeric));
    },
    readingOfSingle: (row, numeric) =>
      readingText(sourceText(Number(row['source'])).series, row, '', numeric),
  };
}
