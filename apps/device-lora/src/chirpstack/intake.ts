import { AntirioError, describeError, isAntirioError, type Clock, type ErrorCode } from '@antirio/kernel';
import type { Check, Log } from '@antirio/host';
import type { DeviceProfile } from '@antirio/edgex-contracts';
import { sessionOfNetworkServer, type DevAddr, type DevEui, type SessionId } from '@antirio/lorawan';
import { directoryOf } from '../directory.ts';
import type { HeardLast } from '../last-heard.ts';
import type { Latest } from '../latest.ts';
import type { NorthEvent } from '../north/event.ts';
import type { DeviceOptions } from '../options.ts';
import { createReports } from '../reports.ts';
import type { SessionBook } from '../uplink/session-book.ts';
import { readChirpStackEvent, type ChirpStackEvent, type DownlinkEvent, type UpEvent } from './event.ts';
import { digestOf, eventOfUp, idOf, type KnownUp } from './reading.ts';
import type { ChirpStackStore, Taken } from './store.ts';

/** What became of an event: a reading's outcome, or that it was no reading and is noted. */
export type Outcome = Taken | 'noted';

/** Takes what ChirpStack tells: durable, or refused with a reason. */
export interface Intake {
  /**
   * @param name of the event
   * @param devEui of the topic, where it came by one
   * @throws AntirioError invalidInput | tooLarge | notFound | conflict: it will never be taken; internal: neither, it is kept as it came;
   * busy | storageFull | unavailable | timeout: not now
   */
  take(name: string, bytes: Uint8Array, devEui?: string): Promise<Outcome>;
  counts(): Readonly<Record<string, number>>;
  /** Gateways that ChirpStack's uplinks came by in the last seven days. */
  gateways(): readonly string[];
  /** Whether the last event that was to be kept could be. */
  check(): Check;
}

