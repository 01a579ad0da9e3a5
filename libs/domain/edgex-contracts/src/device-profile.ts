import { z } from 'zod';
import { baseRequest, baseResponseSchema } from './base.ts';
import { ID_OR_NAME, eitherIdOrName } from './device-service.ts';
import {
  anyMap,
  float64,
  int64,
  labels,
  name,
  optional,
  readWrite,
  storable,
  uuidOrEmpty,
  wholeNumber,
} from './fields.ts';
import { normalizeValueType, type ValueType } from './value-type.ts';

const valueType = z.string().transform((given, context): ValueType => {
  const type = normalizeValueType(given);
  if (type !== undefined) return type;
  context.addIssue({ code: 'custom', message: 'validation failed on the edgex-dto-value-type tag' });
  return z.NEVER;
});

export const resourceProperties = z.object({
  valueType,
  readWrite,
  units: optional(storable),
  minimum: optional(float64),
  maximum: optional(float64),
  defaultValue: optional(z.string()),
  mask: optional(wholeNumber(0n, 2n ** 64n - 1n)),
  shift: optional(int64),
  scale: optional(float64),
  offset: optional(float64),
  base: optional(float64),
  assertion: optional(z.string()),
  mediaType: optional(storable),
  optional: optional(anyMap),
});

export const deviceResource = z.object({
  name,
  description: optional(z.string()),
  isHidden: optional(z.boolean()),
  properties: resourceProperties,
  attributes: optional(anyMap),
  tags: optional(anyMap),
});
export type DeviceResource = z.output<typeof deviceResource>;

const resourceOperation = z.object({
  deviceResource: name,
  defaultValue: optional(z.string()),
  mappings: optional(z.record(z.string(), z.string())),
});

export const deviceCommand = z.object({
  name,
  isHidden: optional(z.boolean()),
  readWrite,
  resourceOperations: z.array(resourceOperation).refine((some) => some.length > 0, 'should greater than 0'),
  tags: optional(anyMap),
});
export type DeviceCommand = z.output<typeof deviceCommand>;

const basicInfo = {
  id: optional(uuidOrEmpty),
  name,
  description: optional(z.string()),
  manufacturer: optional(z.string()),
  model: optional(z.string()),
  labels: optional(labels),
};

const shape = z.object({
  ...basicInfo,
  apiVersion: optional(z.string()),
  deviceResources: optional(z.array(deviceResource)),
  deviceCommands: optional(z.array(deviceCommand)),
});
export type DeviceProfile = z.output<typeof shape>;

function firstTwice(names: readonly string[]): string | undefined {
  return names.find((given, index) => names.indexOf(given) !== index);
}

const isRW = (permission: string): boolean => permission.length === 2;

function commandFault(command: DeviceCommand, resources: readonly DeviceResource[]): string | undefined {
  for (const operation of command.resourceOperations) {
    const resource = resources.find((candidate) => candidate.name === operation.deviceResource);
    if (resource === undefined)
      return `device command's resource ${operation.deviceResource} doesn't match any device resource`;
    const permission = resource.properties.readWrite;
    if (!isRW(permission) && permission !== command.readWrite)
      return `device command's ReadWrite permission '${command.readWrite}' doesn't align the device resource`;
  }
  return undefined;
}

/** What is wrong between the parts of a profile; undefined when nothing is. */
export function profileFault(profile: DeviceProfile): string | undefined {
  const resources = profile.deviceResources ?? [];
  const commands = profile.deviceCommands ?? [];
  const written = resources.find(
    ({ properties }) => properties.valueType === 'Binary' && properties.readWrite.includes('W'),
  );
  if (written !== undefined)
    return `write permission not support Binary value type for resource '${written.name}'`;
  const twiceResource = firstTwice(resources.map((resource) => resource.name));
  if (twiceResource !== undefined) return `device resource ${twiceResource} is duplicated`;
  const twiceCommand = firstTwice(commands.map((command) => command.name));
  if (twiceCommand !== undefined) return `device command ${twiceCommand} is duplicated`;
  for (const command of commands) {
    const fault = commandFault(command, resources);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** A class of devices: what can be read and written, alone (resources) or together (commands). */
export const deviceProfile = shape.superRefine((profile, context) => {
  const fault = profileFault(profile);
  if (fault !== undefined) context.addIssue({ code: 'custom', message: fault, params: { whole: true } });
});

export const deviceProfileRequest = baseRequest.extend({ profile: deviceProfile });

export const updateBasicInfoRequest = baseRequest.extend({
  basicinfo: z.object({ ...basicInfo, name: optional(name) }).refine(eitherIdOrName, ID_OR_NAME),
});

export const addDeviceResourceRequest = baseRequest.extend({ profileName: name, resource: deviceResource });
export const addDeviceCommandRequest = baseRequest.extend({ profileName: name, deviceCommand });

export const updateDeviceResourceRequest = baseRequest.extend({
  profileName: name,
  resource: z.object({ name, description: optional(z.string()), isHidden: optional(z.boolean()) }),
});
export const updateDeviceCommandRequest = baseRequest.extend({
  profileName: name,
  deviceCommand: z.object({ name, isHidden: optional(z.boolean()) }),
});

const updateTags = z.array(z.object({ name, tags: anyMap }));
export const updateProfileTagsRequest = baseRequest.extend({
  deviceResources: optional(updateTags),
  deviceCommands: optional(updateTags),
});

export const deviceProfileResponseSchema = baseResponseSchema.extend({ profile: shape });
export const multiDeviceProfilesResponseSchema = baseResponseSchema.extend({
  totalCount: z.int(),
  profiles: z.array(shape),
});
export const deviceResourceResponseSchema = baseResponseSchema.extend({ resource: deviceResource });
