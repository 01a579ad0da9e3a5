import { AntirioError, uuidV4, type Random } from '@antirio/kernel';
import type { EdgexService } from '@antirio/edgex-service';
import type { Log } from '@antirio/host';
import type { AutoEvent, DeviceProfile } from '@antirio/edgex-contracts';
import { profileOf, type Cache } from './cache.ts';
import type { Changes } from './changes.ts';
import type { Discovery } from './discovery.ts';
import type { AsyncValues, DeviceSdk } from './driver.ts';
import type { Events } from './events.ts';
import type { Lanes } from './lanes.ts';
import { goodOutcome, type DevicePatch, type Metadata } from './metadata.ts';
import type { Progress } from './progress.ts';
import { createNamedTurns } from './turns.ts';

interface Ports {
  readonly serviceName: string;
  readonly log: Log;
  readonly random: Random;
  readonly config: Readonly<Record<string, string>>;
  readonly custom: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly followSection: EdgexService['followSection'];
  readonly cache: Cache;
  readonly changes: Changes;
  /** The cache lacks something that core-metadata has. */
  readonly refreshSoon: () => void;
  readonly metadata: Metadata;
  readonly events: Events;
  readonly lanes: Lanes;
  readonly discovery: Discovery;
  readonly progress: Progress;
  readonly secret: DeviceSdk['secret'];
  readonly onSecretChange: DeviceSdk['onSecretChange'];
  readonly enableAsyncReadings: boolean;
  readonly countAs: DeviceSdk['countAs'];
  /** Told of each value that a device sent. */
  readonly onAnswer: (deviceName: string) => void;
}

/** @throws AntirioError invalidInput */
function sourceOf({ sourceName, values }: AsyncValues): string {
  const [first] = values;
  if (first === undefined) throw new AntirioError('invalidInput', 'there are no values to send');
  if (sourceName !== undefined && sourceName !== '') return sourceName;
  if (values.length > 1)
    throw new AntirioError('invalidInput', 'several values need the name of their source');
  return first.resourceName;
}

/** A part of a section; empty where there is none. */
function valueAt(tree: object, [head, ...rest]: readonly string[]): Readonly<Record<string, unknown>> {
  if (head === undefined) return tree as Readonly<Record<string, unknown>>;
  const below = Object.entries(tree).find(([key]) => key === head)?.[1] as unknown;
  return typeof below === 'object' && below !== null ? valueAt(below, rest) : {};
}

/** The fields that have a value. */
const given = (fields: object): object =>
  Object.fromEntries(Object.entries(fields).filter(([, value]: [string, unknown]) => value !== undefined));

/** What core-metadata took of a device is in the cache at once, not only when the system event comes. */
export async function patchDevice(
  { cache, changes, metadata }: Pick<Ports, 'cache' | 'changes' | 'metadata'>,
  patch: DevicePatch,
): Promise<void> {
  await metadata.patchDevice(patch);
  const device = cache.devices.get(patch.name);
  if (device !== undefined) changes.deviceIs({ ...device, ...given(patch) });
}

