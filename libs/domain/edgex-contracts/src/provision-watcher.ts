import { z } from 'zod';
import { baseRequest, baseResponseSchema } from './base.ts';
import { autoEvent } from './device.ts';
import { eitherIdOrName, ID_OR_NAME } from './device-service.ts';
import { adminState, anyMap, labels, name, optional, uuid } from './fields.ts';

const identifiers = z
  .record(z.string().min(1), z.string().min(1))
  .refine((map) => Object.keys(map).length > 0, 'should have at least one identifier');

const discoveredDevice = z.object({
  profileName: optional(z.string()),
  adminState,
  autoEvents: optional(z.array(autoEvent)),
  properties: optional(anyMap),
});

const updateDiscoveredDevice = z.object({
  profileName: optional(z.string()),
  adminState: optional(adminState),
  autoEvents: optional(z.array(autoEvent)),
  properties: optional(anyMap),
});

/** What a device service watches for, to add a device by itself when it finds one. */
export const provisionWatcher = z.object({
  id: optional(z.union([z.literal(''), uuid])),
  name,
  serviceName: name,
  labels: optional(labels),
  identifiers,
  blockingIdentifiers: optional(z.record(z.string(), z.array(z.string()))),
  adminState,
  discoveredDevice,
});
export type ProvisionWatcher = z.output<typeof provisionWatcher>;

export const updateProvisionWatcher = z
  .object({
    id: optional(z.union([z.literal(''), uuid])),
    name: optional(name),
    serviceName: optional(name),
    labels: optional(labels),
    identifiers: optional(identifiers),
    blockingIdentifiers: optional(z.record(z.string(), z.array(z.string()))),
    adminState: optional(adminState),
    discoveredDevice: optional(updateDiscoveredDevice),
  })
  .refine(eitherIdOrName, ID_OR_NAME);
export type UpdateProvisionWatcher = z.output<typeof updateProvisionWatcher>;

/** EdgeX's own spelling of the field: all in lower case. */
export const addProvisionWatcherRequest = baseRequest.extend({ provisionwatcher: provisionWatcher });
export const updateProvisionWatcherRequest = baseRequest.extend({ provisionwatcher: updateProvisionWatcher });

export const provisionWatcherResponseSchema = baseResponseSchema.extend({ provisionWatcher });
export const multiProvisionWatchersResponseSchema = baseResponseSchema.extend({
  totalCount: z.int(),
  provisionWatchers: z.array(provisionWatcher),
});
