import { z } from 'zod';
import { edgexServiceOptions, type OwnSettings } from '@antirio/edgex-service';
import { storeOptions } from '@antirio/store-redis';

const unit = z.strictObject({ source: z.string().default(''), values: z.array(z.string()).default([]) });

export const coreMetadataOptions = z.strictObject({
  port: z.int().min(0).max(65535).default(59881),
  bind: z.string().default('127.0.0.1'),
  /** The edge's data folder; the room keeps to `core-metadata` in it. */
  dataDir: z.string().min(1),
  ...edgexServiceOptions,
  /** Where entities are: a SQLite file of the data folder, or Redis. */
  store: storeOptions,
  /** EdgeX's MaxResultCount. */
  maxResultCount: z.int().min(1).max(100_000).default(1024),
  /** Largest request, profiles as files included. */
  maxBodyBytes: z
    .int()
    .min(1024)
    .default(8 << 20),
  /** Whether a device service is asked over the bus before a device of its is taken. */
  deviceValidation: z
    .strictObject({
      enabled: z.boolean().default(true),
      timeoutMs: z.int().min(1).default(1000),
      /** What an answer that does not come means: EdgeX refuses the device with 503. */
      whenSilent: z.enum(['accept', 'refuse']).default('accept'),
      /** A service that did not answer is not waited for again so long, unless it registers meanwhile. */
      silentForMs: z.int().min(0).default(30_000),
    })
    .prefault({}),
  /** EdgeX's ProfileChange: profiles are not changed, or not deleted (423). */
  strictProfileChanges: z.boolean().default(false),
  strictProfileDeletes: z.boolean().default(false),
  /** Units that profiles may use, shown at `/uom`; checked when `validateUnits` is on. */
  unitsOfMeasure: z
    .strictObject({ source: z.string().default(''), units: z.record(z.string(), unit).default({}) })
    .prefault({}),
  validateUnits: z.boolean().default(false),
});

export type CoreMetadataOptions = z.output<typeof coreMetadataOptions>;

/** What it takes from the environment under EdgeX's names, besides what all services take. */
export const coreMetadataEnvironment: OwnSettings = {
  integers: { 'Service/MaxResultCount': 'maxResultCount' },
  kilobytes: { 'Service/MaxRequestSize': 'maxBodyBytes' },
  texts: {
    'Writable/ProfileChange/StrictDeviceProfileChanges': 'writable.ProfileChange.StrictDeviceProfileChanges',
    'Writable/ProfileChange/StrictDeviceProfileDeletes': 'writable.ProfileChange.StrictDeviceProfileDeletes',
    'Writable/UoM/Validation': 'writable.UoM.Validation',
  },
};
