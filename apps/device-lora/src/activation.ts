import { AntirioError, canonicalBytes, describeError, sha256Hex } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import type { DevEui, MacState, SessionId } from '@antirio/lorawan';
import { readSecrets } from './control.ts';
import type { DownCounters } from './downlink/counters.ts';
import { newStateOf } from './mac/mac-layer.ts';
import { takeSnapshots } from './mac/snapshot.ts';
import type { MacStore } from './mac/store.ts';
import type { DeviceLoraOptions, DeviceOptions } from './options.ts';
import type { UplinkStore } from './store.ts';
import type { Reader } from './uplink/reader.ts';
import type { JoinStore } from './join/store.ts';
import { openSessions, type SessionBook } from './uplink/session-book.ts';

/** `shadow`: connected and registered, without keys. `reading`: with them. */
export type ServiceState = 'shadow' | 'reading';

/** Whether the service has its keys, and with them its work. */
export interface Activation {
  readonly state: ServiceState;
  /** Why the keys that were named could not be used. */
  readonly problem: string | undefined;
  /** The sessions, while there are keys. */
  readonly sessions: SessionBook | undefined;
  /** Reads the keys and begins; with other keys than those in use, begins with these. @throws AntirioError badConfig */
  activate(secretsFile: string): Promise<void>;
  /** Ends reading and forgets the keys. */
  standDown(): Promise<void>;
  /**
   * `isEncrypted`: what whoever has the AppSKey has encrypted.
   * @throws AntirioError locked | unavailable | forbidden where nothing can be sent to the device now.
   */
  checkMaySend(device: DeviceOptions, isEncrypted?: boolean): void;
}

export interface ActivationPorts {
  readonly options: DeviceLoraOptions;
  readonly reader: Reader;
  readonly counters: DownCounters;
  readonly store: UplinkStore;
  readonly joins: JoinStore;
  readonly macs: MacStore;
  /** It stood by until now, and is about to serve. */
  readonly onBegin?: (() => void) | undefined;
  /** It served until now. */
  readonly onEnd?: (() => void) | undefined;
  readonly log: Log;
}

const hasKeys = (sessions: SessionBook, devEui: DevEui): boolean =>
  sessions.rootKeyOf(devEui) !== undefined || sessions.sessionsOf(devEui).length > 0;

export function createActivation(ports: ActivationPorts): Activation {
  const { options, reader, counters, store, joins, macs, log } = ports;
  let state: ServiceState = 'shadow';
  let sessions: SessionBook | undefined;
  let inUse = '';
  let problem: string | undefined;

  const begin = async (secretsFile: string): Promise<void> => {
    const { mac, ...secrets } = readSecrets(secretsFile);
    const hash = sha256Hex(canonicalBytes(secrets));
    if (state === 'reading' && hash === inUse) return;
    if (state === 'reading') await reader.end();
    const told = takeSnapshots(macs, mac, log);
    // before a join can be answered
    if (secrets.joins.length > 0) joins.reserve(secrets.joins);
    const { devices, confidentiality } = options;
    const newMac = (device: DeviceOptions): MacState => newStateOf(options, device);
    // elsewhere what is stored says how far a device has counted
    const comesFrom = mac !== undefined;
    const floorOf = (session: SessionId): number | undefined =>
      comesFrom ? (macs.load(session)?.fcntUp ?? undefined) : undefined;
    const opened = openSessions(secrets, { devices, store, joins, confidentiality, newMac, floorOf });
    const missing = devices
      .filter(({ devEui, network }) => network === 'own' && !hasKeys(opened, devEui))
      .map(({ name }) => name);
    if (missing.length > 0) log.warn({ devices: missing }, 'no keys for these devices');
    if (state === 'shadow') ports.onBegin?.();
    sessions = opened;
    inUse = hash;
    state = 'reading';
    reader.begin(opened);
    log.info({ keyVersion: secrets.keyVersion, sessions: secrets.sessions.length, told }, 'reading');
  };
  return {
    get state() {
      return state;
    },
    get problem() {
      return problem;
    },
    get sessions() {
      return sessions;
    },
    async activate(secretsFile) {
      try {
        await begin(secretsFile);
        problem = undefined;
      } catch (error) {
        problem = describeError(error);
        throw error;
      }
    },
    async standDown() {
      if (state === 'shadow') return;
      state = 'shadow';
      sessions = undefined;
      counters.clear();
      ports.onEnd?.();
      await reader.end();
      log.info('standing down');
    },
    checkMaySend(device, isEncrypted = false) {
      if (!options.sendDownlinks) throw new AntirioError('locked', 'this service sends no downlinks');
      if (sessions === undefined || !hasKeys(sessions, device.devEui))
        throw new AntirioError('unavailable', `no keys of ${device.name} here`);
      // before its first join there is none yet
      if (!isEncrypted && sessions.currentOf(device.devEui)?.cipher.readsPayload === false)
        throw new AntirioError(
          'forbidden',
          `the AppSKey of ${device.name} is not here: whoever has it asks for a counter (POST .../downlink/counter), encrypts for it and sends that with \`isEncrypted\``,
        );
    },
  };
}
