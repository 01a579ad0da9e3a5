import { AntirioError, describeError, uuidV4, type Random } from '@antirio/kernel';
import { repeat, type Log, type Repeating } from '@antirio/host';
import type { Device, ProvisionWatcher } from '@antirio/edgex-contracts';
import type { Cache } from './cache.ts';
import type { DiscoveredDevice, Driver } from './driver.ts';
import type { Metadata } from './metadata.ts';
import type { Progress } from './progress.ts';
import { takes } from './watcher-match.ts';

/** Looks for devices, and adds those that a provision watcher takes. */
export interface Discovery {
  /** Begins a search in the background, where none is under way. */
  begin(requestId: string): void;
  /** Ends the search under way. @throws AntirioError notImplemented; notFound where it is another one */
  end(requestId: string | undefined): void;
  /** Adds what the watchers take; nothing while the service is LOCKED. */
  consider(devices: readonly DiscoveredDevice[]): Promise<void>;
  progress(percent: number, found: number, message?: string): void;
  /** Searches again and again. */
  repeatEvery(intervalMs: number): void;
  stop(): Promise<void>;
}

interface Ports {
  readonly driver: Driver;
  readonly cache: Cache;
  readonly metadata: Metadata;
  readonly progress: Progress;
  readonly random: Random;
  readonly log: Log;
  readonly serviceName: string;
  readonly stopping: AbortSignal;
  /** Devices were added. */
  readonly onAdded: () => void;
}

/** At most so many devices of one search are considered. */
const MAX_FOUND = 100_000;

function deviceOf(
  found: DiscoveredDevice,
  { discoveredDevice }: ProvisionWatcher,
  serviceName: string,
): Device {
  const { profileName, adminState, autoEvents, properties } = discoveredDevice;
  return {
    name: found.name,
    parent: undefined,
    id: undefined,
    description: found.description,
    adminState,
    operatingState: 'UP',
    labels: found.labels === undefined ? undefined : [...found.labels],
    serviceName,
    profileName,
    autoEvents,
    protocols: found.protocols,
    tags: undefined,
    properties,
  };
}

export function createDiscovery(ports: Ports): Discovery {
  const { cache, driver, log, metadata, onAdded, progress, random, serviceName, stopping } = ports;
  let current: { readonly id: string; readonly ending: AbortController } | undefined;
  let repeating: Repeating | undefined;
  let searching: Promise<void> = Promise.resolve();

  /** Whether core-metadata has it now. */
  const add = async (found: DiscoveredDevice, watcher: ProvisionWatcher): Promise<boolean> => {
    const [outcome] = await metadata.add('device', [deviceOf(found, watcher, serviceName)]);
    if (outcome !== undefined && outcome.statusCode < 300) {
      log.info({ device: found.name, watcher: watcher.name }, 'a discovered device is added');
      return true;
    }
    if (outcome?.statusCode === 409) return true;
    log.warn({ device: found.name, watcher: watcher.name, why: outcome?.message }, 'not added');
    return false;
  };
  const isLocked = (): boolean => cache.adminState === 'LOCKED';
  /** Whether a watcher took it. What is wrong with one of the devices that were found is no concern of the others. */
  const addTaken = async (found: DiscoveredDevice): Promise<boolean> => {
    try {
      if (cache.devices.has(found.name)) return false;
      for (const watcher of cache.watchers.values())
        if (takes(watcher, found) && (await add(found, watcher))) return true;
    } catch (error) {
      log.warn({ device: found.name, error: describeError(error) }, 'a discovered device is not added');
    }
    return false;
  };
  const consider = async (devices: readonly DiscoveredDevice[]): Promise<void> => {
    let added = false;
    for (const found of devices.slice(0, MAX_FOUND)) {
      if (isLocked() || stopping.aborted) break;
      if (await addTaken(found)) added = true;
    }
    if (added) onAdded();
  };
  const ended = (signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  const search = async (id: string): Promise<void> => {
    if (current !== undefined || driver.discover === undefined || isLocked()) return;
    const ending = new AbortController();
    current = { id, ending };
    progress.discovery(id, 0, 0);
    const given = ended(ending.signal);
    given.catch(() => undefined);
    try {
      const found = await Promise.race([(async () => driver.discover?.(ending.signal))(), given]);
      await consider(found ?? []);
      progress.discovery(id, 100, found?.length ?? 0);
    } catch (error) {
      log.warn({ requestId: id, error: describeError(error) }, 'discovery failed');
      progress.discovery(id, -1, 0, describeError(error));
    } finally {
      current = undefined;
    }
  };
  return {
    consider,
    begin(requestId) {
      if (current === undefined) searching = search(requestId);
      else log.info({ requestId }, 'another discovery is under way');
    },
    end(requestId) {
      if (driver.discover === undefined)
        throw new AntirioError('notImplemented', 'Stop device discovery is not implemented');
      if (current === undefined) return;
      if (requestId !== undefined && requestId !== current.id)
        throw new AntirioError('notFound', 'There is no auto discovery process running with the requestId');
      current.ending.abort(new AntirioError('gone', 'the discovery was stopped'));
    },
    progress: (percent, found, message) => progress.discovery(current?.id ?? '', percent, found, message),
    repeatEvery(intervalMs) {
      repeating ??= repeat('discovery', intervalMs, log, () => search(uuidV4(random)));
    },
    async stop() {
      current?.ending.abort(new AntirioError('unavailable', 'the service stops'));
      await repeating?.stop();
      repeating = undefined;
      await searching;
    },
  };
}
