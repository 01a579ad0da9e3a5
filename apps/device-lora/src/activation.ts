import { AntirioError, canonicalBytes, describeError, sha256Hex } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import { readSecrets } from './control.ts';
import type { DownCounters } from './downlink/counters.ts';
import type { DeviceLoraOptions, DeviceOptions } from './options.ts';
import type { UplinkStore } from './store.ts';
import type { Reader } from './uplink/reader.ts';
import { openSessions, type Sessions } from './uplink/sessions.ts';

/** `shadow`: connected and registered, without keys. `reading`: with them. */
export type ServiceState = 'shadow' | 'reading';

/** Whether the service has its keys, and with them its work. */
export interface Activation {
  readonly state: ServiceState;
  /** Why the keys that were named could not be used. */
  readonly problem: string | undefined;
  /** Reads the keys and begins; with other keys than those in use, begins with these. @throws AntirioError badConfig */
  activate(secretsFile: string): Promise<void>;
  /** Ends reading and forgets the keys. */
  standDown(): Promise<void>;
  /** @throws AntirioError locked | unavailable | forbidden where nothing can be sent to the device now. */
  checkMaySend(device: DeviceOptions): void;
}

export interface ActivationPorts {
  readonly options: DeviceLoraOptions;
  readonly reader: Reader;
  readonly counters: DownCounters;
  readonly store: UplinkStore;
  readonly log: Log;
}

export function createActivation({ options, reader, counters, store, log }: ActivationPorts): Activation {
  let state: ServiceState = 'shadow';
  let sessions: Sessions | undefined;
  let inUse = '';
  let problem: string | undefined;

  const begin = async (secretsFile: string): Promise<void> => {
    const secrets = readSecrets(secretsFile);
    const hash = sha256Hex(canonicalBytes(secrets));
    if (state === 'reading' && hash === inUse) return;
    if (state === 'reading') await reader.end();
    const opened = openSessions(secrets, options.devices, store, options.confidentiality);
    const missing = options.devices.filter(({ devAddr }) => !opened.has(devAddr)).map(({ name }) => name);
    if (missing.length > 0) log.warn({ devices: missing }, 'no keys for these devices');
    sessions = opened;
    inUse = hash;
    state = 'reading';
    reader.begin(opened);
    log.info({ keyVersion: secrets.keyVersion, sessions: secrets.sessions.length }, 'reading');
  };
  return {
    get state() {
      return state;
    },
    get problem() {
      return problem;
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
      await reader.end();
      log.info('standing down');
    },
    checkMaySend(device) {
      if (!options.sendDownlinks) throw new AntirioError('locked', 'this service sends no downlinks');
      const session = sessions?.get(device.devAddr)?.find((candidate) => candidate.device === device);
      if (session === undefined)
        throw new AntirioError('unavailable', `no session keys of ${device.name} here`);
      if (!session.cipher.readsPayload)
        throw new AntirioError('forbidden', `the AppSKey of ${device.name} is not here`);
    },
  };
}
