import { AntirioError, describeError, isAntirioError, type ErrorCode } from '@antirio/kernel';
import { planCommand, type CommandPlan, type CommandValue } from '@antirio/device-values';
import type { Log } from '@antirio/host';
import type { Device, DeviceProfile, Event } from '@antirio/edgex-contracts';
import { profileOf, type Cache } from './cache.ts';
import type { Driver } from './driver.ts';
import { becauseItHangs, notAsked, type DriverCalls } from './driver-calls.ts';
import type { Events } from './events.ts';
import type { OperatingStates } from './operating-state.ts';
import type { CommandQuery } from './query.ts';

/** Reads and writes devices, as EdgeX's commands and auto events ask for it. */
export interface Commands {
  /**
   * @throws AntirioError notFound | methodNotAllowed | locked | invalidInput; unavailable where the driver is not asked; failed where the driver did, or its values are not what they should be
   */
  get(
    deviceName: string,
    commandName: string,
    query: Pick<CommandQuery, 'patterns' | 'rawQuery'>,
  ): Promise<Event>;
  /** The same where the device may have nothing to say. */
  read(deviceName: string, commandName: string): Promise<Event | undefined>;
  /** Gives the event that tells of what was written, unless that can only be written. */
  set(
    deviceName: string,
    commandName: string,
    settings: Readonly<Record<string, unknown>>,
    rawQuery: string,
  ): Promise<Event | undefined>;
  /** Reads something of a device whatever its operating state; false where nothing can be read. */
  probe(deviceName: string): Promise<boolean>;
  /** Sends the event, in the background. */
  push(event: Event, correlationID: string): void;
  readonly counts: { readonly read: number; readonly written: number };
}

export interface CommandsPorts {
  readonly cache: Cache;
  readonly driver: Driver;
  readonly calls: DriverCalls;
  readonly events: Events;
  readonly states: () => OperatingStates;
  readonly log: Log;
  readonly maxCmdOps: number;
  /** @throws AntirioError unavailable before the service is registered */
  readonly checkOpen: () => void;
  /** Told of each answer of a device. */
  readonly onAnswer: (deviceName: string) => void;
}

/** What a driver may say of a request in its own words: it is the request's fault, not the device's. */
const DRIVERS_OWN: readonly ErrorCode[] = ['invalidInput', 'notFound', 'methodNotAllowed', 'locked'];

interface Target {
  readonly device: Device;
  readonly profile: DeviceProfile;
}

function nameOf({ kind, sourceName }: CommandPlan): string {
  if (kind === 'command') return `DeviceCommand ${sourceName}`;
  return kind === 'resource' ? `DeviceResource ${sourceName}` : `Regex DeviceResource(s) ${sourceName}`;
}

/** @throws AntirioError locked | notFound | unavailable */
function targetOf(cache: Cache, name: string, mayTry: (name: string) => boolean): Target {
  if (cache.adminState === 'LOCKED') throw new AntirioError('locked', 'service locked');
  const device = cache.devices.get(name);
  if (device === undefined) throw new AntirioError('notFound', `device ${name} not found`);
  if (device.adminState === 'LOCKED') throw new AntirioError('locked', `device ${name} locked`);
  if (!cache.known.has(name)) throw new AntirioError('unavailable', `the driver does not know ${name} yet`);
  if (device.operatingState === 'DOWN' && !mayTry(name))
    throw new AntirioError('locked', `device ${name} OperatingState is DOWN`);
  const profile = profileOf(cache, device);
  if (profile === undefined) throw new AntirioError('locked', 'no associated device profile');
  return { device, profile };
}

