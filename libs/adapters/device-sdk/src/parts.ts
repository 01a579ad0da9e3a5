import type { EdgexService } from '@antirio/edgex-service';
import type { HttpPeer } from '@antirio/host';
import type { Device } from '@antirio/edgex-contracts';
import { AntirioError } from '@antirio/kernel';
import { autoEventRuns } from './auto-event-run.ts';
import { createAutoEvents, type AutoEvents } from './auto-events.ts';
import { createCache, profileOf, type Cache } from './cache.ts';
import { createChanges, type Changes } from './changes.ts';
import { createCommands, type Commands } from './commands.ts';
import { createDiscovery, type Discovery } from './discovery.ts';
import { createDriverCalls, type DriverCalls } from './driver-calls.ts';
import type { DeviceSdk, DeviceServicePorts, Driver } from './driver.ts';
import { createEvents, type Events } from './events.ts';
import { createLanes, type Lanes } from './lanes.ts';
import { createMetadata, type Metadata } from './metadata.ts';
import { createOperatingStates, type OperatingStates } from './operating-state.ts';
import type { DeviceServiceOptions } from './options.ts';
import { createProfileScans, type ProfileScans } from './profile-scan.ts';
import { createProgress } from './progress.ts';
import { createNews, type News } from './news.ts';
import type { Provision } from './provision-files.ts';
import { createDeviceSdk, patchDevice } from './sdk.ts';
import { createTurns, type Turns } from './turns.ts';

/** All that a device service is made of. */
export interface Parts {
  readonly metadata: Metadata;
  readonly cache: Cache;
  readonly changes: Changes;
  readonly news: News;
  /** For what reads all of core-metadata. */
  readonly turns: Turns;
  readonly calls: DriverCalls;
  readonly commands: Commands;
  readonly events: Events;
  /** For what the driver sends by itself. */
  readonly lanes: Lanes;
  readonly autoEvents: AutoEvents;
  readonly states: OperatingStates;
  readonly discovery: Discovery;
  readonly scans: ProfileScans;
  /** @throws AntirioError unavailable before the service is registered */
  readonly checkOpen: () => void;
  readonly sdk: DeviceSdk;
}

export interface PartsPorts {
  readonly options: DeviceServiceOptions;
  readonly driver: Driver;
  readonly ports: DeviceServicePorts;
  readonly provision: Provision;
  readonly metadata: HttpPeer;
  readonly baseAddress: () => string;
  readonly secret: DeviceSdk['secret'];
  readonly onSecretChange: DeviceSdk['onSecretChange'];
  readonly followSection: EdgexService['followSection'];
  readonly countAs: DeviceSdk['countAs'];
  /** What may change while the service runs. */
  readonly settings: { readingUnits: boolean };
  /** When the driver has started. */
  readonly started: Promise<void>;
  /** Aborted when the service stops, and some time later. */
  readonly hurry: AbortSignal;
  /** Aborted when the service stops. */
  readonly stopping: AbortSignal;
  /** Whether core-metadata has the service with all that it brings. */
  readonly isRegistered: () => boolean;
  /** The cache lacks something that core-metadata has. */
  readonly refreshSoon: () => void;
}

/** For each sending under way so many may wait: a driver that does not heed the promises it is given is not kept in memory. */
const WAITING_FACTOR = 64;

const mayRun =
  (cache: Cache, isRegistered: () => boolean) =>
  (device: Device): boolean =>
    isRegistered() &&
    cache.adminState === 'UNLOCKED' &&
    device.adminState === 'UNLOCKED' &&
    device.operatingState !== 'DOWN' &&
    cache.known.has(device.name) &&
    profileOf(cache, device) !== undefined;

type Core = Pick<Parts, 'metadata' | 'cache' | 'turns' | 'calls' | 'events' | 'commands' | 'checkOpen'> & {
  readonly onAnswer: (deviceName: string) => void;
};

