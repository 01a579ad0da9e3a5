import {
  isValueOf,
  type DeviceProfile,
  type DeviceResource,
  type Reading,
  type ReadingBase,
} from '@antirio/edgex-contracts';
import { decodeCayenneLpp, type LppValue } from '@antirio/lorawan';
import type { DeviceOptions } from '../options.ts';

/** What a payload says, in the profile's words. */
export interface Decoded {
  /** EdgeX's source: the command that groups the measured resources, or the raw payload. */
  readonly sourceName: string;
  readonly readings: readonly Reading[];
  /** A codec was to read it and could not, or could not read all of it. */
  readonly undecodable: boolean;
}

export const UPLINK_SOURCE = 'uplink';
export const PAYLOAD_RESOURCE = 'payload';
const OCTETS = 'application/octet-stream';

/** The names that The Things Network's decoder made usual; a channel follows. */
const USUAL_NAMES: Readonly<Record<LppValue['type'], string>> = {
  digitalInput: 'digital_in',
  digitalOutput: 'digital_out',
  analogInput: 'analog_in',
  analogOutput: 'analog_out',
  illuminance: 'luminosity',
  presence: 'presence',
  temperature: 'temperature',
  humidity: 'relative_humidity',
  accelerometer: 'accelerometer',
  barometer: 'barometric_pressure',
  gyrometer: 'gyrometer',
  gps: 'gps',
};

function measures(resource: DeviceResource, { type, channel }: LppValue): boolean {
  const { attributes } = resource;
  if (attributes?.['lpp'] !== undefined)
    return attributes['lpp'] === type && Number(attributes['channel']) === channel;
  return resource.name === `${USUAL_NAMES[type]}_${channel}`;
}

/** Floating point as EdgeX writes it: `2.55e+01`. */
function exponential(value: number): string {
  return value
    .toExponential()
    .replace(/e([+-])(\d)$/, (_, sign: string, digit: string) => `e${sign}0${digit}`);
}

function textOf(value: number, valueType: string): string {
  if (valueType.startsWith('Float')) return exponential(value);
  if (valueType === 'Bool') return String(value !== 0);
  return valueType === 'String' ? String(value) : String(Math.round(value));
}

/** What the readings of an event have in common. */
export type EventBase = Omit<ReadingBase, 'resourceName' | 'valueType'>;

/** A value as the reading of a resource; undefined where it is none of the resource's type. */
export function readingOf(
  base: EventBase,
  resource: DeviceResource,
  value: LppValue['value'],
): Reading | undefined {
  const { valueType, units } = resource.properties;
  const head = { ...base, resourceName: resource.name, valueType, ...(units === undefined ? {} : { units }) };
  if (typeof value !== 'number')
    return valueType === 'Object' ? { ...head, kind: 'object', objectValue: value } : undefined;
  const text = textOf(value, valueType);
  return isValueOf(valueType, text) ? { ...head, kind: 'simple', value: text } : undefined;
}

export function rawReading(base: EventBase, payload: Uint8Array): Reading {
  return {
    ...base,
    resourceName: PAYLOAD_RESOURCE,
    valueType: 'Binary',
    kind: 'binary',
    binaryValue: payload,
    mediaType: OCTETS,
  };
}

function decodedValues(payload: Uint8Array): LppValue[] | undefined {
  try {
    const values = decodeCayenneLpp(payload);
    return values.length === 0 ? undefined : values;
  } catch {
    return undefined;
  }
}

/**
 * Turns a payload into readings. What the codec or the profile cannot take is kept as the raw payload beside them: nothing that a
 * sensor said is thrown away.
 */
export function readingsOf(
  device: Pick<DeviceOptions, 'name' | 'profileName' | 'codec'>,
  profile: DeviceProfile | undefined,
  payload: Uint8Array,
  origin: bigint,
  isClear: boolean,
): Decoded {
  const base = { origin, deviceName: device.name, profileName: device.profileName };
  const raw = { sourceName: PAYLOAD_RESOURCE, readings: [rawReading(base, payload)] };
  if (!isClear || device.codec === 'raw') return { ...raw, undecodable: false };
  const values = decodedValues(payload);
  if (values === undefined) return { ...raw, undecodable: payload.length > 0 };
  const resources = profile?.deviceResources ?? [];
  const found = values.map((value) => {
    const resource = resources.find((candidate) => measures(candidate, value));
    return resource === undefined ? undefined : readingOf(base, resource, value.value);
  });
  const readings = found.filter((reading) => reading !== undefined);
  if (readings.length === 0) return { ...raw, undecodable: true };
  const complete = readings.length === values.length;
  return {
    sourceName: UPLINK_SOURCE,
    readings: complete ? readings : [...readings, rawReading(base, payload)],
    undecodable: !complete,
  };
}
