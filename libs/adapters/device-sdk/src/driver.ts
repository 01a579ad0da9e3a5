import type { z } from 'zod';
import type { Clock, Random } from '@antirio/kernel';
import type { CommandValue, ReadRequest, WriteRequest } from '@antirio/device-values';
import type { Bus, Health, HttpPeer, HttpRim, Log, RimAccess } from '@antirio/host';
import type {
  autoEvent,
  Device,
  device,
  DeviceCommand,
  DeviceProfile,
  deviceProfile,
  DeviceResource,
  Event,
  ProvisionWatcher,
  provisionWatcher,
} from '@antirio/edgex-contracts';
import type { DevicePatch, ProvisionWatcherPatch } from './metadata.ts';

/** A device of this service; UNLOCKED and UP unless it says otherwise. */
export type NewDevice = Omit<z.input<typeof device>, 'serviceName' | 'adminState' | 'operatingState'> &
  Partial<Pick<Device, 'adminState' | 'operatingState'>>;
export type NewProfile = z.input<typeof deviceProfile>;
export type NewProvisionWatcher = Omit<z.input<typeof provisionWatcher>, 'serviceName'>;

/** What a service brings along in code, besides what is in its folders. */
export interface NewProvision {
  readonly profiles?: readonly NewProfile[];
  readonly devices?: readonly NewDevice[];
  readonly provisionWatchers?: readonly NewProvisionWatcher[];
}

/** A device that was found; a provision watcher decides whether it is taken. */
export interface DiscoveredDevice {
  readonly name: string;
  readonly protocols: Device['protocols'];
  readonly description?: string | undefined;
  readonly labels?: readonly string[] | undefined;
}