export function createCommands(ports: CommandsPorts): Commands {
  const { cache, calls, checkOpen, driver, events, log, maxCmdOps, onAnswer, states } = ports;
  const counts = { read: 0, written: 0 };

  const planOf = (
    { device, profile }: Target,
    commandName: string,
    method: 'get' | 'set',
    query: { patterns: boolean; rawQuery: string },
  ): CommandPlan =>
    planCommand(profile, commandName, method, { deviceName: device.name, maxCmdOps, ...query });

  /** What goes wrong from here on is the device's, or its driver's: in asking, or in what is made of the answer. */
  const attempt = async <A, T>(
    name: string,
    what: string,
    ask: (signal: AbortSignal) => Promise<A>,
    use: (answer: A) => T,
  ): Promise<T> => {
    let asked = false;
    try {
      const answer = await calls.request(name, ask);
      asked = true;
      const used = use(answer);
      states().succeeded(name);
      onAnswer(name);
      return used;
    } catch (error) {
      if (becauseItHangs(error)) states().failed(name);
      if (notAsked(error)) throw new AntirioError('unavailable', `${what} -> ${describeError(error)}`);
      if (!asked && isAntirioError(error) && DRIVERS_OWN.includes(error.code))
        throw new AntirioError(error.code, `${what} -> ${error.message}`, error.details, error.cause);
      states().failed(name);
      throw new AntirioError('failed', `${what} -> ${describeError(error)}`);
    }
  };
  /** No more than the command may have; a pattern may match all that the profile has. */
  const checked = (values: unknown, { kind, operations }: CommandPlan): readonly CommandValue[] => {
    if (!Array.isArray(values)) throw new AntirioError('failed', 'the driver gave no list of values');
    const most = kind === 'pattern' ? Math.max(operations.length, maxCmdOps) : maxCmdOps;
    if (values.length > most)
      throw new AntirioError('failed', `the driver gave ${values.length} values, over ${most} (MaxCmdOps)`);
    return values as readonly CommandValue[];
  };
  const readPlan = async ({ device, profile }: Target, plan: CommandPlan): Promise<Event | undefined> => {
    const requests = plan.operations.map(({ request }) => request);
    counts.read += 1;
    const what = `error reading ${nameOf(plan)} for ${device.name}`;
    return attempt(
      device.name,
      what,
      (signal) => driver.read(device, requests, signal),
      (values) => events.of({ device, profile, sourceName: plan.sourceName, values: checked(values, plan) }),
    );
  };
  const read: Commands['read'] = async (name, command) => {
    const target = targetOf(cache, name, (one) => states().mayTry(one));
    return readPlan(target, planOf(target, command, 'get', { patterns: true, rawQuery: '' }));
  };
  return {
    counts,
    read,
    async get(name, command, { patterns, rawQuery }) {
      checkOpen();
      const target = targetOf(cache, name, (one) => states().mayTry(one));
      const event = await readPlan(target, planOf(target, command, 'get', { patterns, rawQuery }));
      if (event === undefined) throw new AntirioError('failed', `${name} gave no reading of ${command}`);
      return event;
    },
    async set(name, command, settings, rawQuery) {
      checkOpen();
      const target = targetOf(cache, name, (one) => states().mayTry(one));
      const { device, profile } = target;
      const plan = planOf(target, command, 'set', { patterns: false, rawQuery });
      const requests = events.toWrite(plan, settings);
      counts.written += 1;
      const what = `error writing ${nameOf(plan)} for ${name}`;
      const values = requests.map(({ value }) => value);
      return attempt(
        name,
        what,
        (signal) => driver.write(device, requests, signal),
        () =>
          plan.publishes ? events.of({ device, profile, sourceName: plan.sourceName, values }) : undefined,
      );
    },
    async probe(name) {
      const { device, profile } = targetOf(cache, name, () => true);
      const readable = profile.deviceResources?.find(({ properties }) => properties.readWrite !== 'W');
      if (readable === undefined) return false;
      const target = { device, profile };
      await readPlan(target, planOf(target, readable.name, 'get', { patterns: false, rawQuery: '' }));
      return true;
    },
    push(event, correlationID) {
      events
        .send(event, correlationID)
        .catch((error: unknown) =>
          log.warn({ device: event.deviceName, error: describeError(error) }, 'an event was not sent'),
        );
    },
  };
}
