import { describeError } from '@antirio/kernel';
import { retry, type Log } from '@antirio/host';
import type { Device } from '@antirio/edgex-contracts';

type OperatingState = Device['operatingState'];

export interface OperatingStateOptions {
  /** Failures in a row after which a device is DOWN; 0 for never. */
  readonly allowedFails: number;
  /** After which a device that was found to be DOWN is tried again; 0 for never. */
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

const TELL = { attempts: Infinity, firstDelayMs: 500, maxDelayMs: 30_000 };

export function createOperatingStates(options: OperatingStateOptions, ports: Ports): OperatingStates {
  const { allowedFails, retryMs } = options;
  const { device, log, probe, setState } = ports;
  const fails = new Map<string, number>();
  /** What core-metadata is being told of a device. */
  const telling = new Map<string, AbortController>();
  const probing = new Map<string, NodeJS.Timeout>();
  let stopped = false;

  const tell = (name: string, state: OperatingState): void => {
    const before = telling.get(name);
    before?.abort();
    // what core-metadata was being told may have got there
    if (stopped || (before === undefined && device(name)?.operatingState === state)) return;
    const mine = new AbortController();
    telling.set(name, mine);
    log.info({ device: name, state }, 'operating state');
    retry({ ...TELL, signal: mine.signal }, async (attempt) => {
      if (mine.signal.aborted || device(name) === undefined) return;
      try {
        await setState(name, state);
      } catch (error) {
        if (attempt === 1) log.warn({ device: name, error: describeError(error) }, 'state not told yet');
        throw error;
      }
    })
      .catch(() => undefined)
      .finally(() => {
        if (telling.get(name) === mine) telling.delete(name);
      })
      .catch(() => undefined);
  };
  const stopProbing = (name: string): void => {
    clearTimeout(probing.get(name));
    probing.delete(name);
  };
  const tryAgain = async (name: string): Promise<void> => {
    const known = device(name);
    if (known === undefined || known.operatingState === 'UP') {
      stopProbing(name);
      return;
    }
    try {
      const asked = await probe(name);
      log.info({ device: name, asked }, 'the device is taken to be UP again');
      succeeded(name);
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
    if (retryMs > 0 && !probing.has(name) && !stopped) later(name);
  };
  const succeeded = (name: string): void => {
    const hadFailed = fails.delete(name);
    const wasProbed = probing.has(name);
    stopProbing(name);
    if (hadFailed || wasProbed) tell(name, 'UP');
  };
  return {
    succeeded,
    failed(name) {
      if (allowedFails === 0 || device(name) === undefined) return;
      const count = (fails.get(name) ?? 0) + 1;
      fails.set(name, count);
      if (count === allowedFails) down(name);
    },
    isDown: down,
    mayTry: (name) => probing.has(name),
    changed(name) {
      const known = device(name);
      if (known === undefined) telling.get(name)?.abort();
      const wasDown = (fails.get(name) ?? 0) >= allowedFails;
      if (known === undefined || (known.operatingState === 'UP' && wasDown && !telling.has(name))) {
        fails.delete(name);
        stopProbing(name);
      }
    },
    stop() {
      stopped = true;
      for (const name of [...probing.keys()]) stopProbing(name);
      for (const one of telling.values()) one.abort();
    },
  };
}
