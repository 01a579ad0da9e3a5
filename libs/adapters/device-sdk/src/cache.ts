import type { Device, DeviceProfile, ProvisionWatcher } from '@antirio/edgex-contracts';

/** What core-metadata has of this service, as far as it is known here. */
export interface Cache {
  readonly devices: Map<string, Device>;
  /** Those of them that the driver was told of, which may be asked for something. */
  readonly known: Set<string>;
  readonly profiles: Map<string, DeviceProfile>;
  readonly watchers: Map<string, ProvisionWatcher>;
  /** Of the service itself. */
  adminState: 'LOCKED' | 'UNLOCKED';
  /** Wall time in ms of the last answer or value of each device. */
  readonly lastConnected: Map<string, number>;
}

export function createCache(): Cache {
  return {
    devices: new Map(),
    known: new Set(),
    profiles: new Map(),
    watchers: new Map(),
    adminState: 'UNLOCKED',
    lastConnected: new Map(),
  };
}

export function profileOf(cache: Cache, device: Device): DeviceProfile | undefined {
  const { profileName = '' } = device;
  return cache.profiles.get(profileName);
}

export function isProfileUsed(cache: Cache, profileName: string): boolean {
  return [...cache.devices.values()].some((device) => device.profileName === profileName);
}
