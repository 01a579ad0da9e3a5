import { describeError, type Clock } from '@antirio/kernel';
import { httpPeer, type GroupCommit, type Log, type RimAccess } from '@antirio/host';
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
  readonly access?: Pick<RimAccess, 'placeOf'> | undefined;
}

const AS_TOLD: Pick<RimAccess, 'placeOf'> = { placeOf: (url) => ({ url, credentials: undefined }) };

interface Store {
  readonly commit: Pick<GroupCommit, 'run'>;
  readonly registrations: Registrations;
}

/** What a timer of Node can wait at most. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface Watched {
  registration: Registration;
  timer: NodeJS.Timeout | undefined;
  checking: Promise<void> | undefined;
  lastConnected: number | undefined;
  wasUp: boolean;
}

async function probe(
  { host, port, healthCheck }: Registration,
  { placeOf }: Pick<RimAccess, 'placeOf'>,
  timeoutMs: number,
): Promise<Status> {
  const address = host.includes(':') ? `[${host}]` : host;
  const { url, credentials } = placeOf(`${healthCheck.type}://${address}:${port}`);
  // who asks for nothing but a sign of life shows no token
  const peer = httpPeer({ url, credentials: credentials && { tls: credentials.tls } });
  try {
    const { status } = await peer.call({ path: healthCheck.path, timeoutMs, maxAnswerBytes: 1 << 16 });
    return status >= 200 && status < 300 ? 'UP' : 'DOWN';
  } catch {
    return 'DOWN';
  } finally {
    peer.close();
  }
}

class IntervalChecks implements HealthChecks {
  readonly #options: CoreKeeperOptions;
  readonly #ports: Ports;
  readonly #store: Store;
  readonly #watched = new Map<string, Watched>();

  constructor(options: CoreKeeperOptions, ports: Ports, store: Store) {
    this.#options = options;
    this.#ports = ports;
    this.#store = store;
  }

  watch(registration: Registration): void {
    const before = this.#forget(registration.serviceId);
    const { lastConnected } = before ?? { lastConnected: undefined };
    const entry: Watched = {
      registration,
      timer: undefined,
      checking: undefined,
      lastConnected,
      wasUp: false,
    };
    this.#watched.set(registration.serviceId, entry);
    this.#plan(entry);
  }

  forget(serviceId: string): void {
    this.#forget(serviceId);
  }

  lastConnected(serviceId: string): number | undefined {
    return this.#watched.get(serviceId)?.lastConnected;
  }

  async stop(): Promise<void> {
    const entries = [...this.#watched.keys()].map((serviceId) => this.#forget(serviceId));
    for (const entry of entries) await entry?.checking;
  }

  #forget(serviceId: string): Watched | undefined {
    const entry = this.#watched.get(serviceId);
    this.#watched.delete(serviceId);
    clearTimeout(entry?.timer);
    return entry;
  }

  #plan(entry: Watched): void {
    const { serviceId, healthCheck } = entry.registration;
    if (this.#watched.get(serviceId) !== entry) return;
    const interval = (parseDuration(healthCheck.interval) ?? 0) / 1e6;
    const delay = Math.max(this.#options.minCheckIntervalMs, entry.wasUp ? interval : interval / 2);
    const check = (): void => {
      entry.checking = this.#check(entry).then(() => this.#plan(entry));
    };
    entry.timer = setTimeout(check, Math.min(delay, LONGEST_TIMER_MS));
    entry.timer.unref();
  }

  async #check(entry: Watched): Promise<void> {
    try {
      const status = await probe(
        entry.registration,
        this.#ports.access ?? AS_TOLD,
        this.#options.checkTimeoutMs,
      );
      entry.wasUp ||= status === 'UP';
      await this.#note(entry, status);
    } catch (error) {
      const service = entry.registration.serviceId;
      this.#ports.log.warn({ service, error: describeError(error) }, 'health not noted');
    }
  }

  /** Written when it changes only: a disk does not wear out by health checks. */
  async #note(entry: Watched, status: Status): Promise<void> {
    const { serviceId } = entry.registration;
    const { commit, registrations } = this.#store;
    if (status === 'UP') entry.lastConnected = Math.trunc(this.#ports.clock.now());
    if (this.#watched.get(serviceId) !== entry || entry.registration.status === status) return;
    this.#ports.log.info({ service: serviceId, status }, 'health');
    await commit.run(0, () => {
      const now = registrations.get(serviceId);
      if (now === undefined || this.#watched.get(serviceId) !== entry) return;
      registrations.replace({ ...now, status, lastConnected: entry.lastConnected ?? now.lastConnected });
    });
    entry.registration = { ...entry.registration, status };
  }
}

export function createHealthChecks(options: CoreKeeperOptions, ports: Ports, store: Store): HealthChecks {
  return new IntervalChecks(options, ports, store);
}
