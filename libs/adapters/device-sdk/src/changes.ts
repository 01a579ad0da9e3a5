import { describeError } from '@antirio/kernel';
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
import type { Driver } from './driver.ts';
import type { DriverCalls } from './driver-calls.ts';
import type { Metadata } from './metadata.ts';

/** What happens to the cache, and who is told. Not to be done twice at once. */
export interface Changes {
  /** The device is there, as it is given. @throws AntirioError unavailable where its profile cannot be had */
  deviceIs(device: Device): Promise<void>;
  deviceIsGone(name: string): Promise<void>;
  profileIs(profile: DeviceProfile): Promise<void>;
  profileIsGone(name: string): void;
  watcherIs(watcher: ProvisionWatcher): void;
  watcherIsGone(name: string): void;
  serviceIs(service: Pick<DeviceService, 'adminState'>): void;
  /** Makes the cache what core-metadata has. False where that does not know the service any more. */
  refresh(): Promise<boolean>;
}

interface Ports {
  readonly cache: Cache;
  readonly metadata: Metadata;
  readonly driver: Driver;
  readonly calls: DriverCalls;
  readonly serviceName: string;
  readonly log: Log;
  /** Told of each device that came, changed (also by its profile, or by the service's state) or went (undefined). */
  readonly onDevice: (name: string, device: Device | undefined) => void;
}

const PROFILES_AT_ONCE = 8;
/** Callbacks that hang end each after its time: those of a thousand devices are not waited for one by one. */
const CALLBACKS_AT_ONCE = 64;
const same = (one: unknown, other: unknown): boolean => stringifyJson(one) === stringifyJson(other);

export function createChanges(ports: Ports): Changes {
  const { cache, calls, driver, log, metadata, onDevice, serviceName } = ports;

  /** A driver that fails here is told of; the device is there nevertheless. */
  const tell = async (what: string, name: string, work: () => Promise<void> | void): Promise<void> => {
    try {
      await calls.callback(work);
    } catch (error) {
      log.error({ device: name, callback: what, error: describeError(error) }, 'the driver failed');
    }
  };
  const fetchProfile = async (name: string | undefined): Promise<void> => {
    if (name === undefined || name === '') return;
    const profile = await metadata.profile(name);
    if (profile === undefined) cache.profiles.delete(name);
    else await profileIs(profile);
  };
  const deviceIs = async (device: Device): Promise<void> => {
    if (device.serviceName !== serviceName) {
      await deviceIsGone(device.name);
      return;
    }
    const { name, profileName = '' } = device;
    if (!cache.profiles.has(profileName)) await fetchProfile(profileName);
    const old = cache.devices.get(name);
    if (old !== undefined && same(old, device)) return;
    cache.devices.set(name, device);
    if (old === undefined) await tell('added', name, () => driver.added?.(device));
    else await tell('updated', name, () => driver.updated?.(device, old));
    onDevice(name, device);
  };
  const deviceIsGone = async (name: string): Promise<void> => {
    const device = cache.devices.get(name);
    if (device === undefined) return;
    cache.devices.delete(name);
    calls.forget(name);
    cache.lastConnected.delete(name);
    onDevice(name, undefined);
    await tell('removed', name, () => driver.removed?.(device));
    if (!isProfileUsed(cache, device.profileName ?? '')) cache.profiles.delete(device.profileName ?? '');
  };
  const profileIs = async (profile: DeviceProfile): Promise<void> => {
    const old = cache.profiles.get(profile.name);
    if (old !== undefined && same(old, profile)) return;
    cache.profiles.set(profile.name, profile);
    const users = [...cache.devices.values()].filter(({ profileName }) => profileName === profile.name);
    await several(users, CALLBACKS_AT_ONCE, async (device) => {
      if (old !== undefined) await tell('updated', device.name, () => driver.updated?.(device, device));
      onDevice(device.name, device);
    });
  };
  const serviceIs = ({ adminState }: Pick<DeviceService, 'adminState'>): void => {
    if (cache.adminState === adminState) return;
    cache.adminState = adminState;
    log.info({ adminState }, 'the service is');
    for (const device of cache.devices.values()) onDevice(device.name, device);
  };
  return {
    deviceIs,
    deviceIsGone,
    profileIs,
    profileIsGone(name) {
      if (isProfileUsed(cache, name)) log.warn({ profile: name }, 'a deleted profile is still used');
      else cache.profiles.delete(name);
    },
    watcherIs(watcher) {
      if (watcher.serviceName === serviceName) cache.watchers.set(watcher.name, watcher);
      else cache.watchers.delete(watcher.name);
    },
    watcherIsGone: (name) => void cache.watchers.delete(name),
    serviceIs,
    async refresh() {
      const service = await metadata.service(serviceName);
      if (service === undefined) return false;
      const [devices, watchers] = await Promise.all([
        metadata.devices(serviceName),
        metadata.watchers(serviceName),
      ]);
      serviceIs(service);
      const profiles = [...new Set(devices.map(({ profileName = '' }) => profileName))];
      await several(profiles, PROFILES_AT_ONCE, fetchProfile);
      const there = new Set(devices.map(({ name }) => name));
      const gone = [...cache.devices.keys()].filter((name) => !there.has(name));
      await several(gone, CALLBACKS_AT_ONCE, deviceIsGone);
      await several(devices, CALLBACKS_AT_ONCE, deviceIs);
      cache.watchers.clear();
      for (const watcher of watchers) cache.watchers.set(watcher.name, watcher);
      return true;
    },
  };
}