function createCore(given: PartsPorts, states: () => OperatingStates): Core {
  const { options, driver, ports, hurry, isRegistered, settings, stopping } = given;
  const { clock, log, random } = ports;
  const { driverTimeoutMs, maxRequestsPerDevice, maxCmdOps, dataTransform } = options.device;
  const cache = createCache();
  const metadata = createMetadata({ peer: given.metadata, random, log, signal: stopping });
  const calls = createDriverCalls({ timeoutMs: driverTimeoutMs, maxPerDevice: maxRequestsPerDevice });
  const turns = createTurns();
  const events = createEvents({
    ...{ ...options, ...ports, dataTransform, hurry, settings },
    onAssertion: (name) => states().isDown(name),
  });
  const onAnswer = (name: string): void => {
    if (cache.devices.has(name)) cache.lastConnected.set(name, clock.now());
  };
  const checkOpen = (): void => {
    if (!isRegistered())
      throw new AntirioError(
        'unavailable',
        `${options.serviceName} is not registered with core-metadata yet`,
      );
  };
  const commands = createCommands({
    ...{ cache, driver, calls, events, log, maxCmdOps, onAnswer, checkOpen, states },
  });
  return { metadata, cache, turns, calls, events, commands, checkOpen, onAnswer };
}

type Followers = Pick<Parts, 'autoEvents' | 'changes' | 'news' | 'states'>;

/** What keeps to the devices as core-metadata has them. */
function createFollowers(given: PartsPorts, core: Core, states: () => OperatingStates): Followers {
  const { options, ports } = given;
  const { clock, log, random } = ports;
  const { allowedFails, asyncBufferSize, deviceDownTimeout } = options.device;
  const { cache, commands } = core;
  const lanes = createLanes(asyncBufferSize, Infinity);
  const begin = autoEventRuns({ ...core, random, lanes });
  const autoEvents = createAutoEvents({ clock, log, mayRun: mayRun(cache, given.isRegistered), begin });
  const onDevice = (name: string, device: Device | undefined): void => {
    states().changed(name);
    autoEvents.follow(name, device);
  };
  const changes = createChanges({
    ...{ ...core, log, onDevice, serviceName: options.serviceName },
    news: () => news,
  });
  const news: News = createNews({
    ...{ ...given, ...core, log },
    profileOf: (device) => changes.profileOf(device),
    onKnown: (device) => onDevice(device.name, device),
    onFailure: given.refreshSoon,
  });
  const settings = { allowedFails, retryMs: deviceDownTimeout * 1000 };
  const made = createOperatingStates(settings, {
    device: (name) => cache.devices.get(name),
    setState: (name, operatingState) => patchDevice({ ...core, changes }, { name, operatingState }),
    probe: (name) => commands.probe(name),
    log,
  });
  return { autoEvents, changes, news, states: made };
}

export function createParts(given: PartsPorts): Parts {
  const { options, driver, ports, refreshSoon } = given;
  const { serviceName, device: settings } = options;
  const core = createCore(given, () => followers.states);
  const followers: Followers = createFollowers(given, core, () => followers.states);
  const progress = createProgress({ ...ports, serviceName });
  const { stopping } = given;
  const searching = { ...ports, ...core, driver, progress, serviceName, stopping };
  const discovery = createDiscovery({ ...searching, onAdded: refreshSoon });
  const scans = createProfileScans({ ...searching, onDone: refreshSoon });
  const lanes = createLanes(settings.asyncBufferSize, settings.asyncBufferSize * WAITING_FACTOR);
  const { secret, onSecretChange, countAs, followSection } = given;
  const sdk = createDeviceSdk({
    ...{
      ...ports,
      ...core,
      ...followers,
      discovery,
      progress,
      lanes,
      secret,
      onSecretChange,
      followSection,
      countAs,
      refreshSoon,
      serviceName,
    },
    config: options.driver,
    custom: options.custom,
    enableAsyncReadings: settings.enableAsyncReadings,
  });
  return { ...core, ...followers, discovery, scans, lanes, sdk };
}
