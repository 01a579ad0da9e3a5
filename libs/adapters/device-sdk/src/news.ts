import { describeError } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import type { Device, DeviceProfile } from '@antirio/edgex-contracts';
import type { Cache } from './cache.ts';
import type { Driver } from './driver.ts';
import type { DriverCalls } from './driver-calls.ts';
import { createLanes } from './lanes.ts';

/** Keeps the driver told of its devices: for each one callback at a time, in order, of what the device is then. No device waits for another one's. */
export interface News {
  /** The cache has something new of the device: it came, changed (also by its profile) or went. */
  of(name: string): void;
  /** The device went, though another one of its name may be there already. */
  isGone(name: string): void;
  /** When the driver knows all. */
  idle(): Promise<void>;
}

interface Ports {
  readonly cache: Cache;
  readonly driver: Driver;
  readonly calls: DriverCalls;
  readonly log: Log;
  /** Nothing is told before the driver has started. */
  readonly started: Promise<void>;
  readonly stopping: AbortSignal;
  /** The profile as core-metadata has it. @throws AntirioError unavailable */
  readonly profileOf: (device: Device) => Promise<DeviceProfile | undefined>;
  /** The driver knows the device now, which may be asked for something from now on. */
  readonly onKnown: (device: Device) => void;
  /** A device could not be followed. */
  readonly onFailure: () => void;
}

/** What the driver was told last. */
interface Told {
  device: Device | undefined;
  profile: DeviceProfile | undefined;
  isGone: boolean;
  /** There is something to look at. */
  isNew: boolean;
  telling: Promise<void> | undefined;
}

/** Callbacks that hang end each after its time: those of a thousand devices are not waited for one by one, nor called all at once. */
const CALLBACKS_AT_ONCE = 64;

export function createNews(ports: Ports): News {
  const { cache, calls, driver, log, onFailure, onKnown, profileOf, started, stopping } = ports;
  const all = new Map<string, Told>();
  const lanes = createLanes(CALLBACKS_AT_ONCE, Infinity);
  const stopped = new Promise<void>((resolve) => {
    stopping.addEventListener('abort', () => resolve(), { once: true });
  });
  const opened = Promise.race([started, stopped]);

  /** A driver that fails here is told of; the device is there nevertheless. */
  const call = async (callback: string, device: string, work: () => Promise<void> | void): Promise<void> => {
    try {
      await lanes.run(() => calls.callback(work));
    } catch (error) {
      if (!stopping.aborted)
        log.error({ device, callback, error: describeError(error) }, 'the driver failed');
    }
  };
  const known = (name: string, told: Told): void => {
    const device = cache.devices.get(name);
    if (device === undefined || told.isGone) return;
    cache.known.add(name);
    onKnown(device);
  };
  const isStill = (device: Device, { isGone }: Told): boolean =>
    !isGone && cache.devices.get(device.name) === device;
  /** Tells one thing; false where there is none. */
  const next = async (name: string, told: Told): Promise<boolean> => {
    told.isNew = false;
    const device = cache.devices.get(name);
    const was = told.device;
    if (was !== undefined && (device === undefined || told.isGone)) {
      told.device = undefined;
      told.isGone = false;
      await call('removed', name, () => driver.removed?.(was));
      return true;
    }
    told.isGone = false;
    if (device === undefined) return false;
    const profile = await profileOf(device);
    if (!isStill(device, told)) return true;
    if (was === device && told.profile === profile) return false;
    Object.assign(told, { device, profile });
    if (was === undefined) await call('added', name, () => driver.added?.(device));
    else await call('updated', name, () => driver.updated?.(device, was));
    known(name, told);
    return true;
  };
  const tellAll = async (name: string, told: Told): Promise<void> => {
    await opened;
    try {
      while (!stopping.aborted && (await next(name, told)));
    } catch (error) {
      if (stopping.aborted) return;
      log.warn({ device: name, error: describeError(error) }, 'a change could not be followed');
      onFailure();
    }
  };
  const toldOf = (name: string): Told => {
    const nothing = {
      device: undefined,
      profile: undefined,
      telling: undefined,
      isGone: false,
      isNew: false,
    };
    const told: Told = all.get(name) ?? nothing;
    all.set(name, told);
    return told;
  };
  const of = (name: string): void => {
    const told = toldOf(name);
    told.isNew = true;
    told.telling ??= tellAll(name, told).finally(() => {
      told.telling = undefined;
      if (told.isNew && !stopping.aborted) of(name);
      else if (told.device === undefined && !cache.devices.has(name)) all.delete(name);
    });
  };
  return {
    of,
    isGone(name) {
      toldOf(name).isGone = true;
      of(name);
    },
    async idle() {
      await Promise.all([...all.values()].map(({ telling }) => telling ?? Promise.resolve()));
    },
  };
}