export interface IntakePorts {
  readonly serviceName: string;
  readonly devices: readonly DeviceOptions[];
  readonly maxWaitingBytes: number;
  readonly store: ChirpStackStore;
  readonly profileOf: (name: string) => DeviceProfile | undefined;
  /** Undefined while there are no keys. */
  readonly sessions: () => SessionBook | undefined;
  readonly latest: Latest;
  readonly lastHeard: HeardLast;
  /** A reading waits for core-data. */
  readonly onTaken: () => void;
  readonly onDownlink: (device: DeviceOptions, event: DownlinkEvent) => void;
  /** Where a device's downlinks go may be known now. */
  readonly onDevice: (device: DeviceOptions) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** One that is gone, or is ours by now, is held against nobody any more. */
const GATEWAY_FORGOTTEN_MS = 7 * 86_400_000;
const GATEWAYS_KNOWN = 1024;
/** Written again so often. */
const GATEWAY_WRITTEN_MS = 3_600_000;
/** Clocks differ; what is further ahead is a wrong one, and would stand before all that is true. */
const AHEAD_MS = 86_400_000;

const PASSING: ReadonlySet<ErrorCode> = new Set(['busy', 'storageFull', 'unavailable', 'timeout']);
const THEIRS: ReadonlySet<ErrorCode> = new Set(['invalidInput', 'tooLarge', 'notFound', 'conflict']);

/** Refusals that the same bytes will always get: what is not known to pass must not stand before all others for ever. */
export function isForGood(error: unknown): boolean {
  return !(isAntirioError(error) && PASSING.has(error.code));
}

/** The gateways that uplinks came by lately: whoever acts for the devices has to know of all of them. */
function createHeardBy(store: ChirpStackStore, clock: Clock) {
  const since = (): number => clock.now() - GATEWAY_FORGOTTEN_MS;
  const known = new Map(store.gateways(since()).map(({ gatewayId, at }) => [gatewayId, at]));
  return {
    /** Durable when it resolves. */
    async note(gatewayIds: readonly string[]): Promise<void> {
      const now = clock.now();
      const due = gatewayIds.filter((one) => now - (known.get(one) ?? -Infinity) > GATEWAY_WRITTEN_MS);
      await Promise.all(due.map((one) => store.heardBy(one, now)));
      if (known.size > GATEWAYS_KNOWN) known.clear();
      for (const one of due) known.set(one, now);
    },
    all: (): string[] => store.gateways(since()).map(({ gatewayId }) => gatewayId),
  };
}

export function createIntake(ports: IntakePorts): Intake {
  const { serviceName, devices, store, sessions, clock, log } = ports;
  const { byEui } = directoryOf(devices);
  const counted: Record<string, number> = {};
  const heardBy = createHeardBy(store, clock);
  let failing: string | undefined;
  const tell = createReports(clock);
  const count = (what: string): void => {
    counted[what] = (counted[what] ?? 0) + 1;
  };

  const deviceOf = (devEui: DevEui): DeviceOptions => {
    const device = byEui.get(devEui);
    if (device === undefined)
      throw new AntirioError('notFound', `no device with the DevEUI ${devEui} is configured`);
    if (device.network !== 'chirpStack')
      throw new AntirioError(
        'conflict',
        `${device.name} is of this edge's own network: let its network be chirpStack, or take it out of ChirpStack`,
      );
    return device;
  };
  const addressOf = (device: DeviceOptions, { devAddr }: UpEvent): DevAddr => {
    const known = devAddr ?? device.devAddr ?? store.device(device.devEui)?.devAddr;
    if (known !== undefined) return known;
    throw new AntirioError(
      'invalidInput',
      `no devAddr, and no join of ${device.name} was told: nobody could tell its session (ChirpStack 3.11 and later tell it)`,
    );
  };
  const sessionOf = (devEui: DevEui, devAddr: DevAddr): SessionId => {
    const ours = sessions()
      ?.sessionsOf(devEui)
      .find((session) => session.devAddr === devAddr);
    return ours?.id ?? sessionOfNetworkServer(devEui, devAddr);
  };
  const receivedAt = ({ at }: UpEvent): number => {
    const now = clock.now();
    return at === undefined || at > now + AHEAD_MS ? now : at;
  };
  const noteHeard = ({ device, up, receivedAt: at }: KnownUp, { readings }: NorthEvent): void => {
    const [best] = up.receptions;
    ports.latest.set(device.name, readings);
    if (best !== undefined)
      ports.lastHeard.note(device.devEui, { receivedAt: at, ...best, ...up.radio }, up.receptions.length);
  };
  const takeUp = async (device: DeviceOptions, up: UpEvent, message: Uint8Array): Promise<Taken> => {
    if (store.waitingBytes >= ports.maxWaitingBytes)
      throw new AntirioError(
        'busy',
        `${store.waitingCount} readings wait for core-data already (chirpStack.maxWaitingBytes)`,
      );
    const devAddr = addressOf(device, up);
    const known = {
      device,
      up,
      devAddr,
      session: sessionOf(device.devEui, devAddr),
      receivedAt: receivedAt(up),
    };
    const event = eventOfUp(serviceName, ports.profileOf(device.profileName), known);
    const counter = device.mayReset ? undefined : { session: known.session, fcnt: up.fcnt };
    const { path, body } = event;
    const reading = { eventId: idOf(known), path, body, digest: digestOf(up), counter };
    const [taken] = await Promise.all([
      store.take(reading, { devEui: device.devEui, at: known.receivedAt, message }),
      store.know(device.devEui, { applicationId: up.applicationId, devAddr, fcnt: up.fcnt }),
      heardBy.note(up.receptions.map(({ gatewayId }) => gatewayId)),
    ]);
    if (taken === 'new') {
      if (event.undecodable) count('undecodable');
      noteHeard(known, event);
      ports.onTaken();
    }
    if (taken === 'conflict')
      tell('conflict', (leftOut) => {
        const { name } = device;
        log.error(
          { device: name, fcnt: up.fcnt, leftOut },
          'ALARM: another uplink under a counter that is stored: a device that counts anew needs mayReset',
        );
      });
    return taken;
  };
  const dispatch = async (event: ChirpStackEvent, message: Uint8Array): Promise<Outcome> => {
    const device = deviceOf(event.devEui);
    const { applicationId } = event;
    if (event.kind === 'up') {
      const taken = await takeUp(device, event, message);
      ports.onDevice(device);
      return taken;
    }
    const devAddr = event.kind === 'join' ? event.devAddr : undefined;
    await store.know(device.devEui, { applicationId, devAddr, fcnt: undefined });
    if (event.kind === 'txack' || event.kind === 'ack' || event.kind === 'lost')
      ports.onDownlink(device, event);
    ports.onDevice(device);
    return 'noted';
  };
  const refuse = (error: unknown): void => {
    const code = isAntirioError(error) ? error.code : 'internal';
    if (!isForGood(error)) failing = describeError(error);
    count(`refused_${code}`);
    tell(code, (leftOut) => {
      const said = { error: describeError(error), leftOut };
      if (code === 'internal')
        log.error(said, 'ALARM: an event of ChirpStack was not read by a fault of ours');
      else log.warn(said, 'ChirpStack told what is not taken');
    });
  };
  /** A fault of ours costs nobody what was sent: it is refused once it is kept, and passes where it cannot be. */
  const keepFaulty = async (error: unknown, devEui: string, message: Uint8Array): Promise<AntirioError> => {
    const device = byEui.get(devEui as DevEui);
    if (device === undefined) return new AntirioError('internal', 'it could not be read', {}, error);
    try {
      await store.keep({ devEui: device.devEui, at: clock.now(), message });
    } catch (failed) {
      return isAntirioError(failed) && !isForGood(failed)
        ? failed
        : new AntirioError('unavailable', 'it could not be kept', {}, failed);
    }
    return new AntirioError('internal', `an event of ${device.name} is kept as it came`, {}, error);
  };
  const refusalOf = async (error: unknown, devEui: string, message: Uint8Array): Promise<unknown> =>
    isAntirioError(error) && (THEIRS.has(error.code) || PASSING.has(error.code))
      ? error
      : keepFaulty(error, devEui, message);
  return {
    async take(name, bytes, devEui) {
      let whose = devEui?.toLowerCase() ?? '';
      try {
        const event = readChirpStackEvent(name, bytes);
        whose = event.devEui;
        if (devEui !== undefined && devEui.toLowerCase() !== event.devEui)
          throw new AntirioError('invalidInput', `the topic is of ${devEui}, the event of ${event.devEui}`);
        const outcome = await dispatch(event, bytes);
        failing = undefined;
        count(outcome === 'noted' ? event.kind : outcome);
        return outcome;
      } catch (thrown) {
        const error = await refusalOf(thrown, whose, bytes);
        refuse(error);
        throw error;
      }
    },
    counts: () => ({ ...counted }),
    gateways: () => heardBy.all(),
    check: () => (failing === undefined ? { ok: true } : { ok: false, detail: failing }),
  };
}
