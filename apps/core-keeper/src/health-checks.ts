import { describeError, type Clock } from '@antirio/kernel';
import { httpPeer, type GroupCommit, type Log } from '@antirio/host';
import { parseDuration } from '@antirio/edgex-contracts';
import type { CoreKeeperOptions } from './options.ts';
import type { Registration, Registrations, Status } from './registrations.ts';

/** Asks registered services for their health, each at its interval; twice as often until it is up for the first time. */
export interface HealthChecks {
  /** Begins, or begins anew with what the registration says now. */
  watch(registration: Registration): void;
  forget(serviceId: string): void;
  /** When the service last answered (milliseconds since the Unix epoch), if it did since it is watched. */
  lastConnected(serviceId: string): number | undefined;
  stop(): Promise<void>;
}

interface Ports {
  readonly clock: Clock;
  readonly log: Log;
}

interface Watched {
  registration: Registration;
  timer: NodeJS.Timeout | undefined;
  checking: Promise<void> | undefined;
  lastConnected: number | undefined;
  wasUp: boolean;
}

async function probe({ host, port, healthCheck }: Registration, timeoutMs: number): Promise<Status> {
  const address = host.includes(':') ? `[${host}]` : host;
  const peer = httpPeer({ url: `${healthCheck.type}://${address}:${port}` });
  try {
    const { status } = await peer.call({ path: healthCheck.path, timeoutMs, maxAnswerBytes: 1 << 16 });
    return status >= 200 && status < 300 ? 'UP' : 'DOWN';
  } catch {
    return 'DOWN';
  } finally {
    peer.close();
  }
}

export function createHealthChecks(
  options: CoreKeeperOptions,
  { clock, log }: Ports,
  store: { readonly commit: GroupCommit; readonly registrations: Registrations },
): HealthChecks {
  const watched = new Map<string, Watched>();

  /** Written when it changes only: a disk does not wear out by health checks. */
  const note = async (entry: Watched, status: Status): Promise<void> => {
    const { serviceId } = entry.registration;
    if (status === 'UP') entry.lastConnected = Math.trunc(clock.now());
    if (watched.get(serviceId) !== entry || entry.registration.status === status) return;
    entry.registration = { ...entry.registration, status, lastConnected: entry.lastConnected ?? 0 };
    log.info({ service: serviceId, status }, 'health');
    await store.commit.run(0, () => {
      const now = store.registrations.get(serviceId);
      if (now === undefined || watched.get(serviceId) !== entry) return;
      store.registrations.replace({
        ...now,
        status,
        lastConnected: entry.lastConnected ?? now.lastConnected,
      });
    });
  };
  const check = async (entry: Watched): Promise<void> => {
    try {
      const status = await probe(entry.registration, options.checkTimeoutMs);
      entry.wasUp ||= status === 'UP';
      await note(entry, status);
    } catch (error) {
      log.warn({ service: entry.registration.serviceId, error: describeError(error) }, 'health not noted');
    }
  };
  const plan = (entry: Watched): void => {
    const { serviceId, healthCheck } = entry.registration;
    if (watched.get(serviceId) !== entry) return;
    const interval = (parseDuration(healthCheck.interval) ?? 0) / 1e6;
    const delay = Math.max(options.minCheckIntervalMs, entry.wasUp ? interval : interval / 2);
    entry.timer = setTimeout(
      () => {
        entry.checking = check(entry).then(() => plan(entry));
      },
      Math.min(delay, 2 ** 31 - 1),
    );
    entry.timer.unref();
  };
  const forget = (serviceId: string): Watched | undefined => {
    const entry = watched.get(serviceId);
    watched.delete(serviceId);
    clearTimeout(entry?.timer);
    return entry;
  };
  return {
    watch(registration) {
      const before = forget(registration.serviceId);
      const entry: Watched = {
        registration,
        timer: undefined,
        checking: undefined,
        lastConnected: before?.lastConnected,
        wasUp: false,
      };
      watched.set(registration.serviceId, entry);
      plan(entry);
    },
    forget: (serviceId) => void forget(serviceId),
    lastConnected: (serviceId) => watched.get(serviceId)?.lastConnected,
    async stop() {
      const entries = [...watched.keys()].map(forget);
      for (const entry of entries) await entry?.checking;
    },
  };
}
