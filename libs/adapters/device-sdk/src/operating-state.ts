import { describeError } from '@antirio/kernel';
import { retry, type Log } from '@antirio/host';
import type { Device } from '@antirio/edgex-contracts';

type OperatingState = Device['operatingState'];

export interface OperatingStateOptions {
  /** Failures in a row after which a device is DOWN; 0 for never. */
  readonly allowedFails: number;
  /** After which a device that is DOWN and UNLOCKED is tried again; 0 for never. */
  readonly retryMs: number;
}

interface Ports {
  readonly device: (name: string) => Device | undefined;
  /** Tells core-metadata, and the cache once that has it. */
  readonly setState: (name: string, state: OperatingState) => Promise<void>;
  /** Asks the device for something, whatever its state. False where it can be asked for nothing. @throws when it does not answer */
  readonly probe: (name: string) => Promise<boolean>;
  readonly log: Log;
}

/** Which devices answer: after so many failures a device is DOWN, and is tried until it answers. */
export interface OperatingStates {
  succeeded(name: string): void;
  failed(name: string): void;
  /** Whatever its failures: an assertion of its profile does not hold. */
  isDown(name: string): void;
  /** Whether a device that is DOWN may be asked nevertheless, because it was this service that found it so and looks for its return. */
  mayTry(name: string): boolean;
  /** What core-metadata says of the device has changed; or it went. */
  changed(name: string): void;
  stop(): void;
}

interface Telling {
  wanted: OperatingState;
  /** Ends the wait before the next attempt. */
  waiting: AbortController;
}

const TELL = { attempts: Infinity, firstDelayMs: 500, maxDelayMs: 30_000 };

export function createOperatingStates(options: OperatingStateOptions, ports: Ports): OperatingStates {
  const { allowedFails, retryMs } = options;
  const { device, log, probe, setState } = ports;
  const fails = new Map<string, number>();
  /** What core-metadata is to be told of a device, one state after the other. */
  const telling = new Map<string, Telling>();
  const probing = new Map<string, NodeJS.Timeout>();
  /** Those that this service found to be DOWN. */
  const found = new Set<string>();
  let stopped = false;

  const tellOne = async (name: string, mine: Telling, state: OperatingState): Promise<boolean> => {
    const isWanted = (): boolean => telling.get(name) === mine && mine.wanted === state;
    mine.waiting = new AbortController();
    return retry({ ...TELL, signal: mine.waiting.signal }, async (attempt) => {
      if (!isWanted()) return false;
      try {
        await setState(name, state);
        return true;
      } catch (error) {
        if (attempt === 1) log.warn({ device: name, error: describeError(error) }, 'state not told yet');
        throw error;
      }
    });
  };
  const tellAll = async (name: string, mine: Telling): Promise<void> => {
    for (let told: OperatingState | undefined; !stopped && told !== mine.wanted;) {
      const state = mine.wanted;
      log.info({ device: name, state }, 'operating state');
      if (await tellOne(name, mine, state).catch(() => false)) told = state;
      if (telling.get(name) !== mine) return;
    }
    telling.delete(name);
  };
  const tell = (name: string, wanted: OperatingState): void => {
    const before = telling.get(name);
    if (stopped || before?.wanted === wanted) return;
    if (before === undefined) {
      if (device(name)?.operatingState === wanted) return;
      const mine = { wanted, waiting: new AbortController() };
      telling.set(name, mine);
      void tellAll(name, mine);
    } else {
      before.wanted = wanted;
      before.waiting.abort();
    }
  };
  const stopProbing = (name: string): void => {
    clearTimeout(probing.get(name));
    probing.delete(name);
    found.delete(name);
  };
  const tryAgain = async (name: string): Promise<void> => {
    const known = device(name);
    if (known === undefined || known.operatingState === 'UP') {
      stopProbing(name);
      return;
    }
    try {
      const asked = await probe(name);
      // what cannot be asked is taken to be UP by who found it DOWN, and by nobody else
      if (asked || found.has(name)) succeeded(name);
      else stopProbing(name);
    } catch (error) {
      log.debug({ device: name, error: describeError(error) }, 'still DOWN');
      if (probing.has(name)) later(name);
    }
  };
  const later = (name: string): void => {
    const timer = setTimeout(() => void tryAgain(name).catch(() => undefined), retryMs);
    timer.unref();
    probing.set(name, timer);
  };
  const down = (name: string): void => {
    tell(name, 'DOWN');
    if (retryMs === 0 || stopped) return;
    found.add(name);
    if (!probing.has(name)) later(name);
  };
  const succeeded = (name: string): void => {
    const hadFailed = fails.delete(name);
    const wasProbed = probing.has(name);
    stopProbing(name);
    if (hadFailed || wasProbed) tell(name, 'UP');
  };
  const forget = (name: string): void => {
    telling.get(name)?.waiting.abort();
    telling.delete(name);
    fails.delete(name);
    stopProbing(name);
  };
  const isTakenAsDown = (name: string): boolean =>
    probing.has(name) || (fails.get(name) ?? 0) >= Math.max(allowedFails, 1);
  return {
    succeeded,
    failed(name) {
      if (allowedFails === 0 || device(name) === undefined) return;
      const count = (fails.get(name) ?? 0) + 1;
      fails.set(name, count);
      if (count === allowedFails) down(name);
    },
    isDown: down,
    mayTry: (name) => found.has(name),
    changed(name) {
      const known = device(name);
      if (known === undefined) forget(name);
      else if (known.operatingState === 'UP') {
        if (telling.has(name) || !isTakenAsDown(name)) return;
        fails.delete(name);
        stopProbing(name);
      } else if (retryMs > 0 && known.adminState === 'UNLOCKED' && !probing.has(name) && !stopped)
        later(name);
    },
    stop() {
      stopped = true;
      for (const name of [...probing.keys()]) stopProbing(name);
      for (const { waiting } of telling.values()) waiting.abort();
    },
  };
}
