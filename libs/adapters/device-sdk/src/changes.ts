import type { Log } from '@antirio/host';
import {
  stringifyJson,
  type Device,
  type DeviceProfile,
  type DeviceService,
  type ProvisionWatcher,
} from '@antirio/edgex-contracts';
import { several } from './several.ts';
import { isProfileUsed, type Cache } from './cache.ts';
import { withShared } from './shared.ts';
import type { DriverCalls } from './driver-calls.ts';
import type { Metadata } from './metadata.ts';
import type { News } from './news.ts';

/** What happens to the cache, at once and in the order that it is told; the driver is told afterwards. */
export interface Changes {
  /** The device is there, as it is given. */
  deviceIs(device: Device): void;
  deviceIsGone(name: string): void;
  profileIs(profile: DeviceProfile): void;
  profileIsGone(name: string): void;
  watcherIs(watcher: ProvisionWatcher): void;
  watcherIsGone(name: string): void;
  serviceIs(service: Pick<DeviceService, 'adminState'>): void;
  /** The device's profile, from core-metadata where the cache has none that is kept to. @throws AntirioError unavailable */
  profileOf(device: Device): Promise<DeviceProfile | undefined>;
  /** Makes the cache what core-metadata has; not to be done twice at once. False where that does not know the service any more. */
  refresh(): Promise<boolean>;
}

interface Ports {
  readonly cache: Cache;
  readonly metadata: Metadata;
  readonly calls: Pick<DriverCalls, 'forget'>;
  readonly news: () => News;
  readonly serviceName: string;
  readonly log: Log;
  /** Told of each device that came, changed (also by its profile, or by the service's state) or went (undefined). */
  readonly onDevice: (name: string, device: Device | undefined) => void;
}

const PROFILES_AT_ONCE = 8;
const same = (one: unknown, other: unknown): boolean => stringifyJson(one) === stringifyJson(other);

/** The cache's profiles. Core-metadata tells of a profile's changes only while a device uses it, so that one which none uses is forgotten. */
interface Profiles {
  put(profile: DeviceProfile): void;
  get(name: string): Promise<DeviceProfile | undefined>;
  fetch(name: string): Promise<void>;
  forgetUnused(name: string | undefined): void;
}

function createProfiles(
  { cache, metadata }: Pick<Ports, 'cache' | 'metadata'>,
  onProfile: (name: string) => void,
): Profiles {
  const fetching = new Map<string, Promise<void>>();
  const put = (profile: DeviceProfile): void => {
    const { name } = profile;
    const old = cache.profiles.get(name);
    if (old !== undefined && same(old, profile)) return;
    cache.profiles.set(name, profile);
    onProfile(name);
  };
  const fetch = (name: string): Promise<void> => {
    const begin = async (): Promise<void> => {
      const before = cache.profiles.get(name);
      const profile = await metadata.profile(name);
      // what came meanwhile by a message is no older
      if (cache.profiles.get(name) !== before) return;
      if (profile === undefined) cache.profiles.delete(name);
      else put(profile);
    };
    const mine = fetching.get(name) ?? begin().finally(() => fetching.delete(name));
    fetching.set(name, mine);
    return mine;
  };
  return {
    put,
    fetch,
    async get(name) {
      if (name !== '' && !cache.profiles.has(name)) await fetch(name);
      return cache.profiles.get(name);
    },
    forgetUnused(name = '') {
      if (!isProfileUsed(cache, name)) cache.profiles.delete(name);
    },
  };
}

