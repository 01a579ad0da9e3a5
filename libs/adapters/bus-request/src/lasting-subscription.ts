import { retry, type Bus, type BusHandler, type Subscription } from '@antirio/host';

/** A subscription that is tried until the broker takes it. */
export interface LastingSubscription {
  /** Resolves once the broker has taken it, or it was closed before. */
  readonly settled: Promise<void>;
  /** Does not wait for a broker that is away. */
  close(): Promise<void>;
}

const BROKER_AWAY = { attempts: Infinity, firstDelayMs: 200, maxDelayMs: 5000 };

/** Where no broker answers yet, it goes on trying in the background. `onSubscribed` runs once, when the broker has taken it. */
export function lastingSubscription(
  bus: Bus,
  filter: string,
  handler: BusHandler,
  onSubscribed: () => void = () => undefined,
): LastingSubscription {
  const stopping = new AbortController();
  let open: Subscription | undefined;

  const subscribe = async (): Promise<void> => {
    const subscription = await bus.subscribe(filter, handler);
    if (stopping.signal.aborted) {
      await subscription.close();
      return;
    }
    open = subscription;
    onSubscribed();
  };
  const settled = retry({ ...BROKER_AWAY, signal: stopping.signal }, subscribe).catch(() => undefined);
  return {
    settled,
    async close() {
      stopping.abort();
      await open?.close();
    },
  };
}
