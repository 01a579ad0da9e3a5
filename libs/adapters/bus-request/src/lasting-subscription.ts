import { describeError } from '@antirio/kernel';
import {
  retry,
  type Bus,
  type BusHandler,
  type Check,
  type SubscribeOptions,
  type Subscription,
} from '@antirio/host';

/** A subscription that is tried until the broker takes it. */
export interface LastingSubscription {
  /** Resolves once the broker has taken it, or it was closed before. */
  readonly settled: Promise<void>;
  /** Whether the broker has taken it, and if not, why. */
  health(): Check;
  /** Does not wait for a broker that is away. */
  close(): Promise<void>;
}

export interface LastingOptions extends SubscribeOptions {
  /** Runs once, when the broker has taken it. */
  readonly onSubscribed?: () => void;
  /** Runs at the first failure only. */
  readonly onFailure?: (error: unknown) => void;
}

const BROKER_AWAY = { attempts: Infinity, firstDelayMs: 200, maxDelayMs: 5000 };

/** Where no broker answers yet, or it refuses, it goes on trying in the background. */
export function lastingSubscription(
  bus: Bus,
  filter: string,
  handler: BusHandler,
  { onSubscribed, onFailure, ...options }: LastingOptions = {},
): LastingSubscription {
  const stopping = new AbortController();
  let open: Subscription | undefined;
  let failure: string | undefined;

  const failed = (error: unknown): void => {
    const first = failure === undefined;
    failure = describeError(error);
    if (first && !stopping.signal.aborted) onFailure?.(error);
  };
  const subscribe = async (): Promise<void> => {
    const subscription = await bus.subscribe(filter, handler, options).catch((error: unknown) => {
      failed(error);
      throw error;
    });
    if (stopping.signal.aborted) {
      await subscription.close();
      return;
    }
    open = subscription;
    onSubscribed?.();
  };
  const settled = retry({ ...BROKER_AWAY, signal: stopping.signal }, subscribe).catch(() => undefined);
  return {
    settled,
    health: () =>
      open === undefined
        ? { ok: false, detail: `not subscribed to ${filter}${failure === undefined ? '' : `: ${failure}`}` }
        : { ok: true },
    async close() {
      stopping.abort();
      await open?.close();
    },
  };
}
