import { z } from 'zod';
import { parseDuration } from '@antirio/edgex-contracts';
import { edgexServiceOptions, type OwnSettings } from '@antirio/edgex-service';

const LONGEST_MS = 2 ** 31 - 1;

/** The name is a folder's, too, where the service has its secrets. */
const serviceName = z
  .string()
  .max(256)
  .refine((text) => !/[/\\\p{Cc}]/u.test(text) && /[^\s.]/.test(text), 'is no name of a service');

/** A duration of Go in ms; undefined where it is none, or longer than a timer of Node. */
export function durationMs(text: string): number | undefined {
  const nanos = parseDuration(text);
  return nanos === undefined || nanos < 0 || nanos / 1e6 > LONGEST_MS ? undefined : nanos / 1e6;
}

const interval = z
  .string()
  .refine((text) => durationMs(text) !== undefined, 'should be a duration such as 30s');

const discovery = z.strictObject({
  /** Whether devices are looked for: by `POST /discovery`, and by itself. */
  enabled: z.boolean().default(false),
  /** How often by itself, as a Go duration; `0s` for never. */
  interval: interval.default('0s'),
});

/** EdgeX's Device section. */
export const deviceSection = z.strictObject({
  /** Whether values are transformed as the profile's resources say. */
  dataTransform: z.boolean().default(true),
  /** The most resources that one command may have. */
  maxCmdOps: z.int().min(1).default(128),
  /** Folders with YAML and JSON files. */
  profilesDir: z.string().optional(),
  devicesDir: z.string().optional(),
  provisionWatchersDir: z.string().optional(),
  discovery: discovery.prefault({}),
  /** Whether values that a driver sends by itself are taken. */
  enableAsyncReadings: z.boolean().default(true),
  /** Values that a driver sends and that are on their way at once; who sends more waits. */
  asyncBufferSize: z.int().min(1).max(65_536).default(16),
  /** Of the service, for searching. */
  labels: z.array(z.string()).default([]),
  /** Failed requests in a row after which a device is DOWN; 0 for never. */
  allowedFails: z.int().min(0).default(0),
  /** Seconds after which a device that this service found to be DOWN is tried again; 0 for never. */
  deviceDownTimeout: z.int().min(0).max(1_000_000).default(0),
  /** What a driver may take for one request or callback; then its signal is aborted and the request has failed. */
  driverTimeoutMs: z.int().min(1).max(LONGEST_MS).default(10_000),
  /** Requests to a driver for one device that are not over, those included that it did not end when told to. */
  maxRequestsPerDevice: z.int().min(1).default(32),
});

/** Options of a device service; the names of EdgeX's configuration in camel case. */
export const deviceServiceOptions = z.strictObject({
  serviceName,
  /** Before every topic: where a service has a namespace of its own on the bus. Ends with a slash. */
  topicPrefix: z
    .string()
    .regex(/^(?:[^+#\p{Cc}]*\/)?$/u, 'should be empty or end with a slash')
    .default(''),
  port: z.int().min(0).max(65_535).default(59_999),
  bind: z.string().default('127.0.0.1'),
  /** Listens on this unix socket in place of the port. */
  socket: z.string().min(1).optional(),
  /** How core-command reaches this service; by default `http://<service.host or bind>:<port>`. */
  baseAddress: z.string().min(1).optional(),
  ...edgexServiceOptions,
  /** The service keeps its secrets in a folder of its name in it. */
  dataDir: z.string().min(1),
  device: deviceSection.prefault({}),
  /** For the driver, from EdgeX's Driver section. */
  driver: z.record(z.string(), z.string()).default({}),
  /** Sections of the service's own configuration, by name. */
  custom: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
  /** Larger events are refused, in kilobytes (EdgeX: MaxEventSize); 0 for any size. */
  maxEventSize: z.int().min(0).default(25_000),
  /** Quality of service of events on the bus: with 1 the broker has to take each. */
  eventQos: z.union([z.literal(0), z.literal(1)]).default(1),
  /** Largest request (EdgeX: MaxRequestSize). */
  maxBodyBytes: z
    .int()
    .min(1024)
    .default(1 << 20),
  /** Commands that came by the bus and are under way at once; a sixteenth of them, rounded up, for one device: further ones are refused. */
  maxBusCommands: z.int().min(1).default(64),
  /** Core-metadata is read anew this often, as system events may be lost; 0 for never. */
  refreshIntervalMs: z.int().min(0).max(LONGEST_MS).default(60_000),
});

export type DeviceServiceOptions = z.output<typeof deviceServiceOptions>;

/** What a device service takes from the environment under EdgeX's names, besides what all services take. */
export const deviceServiceEnvironment: OwnSettings = {
  texts: {
    'Device/ProfilesDir': 'device.profilesDir',
    'Device/DevicesDir': 'device.devicesDir',
    'Device/ProvisionWatchersDir': 'device.provisionWatchersDir',
    'Device/Discovery/Interval': 'device.discovery.interval',
    'Writable/Reading/ReadingUnits': 'writable.Reading.ReadingUnits',
  },
  integers: {
    'Device/MaxCmdOps': 'device.maxCmdOps',
    'Device/AsyncBufferSize': 'device.asyncBufferSize',
    'Device/AllowedFails': 'device.allowedFails',
    'Device/DeviceDownTimeout': 'device.deviceDownTimeout',
    MaxEventSize: 'maxEventSize',
  },
  flags: {
    'Device/EnableAsyncReadings': 'device.enableAsyncReadings',
    'Device/DataTransform': 'device.dataTransform',
    'Device/Discovery/Enabled': 'device.discovery.enabled',
  },
  kilobytes: { 'Service/MaxRequestSize': 'maxBodyBytes' },
  lists: { 'Device/Labels': 'device.labels' },
  sections: { Driver: 'driver' },
  without: {
    'Device/MaxCmdValueLen': 'values are as long as maxEventSize lets them be',
    'Service/MaxResultCount': 'a device service gives no lists',
  },
  metrics: ['EventsSent', 'ReadingsSent', 'ReadCommandsExecuted', 'LastConnected'],
  hasMetadata: true,
  variables: ['EDGEX_INSTANCE_NAME'],
  isDeviceService: true,
  // those of the common configuration are in images of EdgeX
  notInCommon: ['Device/ProfilesDir', 'Device/DevicesDir', 'Device/ProvisionWatchersDir'],
};
