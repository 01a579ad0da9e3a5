import { z } from 'zod';
import { baseRequest, baseResponseSchema } from './base.ts';
import { adminState, anyMap, labels, name, optional, uuidOrEmpty } from './fields.ts';

/** As Go's `url.ParseRequestURI` takes it: an absolute URI or an absolute path. */
const baseAddress = z
  .string()
  .refine(
    (text) => /^\/[!-~]*$/.test(text) || URL.canParse(text),
    "validation failed on the uri tag with value ''",
  );

const fields = {
  name,
  description: optional(z.string()),
  labels: optional(labels),
  baseAddress,
  adminState,
  properties: optional(anyMap),
};

/** A device service: where it listens, and whether its devices may be commanded. */
export const deviceService = z.object({ id: optional(uuidOrEmpty), ...fields });
export type DeviceService = z.output<typeof deviceService>;

const id = optional(uuidOrEmpty);

/** What names an entity in an update: its id, its name, or both. */
export const eitherIdOrName = (value: { id?: string | undefined; name?: string | undefined }): boolean =>
  (value.id !== undefined && value.id !== '') || value.name !== undefined;

export const ID_OR_NAME = { path: ['id'], message: 'is required if the Name is not present' };

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
