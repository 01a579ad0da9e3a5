import type { DevEui } from '@antirio/lorawan';
import type { DeviceOptions } from './options.ts';

/** The devices that are configured, as they are looked for. */
interface Directory {
  readonly byName: ReadonlyMap<string, DeviceOptions>;
  readonly byEui: ReadonlyMap<DevEui, DeviceOptions>;
}

const directories = new WeakMap<readonly DeviceOptions[], Directory>();

/** One for all who ask for the same devices: each map of ten thousand is half a megabyte. */
export function directoryOf(devices: readonly DeviceOptions[]): Directory {
  const directory = directories.get(devices) ?? {
    byName: new Map(devices.map((device) => [device.name, device])),
    byEui: new Map(devices.map((device) => [device.devEui, device])),
  };
  directories.set(devices, directory);
  return directory;
}