export function createChanges(ports: Ports): Changes {
  const { cache, calls, log, metadata, news, onDevice, serviceName } = ports;
  /** What messages told of while core-metadata was read: what was read may be older. */
  let touched: Set<string> | undefined;

  const usersOf = (profileName: string): Device[] =>
    [...cache.devices.values()].filter((device) => device.profileName === profileName);
  const profiles = createProfiles(ports, (name) => {
    for (const device of usersOf(name)) {
      news().of(device.name);
      onDevice(device.name, device);
    }
  });
  const removeDevice = (name: string): void => {
    const device = cache.devices.get(name);
    if (device === undefined) return;
    cache.devices.delete(name);
    cache.known.delete(name);
    cache.lastConnected.delete(name);
    calls.forget(name);
    profiles.forgetUnused(device.profileName);
    onDevice(name, undefined);
    news().isGone(name);
  };
  /** The one that came last: of a fleet each is much like the one before. */
  let model: Device | undefined;
  const putDevice = (given: Device): void => {
    const device = withShared(given, model);
    model = device;
    const { name } = device;
    if (device.serviceName !== serviceName) {
      removeDevice(name);
      return;
    }
    const old = cache.devices.get(name);
    if (old === undefined || !same(old, device)) {
      cache.devices.set(name, device);
      if (old !== undefined && old.profileName !== device.profileName) profiles.forgetUnused(old.profileName);
      onDevice(name, device);
    }
    news().of(name);
  };
  const putService = ({ adminState }: Pick<DeviceService, 'adminState'>): void => {
    if (cache.adminState === adminState) return;
    cache.adminState = adminState;
    log.info({ adminState }, 'the service is');
    for (const device of cache.devices.values()) onDevice(device.name, device);
  };
  const putWatcher = (watcher: ProvisionWatcher): void => {
    if (watcher.serviceName === serviceName) cache.watchers.set(watcher.name, watcher);
    else cache.watchers.delete(watcher.name);
  };
  const putDevices = (devices: readonly Device[], told: ReadonlySet<string>): void => {
    const there = new Set(devices.map(({ name }) => name));
    const isOld = (name: string): boolean => told.has(`device ${name}`);
    for (const name of [...cache.devices.keys()]) if (!there.has(name) && !isOld(name)) removeDevice(name);
    for (const device of devices) if (!isOld(device.name)) putDevice(device);
  };
  const putWatchers = (watchers: readonly ProvisionWatcher[], told: ReadonlySet<string>): void => {
    const there = new Set(watchers.map(({ name }) => name));
    const isOld = (name: string): boolean => told.has(`watcher ${name}`);
    for (const name of [...cache.watchers.keys()])
      if (!there.has(name) && !isOld(name)) cache.watchers.delete(name);
    for (const watcher of watchers) if (!isOld(watcher.name)) putWatcher(watcher);
  };
  const readAll = async (told: ReadonlySet<string>): Promise<boolean> => {
    const service = await metadata.service(serviceName);
    if (service === undefined) return false;
    const [devices, watchers] = await Promise.all([
      metadata.devices(serviceName),
      metadata.watchers(serviceName),
    ]);
    if (!told.has('service')) putService(service);
    const used = new Set(devices.map(({ profileName = '' }) => profileName));
    used.delete('');
    await several([...used], PROFILES_AT_ONCE, (name) => profiles.fetch(name));
    putDevices(devices, told);
    putWatchers(watchers, told);
    const inUse = new Set([...cache.devices.values()].map(({ profileName }) => profileName));
    for (const name of cache.profiles.keys()) if (!inUse.has(name)) cache.profiles.delete(name);
    return true;
  };
  return {
    deviceIs(device) {
      touched?.add(`device ${device.name}`);
      putDevice(device);
    },
    deviceIsGone(name) {
      touched?.add(`device ${name}`);
      removeDevice(name);
    },
    profileIs(profile) {
      if (isProfileUsed(cache, profile.name)) profiles.put(profile);
    },
    profileIsGone(name) {
      if (isProfileUsed(cache, name)) log.warn({ profile: name }, 'a deleted profile is still used');
      else cache.profiles.delete(name);
    },
    watcherIs(watcher) {
      touched?.add(`watcher ${watcher.name}`);
      putWatcher(watcher);
    },
    watcherIsGone(name) {
      touched?.add(`watcher ${name}`);
      cache.watchers.delete(name);
    },
    serviceIs(service) {
      touched?.add('service');
      putService(service);
    },
    profileOf: ({ profileName = '' }) => profiles.get(profileName),
    async refresh() {
      const told = new Set<string>();
      touched = told;
      try {
        return await readAll(told);
      } finally {
        touched = undefined;
      }
    },
  };
}