export interface ProfileScanRequest {
  readonly requestId: string;
  readonly deviceName: string;
  /** What the profile is to be called. */
  readonly profileName: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Values that the driver has by itself, without being asked. */
export interface AsyncValues {
  readonly deviceName: string;
  /** The resource or command that they are of; needed where there are several values. */
  readonly sourceName?: string | undefined;
  readonly values: readonly CommandValue[];
}

/**
 * What knows a protocol. `read` and `write` are all it needs; what it throws is the failure of that request alone. Each `signal` is aborted when the time
 * for the request is over (`device.driverTimeoutMs`), and nobody waits for it any more then.
 */
export interface Driver {
  /** The values of the resources; fewer than were asked for where the device has no more. */
  read(
    device: Device,
    requests: readonly ReadRequest[],
    signal: AbortSignal,
  ): Promise<readonly CommandValue[]>;
  write(device: Device, requests: readonly WriteRequest[], signal: AbortSignal): Promise<void>;
  /** Once, when core-metadata knows the service and its profiles, and before any other call but `validate` of devices that it adds; a failure fails the service's start, and is tried again. */
  start?(sdk: DeviceSdk): Promise<void> | void;
  /** At the end; with `force` there is no time to lose. */
  stop?(force: boolean): Promise<void> | void;
  /** For every device that the service comes to have, those that it has at its start too, before anything else is asked of that device. */
  added?(device: Device): Promise<void> | void;
  /** The device, or its profile, has changed. */
  updated?(device: Device, old: Device): Promise<void> | void;
  removed?(device: Device): Promise<void> | void;
  /** Whether the device's protocol properties are right. @throws AntirioError invalidInput */
  validate?(device: Device): Promise<void> | void;
  /** Looks for devices; ends early when the signal is aborted. */
  discover?(signal: AbortSignal): Promise<readonly DiscoveredDevice[]>;
  /** Makes a profile of what a device says of itself. */
  profileScan?(request: ProfileScanRequest, signal: AbortSignal): Promise<DeviceProfile>;
}

/** What a driver may ask of its service. */
export interface DeviceSdk {
  readonly serviceName: string;
  readonly log: Log;
  /** From the options: what the service was told of the protocol. */
  readonly config: Readonly<Record<string, string>>;
  /** A section of the service's own configuration, as it was at the start; what came by core-keeper or the environment is text. @throws AntirioError notFound */
  customConfig(section: string): Readonly<Record<string, unknown>>;
  /** Calls back whenever core-keeper has another value of `Driver`, of a section of the service's own, or of a part of one (`Mine/Writable`): with all of it, as it is then. */
  followConfig(section: string, changed: (values: Readonly<Record<string, unknown>>) => void): void;
  devices(): readonly Device[];
  device(name: string): Device | undefined;
  /** Those that the service's devices have. */
  profiles(): readonly DeviceProfile[];
  profile(name: string): DeviceProfile | undefined;
  /** A resource of the device's profile. */
  deviceResource(deviceName: string, resourceName: string): DeviceResource | undefined;
  /** A command of the device's profile. */
  deviceCommand(deviceName: string, commandName: string): DeviceCommand | undefined;
  provisionWatchers(): readonly ProvisionWatcher[];
  provisionWatcher(name: string): ProvisionWatcher | undefined;
  /** Wall time of the last answer or value of a device, in ms; undefined before the first. */
  lastConnected(name: string): number | undefined;
  /**
   * Sends values as an event. Resolves when the event is sent; while `device.asyncBufferSize` of them are on their way, further ones wait.
   * @throws AntirioError forbidden without EnableAsyncReadings; busy when too many wait; notFound where device or resource are unknown; invalidInput; tooLarge; unavailable without a bus
   */
  send(values: AsyncValues): Promise<void>;
  /** Gives the id. @throws AntirioError conflict where the name is taken; unavailable */
  addDevice(device: NewDevice): Promise<string>;
  /** Changes the fields that are given. @throws AntirioError notFound | unavailable */
  updateDevice(device: DevicePatch): Promise<void>;
  removeDevice(name: string): Promise<void>;
  setOperatingState(name: string, state: Device['operatingState']): Promise<void>;
  /** Keeps the auto event in core-metadata, in place of the one with the same source. */
  addAutoEvent(deviceName: string, added: z.input<typeof autoEvent>): Promise<void>;
  removeAutoEvent(deviceName: string, sourceName: string): Promise<void>;
  /** Gives the id. @throws AntirioError conflict where the name is taken; unavailable */
  addProfile(profile: NewProfile): Promise<string>;
  /** Puts the profile in place of the one of its name. @throws AntirioError notFound; locked where core-metadata is strict; unavailable */
  updateProfile(profile: NewProfile): Promise<void>;
  /** @throws AntirioError notFound; conflict while devices have it; unavailable */
  removeProfile(name: string): Promise<void>;
  addProvisionWatcher(watcher: NewProvisionWatcher): Promise<string>;
  /** Changes the fields that are given. @throws AntirioError notFound | unavailable */
  updateProvisionWatcher(watcher: ProvisionWatcherPatch): Promise<void>;
  removeProvisionWatcher(name: string): Promise<void>;
  /** Devices found while none were looked for, or before the search is over. Resolves when the watchers have had their say. */
  discovered(devices: readonly DiscoveredDevice[]): Promise<void>;
  /** Tells those who wait for a discovery how far it is, in percent. */
  discoveryProgress(percent: number, found: number, message?: string): void;
  profileScanProgress(requestId: string, percent: number, message?: string): void;
  /** A system event of the service's own: `edgex/system-events/<service>/<type>/<action>/<service>`. Resolves when the bus has it. @throws AntirioError unavailable */
  publishSystemEvent(type: string, action: string, details: unknown): Promise<void>;
  /** A secret of this service: from its file, else from `Writable.InsecureSecrets`. */
  secret(name: string): Readonly<Record<string, string>> | undefined;
  /** Calls back whenever the secret of this name has become another one; with undefined where it is there no more. */
  onSecretChange(name: string, changed: (data: Readonly<Record<string, string>> | undefined) => void): void;
  /** A counter of the driver's own, by its name in the telemetry and, in snake case, at `/metrics`. */
  countAs(name: string): (by?: number) => void;
}

/** Takes an event; resolves when it needs to be kept no longer. */
export type EventSink = (event: Event, correlationID: string) => Promise<void>;

export interface DeviceServicePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  readonly bus: Bus;
  /** `core-metadata` (or `coreMetadata`); `core-keeper` where there is one. */
  readonly peers: Readonly<Record<string, HttpPeer>>;
  /** Core-metadata gets these where it has none of the name. */
  /** A function is asked whenever it is needed: then nothing of a large fleet is kept here. */
  readonly provision?: NewProvision | (() => NewProvision) | undefined;
  /** A rim to share, which listens by itself, in place of one of the service's own: the room's common resources are that rim's. */
  readonly front?: { readonly rim: HttpRim; readonly baseAddress: () => string } | undefined;
  /** What the environment says of a section of EdgeX's configuration: that stays, whatever core-keeper has. */
  readonly fromEnvironment?: ((section: string) => Readonly<Record<string, unknown>>) | undefined;
  /** Takes the events in place of the bus. */
  readonly eventSink?: EventSink | undefined;
  /** What the service's own parts have to tell, besides what every device service does. */
  readonly health?: (() => Health) | undefined;
}
