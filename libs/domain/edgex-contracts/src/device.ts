import { z } from 'zod';
import { baseRequest, baseResponseSchema } from './base.ts';
import { ID_OR_NAME, eitherIdOrName } from './device-service.ts';
import {
  adminState,
  anyMap,
  durationFrom,
  float64,
  labels,
  name,
  operatingState,
  optional,
  uuidOrEmpty,
} from './fields.ts';

const noDuration = z.literal('');

/** How many events of an auto event are kept, and how long. */
const retention = z.object({
  maxCap: optional(z.int()),
  minCap: optional(z.int()),
  duration: optional(z.union([noDuration, durationFrom('0s')])),
});

const NOT_NEGATIVE = "validation failed on the gte tag with value '0'";

/** A reading that the device service takes by itself at an interval. */
export const autoEvent = z.object({
  interval: durationFrom('1ms'),
  onChange: optional(z.boolean()),
  /** A change of a number that is not larger makes no event. */
  onChangeThreshold: optional(float64.refine((value) => value >= 0, NOT_NEGATIVE)),
  /** A resource or command of the profile; a POSIX regular expression over resource names is allowed. */
  sourceName: z.string().min(1, 'is required'),
  retention: optional(retention),
});
export type AutoEvent = z.output<typeof autoEvent>;

const protocols = z.record(z.string(), anyMap);

export const device = z.object({
  id: optional(uuidOrEmpty),
  name,
  parent: optional(z.string()),
  description: optional(z.string()),
  adminState,
  operatingState,
  labels: optional(labels),
  location: z.unknown().optional(),
  serviceName: name,
  profileName: optional(z.string()),
  autoEvents: optional(z.array(autoEvent)),
  protocols,
  tags: optional(anyMap),
  properties: optional(anyMap),
});
export type Device = z.output<typeof device>;

export const updateDevice = z
  .object({
    id: optional(uuidOrEmpty),
    name: optional(name),
    parent: optional(z.string()),
    description: optional(z.string()),
    adminState: optional(adminState),
    operatingState: optional(operatingState),
    labels: optional(labels),
    location: z.unknown().optional(),
    serviceName: optional(name),
    profileName: optional(z.string()),
    autoEvents: optional(z.array(autoEvent)),
    protocols: optional(protocols),
    tags: optional(anyMap),
    properties: optional(anyMap),
  })
  .refine(eitherIdOrName, ID_OR_NAME);
export type UpdateDevice = z.output<typeof updateDevice>;

export const addDeviceRequest = baseRequest.extend({ device });
export const updateDeviceRequest = baseRequest.extend({ device: updateDevice });

export const deviceResponseSchema = baseResponseSchema.extend({ device });
export const multiDevicesResponseSchema = baseResponseSchema.extend({
  totalCount: z.int(),
  devices: z.array(device),
});
