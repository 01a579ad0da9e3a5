import { z } from 'zod';
import { baseRequest, baseResponseSchema } from './base.ts';
import { autoEvent } from './device.ts';
import { eitherIdOrName, ID_OR_NAME } from './device-service.ts';
import { adminState, anyMap, labels, name, optional, uuidOrEmpty } from './fields.ts';

const identifiers = z
  .record(z.string().min(1), z.string().min(1, 'is required'))
  .refine((map) => Object.keys(map).length > 0, 'should greater than 0');

/** Empty while the profile is not known; not blank. */
const laterProfile = z
  .string()
  .refine((text) => text === '' || text.trim() !== '', 'should not be empty string');

const discoveredDevice = z.object({
  profileName: optional(laterProfile),
  adminState,
  autoEvents: optional(z.array(autoEvent)),
  properties: optional(anyMap),
});

const updateDiscoveredDevice = z.object({
  profileName: optional(laterProfile),
  adminState: optional(adminState),
  autoEvents: optional(z.array(autoEvent)),
  properties: optional(anyMap),
});

/** What a device service watches for, to add a device by itself when it finds one. */
export const provisionWatcher = z.object({
  id: optional(uuidOrEmpty),
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
    id: optional(uuidOrEmpty),
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

/** The OpenAPI document says `provisionwatcher`, EdgeX's Go clients send `provisionWatcher`; Go reads either. */
function inEitherSpelling(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || !('provisionWatcher' in body)) return body;
  const { provisionWatcher: watcher, ...rest } = body;
  return { provisionwatcher: watcher, ...rest };
}

export const addProvisionWatcherRequest = z.preprocess(
  inEitherSpelling,
  baseRequest.extend({ provisionwatcher: provisionWatcher }),
);
export const updateProvisionWatcherRequest = z.preprocess(
  inEitherSpelling,
  baseRequest.extend({ provisionwatcher: updateProvisionWatcher }),
);

export const provisionWatcherResponseSchema = baseResponseSchema.extend({ provisionWatcher });
export const multiProvisionWatchersResponseSchema = baseResponseSchema.extend({
  totalCount: z.int(),
  provisionWatchers: z.array(provisionWatcher),
});
