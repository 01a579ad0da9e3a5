import { AntirioError, describeError } from '@antirio/kernel';

export interface DriverLimits {
  /** For one call; then its signal is aborted, and it has failed. */
  readonly timeoutMs: number;
  /** Calls for one device that are not over, those included that went on after their time. */
  readonly maxPerDevice: number;
}

/** Calls into the driver, which may throw, hang, or not heed its signal: none of that goes further than the call. */
export interface DriverCalls {
  /** @throws AntirioError what the driver threw; timeout; busy where too many calls for the device are not over */
  call<T>(deviceName: string, work: (signal: AbortSignal) => Promise<T> | T): Promise<T>;
  /** Aborts what is under way; nothing is called any more. */
  stop(): void;
  readonly counts: { readonly failed: number; readonly late: number; readonly refused: number };
}

/** Whatever was thrown, as an error that has a place to stand. */
export function asError(error: unknown): AntirioError {
  if (error instanceof AntirioError) return error;
  return new AntirioError(
    'internal',
    describeError(error),
    {},
    error instanceof Error ? error.cause : undefined,
  );
}

export function createDriverCalls({ timeoutMs, maxPerDevice }: DriverLimits): DriverCalls {
  const stopping = new AbortController();
  const open = new Map<string, number>();
  const counts = { failed: 0, late: 0, refused: 0 };

  const over = (deviceName: string): void => {
    const left = (open.get(deviceName) ?? 1) - 1;
    if (left === 0) open.delete(deviceName);
    else open.set(deviceName, left);
  };
  const begin = <T>(deviceName: string, work: () => Promise<T> | T): Promise<T> => {
    open.set(deviceName, (open.get(deviceName) ?? 0) + 1);
    // a driver in JavaScript may throw before it has made a promise
    const running = (async () => work())();
    running
      .catch(() => undefined)
      .finally(() => over(deviceName))
      .catch(() => undefined);
    return running;
  };
  return {
    counts,
    async call(deviceName, work) {
      stopping.signal.throwIfAborted();
      if ((open.get(deviceName) ?? 0) >= maxPerDevice) {
        counts.refused += 1;
        throw new AntirioError('busy', `${maxPerDevice} requests for ${deviceName} are not over`);
      }
      const ending = new AbortController();
      const late = Promise.withResolvers<never>();
      const give = (error: AntirioError): void => {
        ending.abort(error);
        late.reject(error);
      };
      const timer = setTimeout(() => {
        counts.late += 1;
        give(new AntirioError('timeout', `the driver did not answer in ${timeoutMs} ms`));
      }, timeoutMs);
      const stop = (): void => give(new AntirioError('unavailable', 'the service stops'));
      stopping.signal.addEventListener('abort', stop, { once: true });
      late.promise.catch(() => undefined);
      try {
        return await Promise.race([begin(deviceName, () => work(ending.signal)), late.promise]);
      } catch (error) {
        counts.failed += 1;
        throw asError(error);
      } finally {
        clearTimeout(timer);
        stopping.signal.removeEventListener('abort', stop);
      }
    },
    stop: () => stopping.abort(new AntirioError('unavailable', 'the service stops')),
  };
}