/** A driver's own view of its service. */
export function createDeviceSdk(ports: Ports): DeviceSdk {
  const { cache, changes, config, discovery, events, lanes, log, metadata } = ports;
  const { onAnswer, progress, random, serviceName } = ports;
  const deviceNamed = (name: string) => {
    const device = cache.devices.get(name);
    if (device === undefined) throw new AntirioError('notFound', `device ${name} not found`);
    return device;
  };
  const customConfig = (section: string): Readonly<Record<string, unknown>> => {
    const found = Object.hasOwn(ports.custom, section) ? ports.custom[section] : undefined;
    if (found === undefined) throw new AntirioError('notFound', `no section ${section} is configured`);
    return found;
  };
  const profileNamed = (deviceName: string): DeviceProfile | undefined => {
    const device = cache.devices.get(deviceName);
    return device === undefined ? undefined : profileOf(cache, device);
  };
  const patch = (change: DevicePatch): Promise<void> => patchDevice(ports, change);
  const inTurn = createNamedTurns();
  /** One change after the other, each of what core-metadata has then: the cache may be behind it. */
  const setAutoEvents = (name: string, change: (before: AutoEvent[]) => AutoEvent[]): Promise<void> =>
    inTurn(name, async () => {
      const device = await metadata.device(deviceNamed(name).name);
      if (device === undefined) throw new AntirioError('notFound', `device ${name} not found`);
      await patch({ name, autoEvents: change(device.autoEvents ?? []) });
    });

  const send = async (given: AsyncValues): Promise<void> => {
    const sourceName = sourceOf(given);
    const device = deviceNamed(given.deviceName);
    onAnswer(device.name);
    const profile = profileOf(cache, device);
    if (profile === undefined) throw new AntirioError('locked', 'no associated device profile');
    const event = events.of({ device, profile, sourceName, values: given.values });
    if (event !== undefined) await events.send(event, uuidV4(random));
  };
  return {
    serviceName,
    log,
    config,
    customConfig,
    followConfig(section, changed) {
      const [name = '', ...rest] = section.split('/');
      const configured = valueAt(name === 'Driver' ? config : customConfig(name), rest);
      ports.followSection(section, configured, changed);
    },
    devices: () => [...cache.devices.values()],
    device: (name) => cache.devices.get(name),
    profiles: () => [...cache.profiles.values()],
    profile: (name) => cache.profiles.get(name),
    deviceResource: (name, resource) =>
      profileNamed(name)?.deviceResources?.find((one) => one.name === resource),
    deviceCommand: (name, command) => profileNamed(name)?.deviceCommands?.find((one) => one.name === command),
    provisionWatcher: (name) => cache.watchers.get(name),
    provisionWatchers: () => [...cache.watchers.values()],
    lastConnected: (name) => cache.lastConnected.get(name),
    async send(values) {
      if (!ports.enableAsyncReadings)
        throw new AntirioError(
          'forbidden',
          'the service takes no values of its own accord (EnableAsyncReadings)',
        );
      await lanes.run(() => send(values));
    },
    async addDevice(device) {
      const states = { adminState: 'UNLOCKED', operatingState: 'UP' };
      const [outcome] = await metadata.add('device', [{ ...states, ...device, serviceName }]);
      const { id = '' } = goodOutcome(outcome, `device ${device.name}`);
      ports.refreshSoon();
      return id;
    },
    async updateDevice(device) {
      deviceNamed(device.name);
      await patch(device);
    },
    async removeDevice(name) {
      deviceNamed(name);
      await metadata.remove('device', name);
      changes.deviceIsGone(name);
    },
    async setOperatingState(name, operatingState) {
      deviceNamed(name);
      await patch({ name, operatingState });
    },
    addAutoEvent: (name, autoEvent) =>
      setAutoEvents(name, (before) => [
        ...before.filter(({ sourceName }) => sourceName !== autoEvent.sourceName),
        autoEvent as AutoEvent,
      ]),
    removeAutoEvent: (name, sourceName) =>
      setAutoEvents(name, (before) => before.filter((one) => one.sourceName !== sourceName)),
    async addProfile(profile) {
      const [outcome] = await metadata.add('deviceprofile', [profile]);
      const { id = '' } = goodOutcome(outcome, `profile ${profile.name}`);
      return id;
    },
    async updateProfile(profile) {
      await metadata.putProfile(profile);
      // as core-metadata has it, which may fill in what was left out
      const kept = await metadata.profile(profile.name);
      if (kept !== undefined) changes.profileIs(kept);
    },
    async removeProfile(name) {
      await metadata.remove('deviceprofile', name);
      changes.profileIsGone(name);
    },
    async addProvisionWatcher(watcher) {
      const [outcome] = await metadata.add('provisionwatcher', [{ ...watcher, serviceName }]);
      const { id = '' } = goodOutcome(outcome, `provision watcher ${watcher.name}`);
      ports.refreshSoon();
      return id;
    },
    async updateProvisionWatcher(watcher) {
      const [outcome] = await metadata.patch('provisionwatcher', [{ ...watcher, serviceName }]);
      goodOutcome(outcome, `the change of provision watcher ${watcher.name}`);
      const known = cache.watchers.get(watcher.name);
      if (known !== undefined) changes.watcherIs({ ...known, ...given(watcher) });
    },
    async removeProvisionWatcher(name) {
      await metadata.remove('provisionwatcher', name);
      changes.watcherIsGone(name);
    },
    discovered: (devices) => discovery.consider(devices),
    discoveryProgress: (percent, found, message) => discovery.progress(percent, found, message),
    profileScanProgress: (requestId, percent, message) => progress.profileScan(requestId, percent, message),
    publishSystemEvent: (type, action, details) =>
      progress.systemEvent(type, action, details, uuidV4(random)),
    secret: ports.secret,
    onSecretChange: ports.onSecretChange,
    countAs: ports.countAs,
  };
}
