import { z } from 'zod';
import { edgexServiceOptions, type OwnSettings } from '@antirio/edgex-service';
import { duration } from '@antirio/edgex-contracts';
import { storeOptions } from '@antirio/store-redis';
import { forwardingRule, ruleName } from './forwarding/rules.ts';

/** EdgeX's Retention: what goes of the events of a device's auto event. */
const retention = z.strictObject({
  /** How often it is looked for events that are to go; `0s` for never. */
  interval: duration.default('10m'),
  /** Of one source: below so many events nothing goes. -1: whatever their number. */
  defaultMaxCap: z.int().default(-1),
  /** So many stay, however old they are. -1: none has to. */
  defaultMinCap: z.int().default(1),
  /** Older ones go; `0s`: their age does not matter, their number does. */
  defaultDuration: duration.default('168h'),
  /** EdgeX 4.0 looks at auto events only, later versions at every source of events. */
  appliesTo: z.enum(['autoEvents', 'everything']).default('autoEvents'),
  /**
   * What may go, here and by `bounds`. `unawaited`: all but what a rule of forwarding still has to send. `storedElsewhere`: only what the
   * receiver of such a rule has taken.
   */
  deletes: z.enum(['unawaited', 'storedElsewhere']).default('unawaited'),
  /** What the store holds at most: of what is over it the oldest go, in the order of their arrival. 0: there is no such bound. */
  bounds: z
    .strictObject({
      /** How often it is looked for what is over them. */
      interval: duration.default('30s'),
      /** So long after it arrived; the time that core-data runs counts, whatever the clocks say. */
      maxAge: duration.default('0s'),
      maxEvents: z.int().min(0).default(0),
      /** Of the file, without what can be used again in it (its log takes up to 48 MiB besides); in Redis of its memory, as far as that tells. */
      maxBytes: z.int().min(0).default(0),
    })
    .prefault({}),
  /**
   * What one customer's contract without sensors holds here at most until it has come home: of what is over it the oldest go. It counts for
   * none of `bounds`. 0: there is no such limit.
   */
  holds: z
    .strictObject({
      maxEvents: z.int().min(0).default(100_000),
      /** As far as that can be told. */
      maxBytes: z
        .int()
        .min(0)
        .default(256 << 20),
    })
    .prefault({}),
});

export type RetentionOptions = z.output<typeof retention>;

export const coreDataOptions = z.strictObject({
  port: z.int().min(0).max(65535).default(59880),
  bind: z.string().default('127.0.0.1'),
  /** The edge's data folder; the room keeps to `core-data` in it. */
  dataDir: z.string().min(1),
  ...edgexServiceOptions,
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
  /** False: events are published again but not stored (EdgeX: PersistData). */
  persistData: z.boolean().default(true),
  /** Where events are: a SQLite file of the data folder, or Redis. */
  store: storeOptions,
  retention: retention.prefault({}),
  /** Where this edge forwards its own events to, by name; a login is in a file of mode 0600: `{username, password}`. */
  forwarding: z
    .record(ruleName, z.strictObject({ rule: forwardingRule, loginFile: z.string().min(1).optional() }))
    .default({}),
  /**
   * Hosts in networks that are not public, or this one, which rules of others (contracts) may forward to all the same: `host` or
   * `host:port`, as URLs have them.
   */
  forwardingHosts: z
    .array(
      z
        .string()
        .max(260)
        .regex(
          /^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/,
          'host or host:port, in lower case, IPv6 in brackets',
        ),
    )
    .max(64)
    .default([]),
});

export type CoreDataOptions = z.output<typeof coreDataOptions>;

/** What it takes from the environment under EdgeX's names, besides what all services take. */
export const coreDataEnvironment: OwnSettings = {
  integers: {
    'Service/MaxResultCount': 'maxResultCount',
    'Retention/DefaultMaxCap': 'retention.defaultMaxCap',
    'Retention/DefaultMinCap': 'retention.defaultMinCap',
  },
  kilobytes: { MaxEventSize: 'maxEventBytes' },
  texts: {
    'Writable/PersistData': 'writable.PersistData',
    'Writable/EventPurge': 'writable.EventPurge',
    'Retention/Interval': 'retention.interval',
    'Retention/DefaultDuration': 'retention.defaultDuration',
  },
  metrics: ['EventsPersisted', 'ReadingsPersisted'],
  hasMetadata: true,
};
