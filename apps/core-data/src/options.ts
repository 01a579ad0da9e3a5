import { z } from 'zod';

export const coreDataOptions = z.strictObject({
  port: z.int().min(0).max(65535).default(59880),
  bind: z.string().default('127.0.0.1'),
  /** The edge's data folder; the room keeps to `core-data` in it. */
  dataDir: z.string().min(1),
  /** Largest request or message with an event (EdgeX: MaxEventSize, 25000 KB). */
  maxEventBytes: z
    .int()
    .min(1024)
    .default(25_000 * 1024),
  /** EdgeX's MaxResultCount. */
  maxResultCount: z.int().min(1).max(100_000).default(1024),
  /** Events that may wait for their commit before further ones are refused. */
  maxPendingEvents: z.int().min(1).default(20_000),
  /** Bytes of bodies that may wait for their commit. */
  maxPendingBytes: z
    .int()
    .min(1024)
    .default(64 << 20),
  /** Events in one transaction at most. */
  maxBatch: z.int().min(1).default(1000),
  /** Whether a device's events go when core-metadata tells that the device is gone (EdgeX: EventPurge). */
  eventPurge: z.boolean().default(false),
});

export type CoreDataOptions = z.output<typeof coreDataOptions>;
