import { isValueOf, type DeviceProfile, type DeviceResource, type Reading } from '@antirio/edgex-contracts';
import {
  PAYLOAD_RESOURCE,
  rawReading,
  readingOf,
  UPLINK_SOURCE,
  type Decoded,
  type EventBase,
} from '../north/readings.ts';

type Fields = Readonly<Record<string, unknown>>;

/** The field that a resource measures: the one of its name, or of its attribute `field`. */
function fieldOf({ name, attributes }: DeviceResource): string {
  const named = attributes?.['field'];
  return typeof named === 'string' ? named : name;
}

/** As EdgeX writes it; undefined for what no simple reading says. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'boolean' ? String(value) : undefined;
}

function valueReading(base: EventBase, resource: DeviceResource, value: unknown): Reading | undefined {
  const { valueType, units } = resource.properties;
  const measured = typeof value === 'boolean' && valueType !== 'Bool' ? Number(value) : value;
  if (typeof measured === 'number') return readingOf(base, resource, measured);
  const head = {
    ...{ ...base, resourceName: resource.name, valueType },
    ...(units === undefined ? {} : { units }),
  };
  if (typeof measured === 'object' && measured !== null)
    return valueType === 'Object' ? { ...head, kind: 'object', objectValue: measured } : undefined;
  const text = textOf(measured);
  return text !== undefined && isValueOf(valueType, text)
    ? { ...head, kind: 'simple', value: text }
    : undefined;
}

/**
 * The readings in the object that ChirpStack's codec made. What the profile has no resource for, or another type, is kept as the payload
 * beside them.
 */
export function readingsOfObject(
  base: EventBase,
  profile: DeviceProfile | undefined,
  payload: Uint8Array,
  object: Fields | undefined,
): Decoded {
  const raw = { sourceName: PAYLOAD_RESOURCE, readings: [rawReading(base, payload)] };
  if (object === undefined) return { ...raw, undecodable: payload.length > 0 };
  const resources = profile?.deviceResources ?? [];
  const fields = Object.entries(object);
  const readings = fields.flatMap(([field, value]) => {
    const resource = resources.find((one) => fieldOf(one) === field);
    return resource === undefined ? [] : (valueReading(base, resource, value) ?? []);
  });
  if (readings.length === 0) return { ...raw, undecodable: true };
  const complete = readings.length === fields.length;
  return {
    sourceName: UPLINK_SOURCE,
    readings: complete ? readings : [...readings, rawReading(base, payload)],
    undecodable: !complete,
  };
}
