import { AntirioError, describeError } from '@antirio/kernel';

export interface DriverLimits {
  /** For one call; then its signal is aborted, and it has failed. */
  readonly timeoutMs: number;
  /** Requests for one device that are not over, those included that went on after their time. */
  readonly maxPerDevice: number;
}

/** Calls into the driver, which may throw, hang, or not heed its signal: none of that goes further than the call. */
export interface DriverCalls {
  /** Reads or writes. @throws AntirioError what the driver threw; timeout; `notAsked` where the driver was not asked, or not heard to the end */
  request<T>(deviceName: string, work: Work<T>): Promise<T>;
  /** What is no request to the device itself: however many of those hang, this is called. @throws AntirioError as `request` */
  callback<T>(work: Work<T>): Promise<T>;
  /** The device went: what is not over counts no more for one that comes by its name. */
  forget(deviceName: string): void;
  /** Aborts what is under way; nothing is called any more. */
  stop(): void;
  readonly counts: { readonly failed: number; readonly late: number; readonly refused: number };
}

type Work<T> = (signal: AbortSignal) => Promise<T> | T;

/** What came of this service, not of the driver or its device. */
const notAskedErrors = new WeakSet<Error>();
export const notAsked = (error: unknown): boolean => error instanceof Error && notAskedErrors.has(error);

/** Not asked because all that the device may have open hangs: that is the device's failure. */
const hungErrors = new WeakSet<Error>();
export const becauseItHangs = (error: unknown): boolean => error instanceof Error && hungErrors.has(error);

function ours(message: string): AntirioError {
  const error = new AntirioError('unavailable', message);
  notAskedErrors.add(error);
  return error;
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
  /** Of each device, those that are not over; true for those whose time is. */
  const open = new Map<string, Map<symbol, boolean>>();
  const counts = { failed: 0, late: 0, refused: 0 };

  const bounded = async <T>(work: Work<T>, onLate?: () => void): Promise<T> => {
    stopping.signal.throwIfAborted();
    const ending = new AbortController();
    const late = Promise.withResolvers<never>();
    const give = (error: AntirioError): void => {
      ending.abort(error);
      late.reject(error);
    };
    const timer = setTimeout(() => {
      counts.late += 1;
      onLate?.();
      give(new AntirioError('timeout', `the driver did not answer in ${timeoutMs} ms`));
    }, timeoutMs);
    const stop = (): void => give(stopping.signal.reason as AntirioError);
    stopping.signal.addEventListener('abort', stop, { once: true });
    late.promise.catch(() => undefined);
    try {
      // a driver in JavaScript may throw before it has made a promise
      return await Promise.race([(async () => work(ending.signal))(), late.promise]);
    } catch (error) {
      counts.failed += 1;
      throw asError(error);
    } finally {
      clearTimeout(timer);
      stopping.signal.removeEventListener('abort', stop);
    }
  };
  const begin = (deviceName: string): Record<'over' | 'late', () => void> => {
    const mine = open.get(deviceName) ?? new Map<symbol, boolean>();
    if (mine.size >= maxPerDevice) {
      counts.refused += 1;
      const refusal = ours(`${maxPerDevice} requests for ${deviceName} are not over`);
      if ([...mine.values()].every((isLate) => isLate)) hungErrors.add(refusal);
      throw refusal;
    }
    const one = Symbol(deviceName);
    open.set(deviceName, mine.set(one, false));
    return {
      over() {
        mine.delete(one);
        if (mine.size === 0 && open.get(deviceName) === mine) open.delete(deviceName);
      },
      late: () => void mine.set(one, true),
    };
  };
  return {
    counts,
    async request(deviceName, work) {
      stopping.signal.throwIfAborted();
      const { over, late } = begin(deviceName);
      return bounded(async (signal) => {
        try {
          return await work(signal);
        } finally {
          over();
        }
      }, late);
    },
    callback: (work) => bounded(work),
    forget: (deviceName) => void open.delete(deviceName),
    stop: () => stopping.abort(ours('the service stops')),
  };
}
