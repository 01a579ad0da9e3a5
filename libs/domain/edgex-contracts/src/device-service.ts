import { z } from 'zod';
import { baseRequest, baseResponseSchema } from './base.ts';
import { adminState, anyMap, labels, name, optional, uuid } from './fields.ts';

const baseAddress = z.string().refine((text) => URL.canParse(text), 'should be an absolute URI');

const fields = {
  name,
  description: optional(z.string()),
  labels: optional(labels),
  baseAddress,
  adminState,
  properties: optional(anyMap),
};

/** A device service: where it listens, and whether its devices may be commanded. */
export const deviceService = z.object({ id: optional(z.union([z.literal(''), uuid])), ...fields });
export type DeviceService = z.output<typeof deviceService>;

const id = optional(z.union([z.literal(''), uuid]));

/** What names an entity in an update: its id, its name, or both. */
export const eitherIdOrName = (value: { id?: string | undefined; name?: string | undefined }): boolean =>
  (value.id !== undefined && value.id !== '') || value.name !== undefined;

export const ID_OR_NAME = 'id field is required if the name is not present';

export const updateDeviceService = z
  .object({
    id,
    name: optional(name),
    description: optional(z.string()),
    labels: optional(labels),
    baseAddress: optional(baseAddress),
    adminState: optional(adminState),
    properties: optional(anyMap),
  })
  .refine(eitherIdOrName, ID_OR_NAME);
export type UpdateDeviceService = z.output<typeof updateDeviceService>;

export const addDeviceServiceRequest = baseRequest.extend({ service: deviceService });
export const updateDeviceServiceRequest = baseRequest.extend({ service: updateDeviceService });

export const deviceServiceResponseSchema = baseResponseSchema.extend({ service: deviceService });
export const multiDeviceServicesResponseSchema = baseResponseSchema.extend({
  totalCount: z.int(),
  services: z.array(deviceService),
});
