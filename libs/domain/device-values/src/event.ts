import type { AntirioError } from '@antirio/kernel';
import {
  API_VERSION,
  stringifyJson,
  type Device,
  type DeviceProfile,
  type DeviceResource,
  type Event,
  type Reading,
  type ReadingValue,
} from '@antirio/edgex-contracts';
import { commandValue, type CommandValue } from './command-value.ts';
import { fault } from './fault.ts';
import { plainText, readingText } from './go-text.ts';
import { indexOf, type ResourceOperation } from './profile-index.ts';
import { readTransform } from './transform.ts';

/** How a device service makes readings of values. */
export interface ReadingOptions {
  /** EdgeX's `Device.DataTransform`. */
  readonly dataTransform: boolean;
  /** EdgeX's `Writable.Reading.ReadingUnits`. */
  readonly readingUnits: boolean;
}

export interface EventContext extends ReadingOptions {
  readonly profile: DeviceProfile;
  readonly device: Pick<Device, 'name' | 'tags'>;
  /** The command or resource, or the pattern of resources, that was read. */
  readonly sourceName: string;
  /** A UUID. */
  readonly id: string;
  /** In nanoseconds since the Unix epoch; each event of a service has one of its own (`nextOrigin`). */
  readonly origin: bigint;
}

/** A resource's assertion does not hold: the device is to be taken as DOWN, and there is no event. */
export interface AssertionFailed {
  readonly kind: 'assertionFailed';
  readonly resourceName: string;
  readonly message: string;
}

export type ReadingOutcome = { readonly kind: 'reading'; readonly reading: Reading } | AssertionFailed;

export type EventOutcome =
  | { readonly kind: 'event'; readonly event: Event }
  /** The driver had no values. */
  | { readonly kind: 'none' }
  | AssertionFailed;

/** What a binary reading is when its resource does not say: without a media type core-data refuses it. */
const ANY_BYTES = 'application/octet-stream';

const nameable = ({ valueType, value }: CommandValue): string =>
  valueType === 'Object' || valueType === 'ObjectArray' || value instanceof Uint8Array
    ? ''
    : `: ${String(value)}`;

const shown = (value: CommandValue): string =>
  `DeviceResource: ${value.resourceName}, ${value.valueType}${nameable(value)}`;

/** The value itself, or what EdgeX says in its place: "overflow" or "NaN", as a String. */
function transformed(given: CommandValue, resource: DeviceResource): CommandValue {
  const result = readTransform(given, resource.properties);
  if ('value' in result) return result.value;
  return { ...given, valueType: 'String', value: result.fault.kind };
}

function notTransformed(given: CommandValue, error: unknown): AntirioError {
  const why = error instanceof Error ? error.message : 'unknown';
  return fault('failed', `failed to transform CommandValue (${shown(given)}) to Reading`, why);
}

/** Values of drivers may not have been made by `commandValue`, and not every object is one that JSON can say. */
function checked(given: CommandValue): CommandValue {
  try {
    const { value } = commandValue(given.resourceName, given.valueType, given.value);
    if (given.valueType === 'Object' || given.valueType === 'ObjectArray') stringifyJson(value);
    return { ...given, value } as CommandValue;
  } catch (error) {
    throw notTransformed(given, error);
  }
}

function mapped(given: CommandValue, operation: ResourceOperation | undefined): CommandValue {
  const mappings = operation?.mappings;
  if (mappings === undefined || Object.keys(mappings).length === 0) return given;
  const text = plainText(given);
  if (!Object.hasOwn(mappings, text)) return given;
  return { ...given, valueType: 'String', value: mappings[text] ?? '' };
}

function valueOf(given: CommandValue, resource: DeviceResource): ReadingValue {
  if (given.value === null) return { kind: 'null' };
  switch (given.valueType) {
    case 'Binary': {
      const { mediaType = '' } = resource.properties;
      return {
        kind: 'binary',
        binaryValue: given.value,
        mediaType: mediaType === '' ? ANY_BYTES : mediaType,
      };
    }
    case 'Object':
    case 'ObjectArray':
      return { kind: 'object', objectValue: given.value };
    default:
      return { kind: 'simple', value: readingText(given) };
  }
}

/** The operation on a resource whose mappings count: that of the command which was read, else the first of any command. */
function operationOn(
  resourceName: string,
  { profile, sourceName }: EventContext,
): ResourceOperation | undefined {
  const { commands, operations } = indexOf(profile);
  const own = commands
    .get(sourceName)
    ?.resourceOperations.find(({ deviceResource }) => deviceResource === resourceName);
  return own ?? operations.get(resourceName);
}

function resourceOf(given: CommandValue, { profile, device }: EventContext): DeviceResource {
  const resource = indexOf(profile).resources.get(given.resourceName);
  if (resource !== undefined) return resource;
  throw fault(
    'notFound',
    `failed to find DeviceResource ${given.resourceName} in Device ${device.name} for CommandValue (${shown(given)})`,
  );
}

/**
 * The reading of a value, in the Go SDK's order: transformation, assertion, mapping, text.
 * @throws AntirioError notFound when the profile has no such resource, failed when the value is none of its type.
 */
export function readingOf(value: CommandValue, context: EventContext): ReadingOutcome {
  const resource = resourceOf(value, context);
  const given = checked(value);
  const read = context.dataTransform ? transformed(given, resource) : given;
  const { assertion = '', units } = resource.properties;
  if (assertion !== '' && plainText(read) !== assertion) {
    const message = `Assertion failed for DeviceResource ${read.resourceName}, with value ${plainText(read)}`;
    return { kind: 'assertionFailed', resourceName: read.resourceName, message };
  }
  const shownValue = mapped(read, operationOn(resource.name, context));
  const { origin = 0n } = value;
  return {
    kind: 'reading',
    reading: {
      origin: origin === 0n ? context.origin : origin,
      deviceName: context.device.name,
      resourceName: resource.name,
      profileName: context.profile.name,
      valueType: shownValue.valueType,
      units: context.readingUnits ? units : undefined,
      tags: resource.tags,
      ...valueOf(shownValue, resource),
    },
  };
}

function tagsOf(values: readonly CommandValue[], { profile, device, sourceName }: EventContext) {
  let tags: Readonly<Record<string, unknown>> = {};
  for (const value of values) if (value.tags !== undefined) tags = { ...tags, ...value.tags };
  tags = { ...tags, ...indexOf(profile).commands.get(sourceName)?.tags, ...device.tags };
  return Object.keys(tags).length === 0 ? undefined : tags;
}

/**
 * The event of what a driver read or wrote. Its tags are those of the values, then of the device command, then of the device.
 * @throws AntirioError as `readingOf` does.
 */
export function eventOf(values: readonly CommandValue[], context: EventContext): EventOutcome {
  const readings: Reading[] = [];
  for (const value of values) {
    const outcome = readingOf(value, context);
    if (outcome.kind === 'assertionFailed') return outcome;
    readings.push(outcome.reading);
  }
  if (readings.length === 0) return { kind: 'none' };
  const { id, origin, sourceName } = context;
  const names = { deviceName: context.device.name, profileName: context.profile.name, sourceName };
  const tags = tagsOf(values, context);
  return { kind: 'event', event: { apiVersion: API_VERSION, id, ...names, origin, readings, tags } };
}

/** An origin of its own for each event of a service: never less than the one before it, even where the clock stands or goes back. */
export function nextOrigin(previous: bigint, now: bigint): bigint {
  return now > previous ? now : previous + 1n;
}
