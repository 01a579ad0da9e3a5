import { AntirioError, describeError } from '@antirio/kernel';
import { lastingSubscription, type LastingSubscription } from '@antirio/bus-request';
import { sleep, type Bus, type BusHandler, type Check, type Health, type Log } from '@antirio/host';
import { deviceCommandFilter, validateDeviceTopic } from '@antirio/edgex-contracts';
import { bootstrap, type Bootstrap } from './bootstrap.ts';
import { answerCommands } from './bus-commands.ts';
import type { DeviceSdk, Driver } from './driver.ts';
import { durationMs } from './options.ts';
import { createParts, type Parts, type PartsPorts } from './parts.ts';
import { createRefreshing, type Refreshing } from './refreshing.ts';
import { hearSystemEvents, systemEventFilters } from './system-events.ts';
import { answerValidations } from './validation.ts';

/** The parts of a device service at work. */
export interface Running {
  readonly parts: Parts;
  /** Resolves when core-metadata has the service with all that it brings. */
  readonly registered: Promise<void>;
  /** Begins to register. */
  start(): void;
  health(): Health;
  stop(): Promise<void>;
}

export type RunningPorts = Omit<PartsPorts, 'started' | 'stopping' | 'isRegistered' | 'refreshSoon'>;

const MAX_VALIDATIONS = 64;

interface DriverStart {
  /** Runs it, unless it has run. @throws AntirioError failed */
  run(): Promise<void>;
  /** When it runs for the first time. */
  readonly begun: Promise<void>;
}

function driverStart(
  driver: Driver,
  sdk: DeviceSdk,
  stopping: AbortSignal,
  onStarted: () => void,
): DriverStart {
  const begun = Promise.withResolvers<undefined>();
  const stopped = new Promise<never>((_, reject) => {
    const fail = (): void => reject(new AntirioError('unavailable', 'the service stops'));
    stopping.addEventListener('abort', fail, { once: true });
  });
  stopped.catch(() => undefined);
  let starting: Promise<void> | undefined;
  const start = async (): Promise<void> => {
    begun.resolve(undefined);
    try {
      await driver.start?.(sdk);
      onStarted();
    } catch (error) {
      throw new AntirioError('failed', `the driver does not start: ${describeError(error)}`);
    }
  };
  return {
    begun: begun.promise,
    run() {
      starting ??= start().catch((error: unknown) => {
        starting = undefined;
        throw error;
      });
      return Promise.race([starting, stopped]);
    },
  };
}

interface Open {
  readonly subscriptions: readonly LastingSubscription[];
  readonly boot: Bootstrap;
  readonly refreshing: Refreshing;
}

interface Handlers {
  readonly commands: BusHandler;
  readonly validations: BusHandler;
  readonly changes: BusHandler;
  /** Changes may have been missed. */
  readonly onBack: () => void;
}

/** What EdgeX's device services subscribe to, whenever the broker lets it. */
function listenOnBus(
  bus: Bus,
  { serviceName, maxBusCommands }: PartsPorts['options'],
  { commands, validations, changes, onBack }: Handlers,
  log: Log,
): LastingSubscription[] {
  const onFailure = (error: unknown): void =>
    log.warn({ error: describeError(error) }, 'the bus takes no subscription yet');
  return [
    lastingSubscription(bus, deviceCommandFilter(serviceName), commands, {
      concurrency: maxBusCommands,
      onFailure,
    }),
    lastingSubscription(bus, validateDeviceTopic(serviceName), validations, { concurrency: MAX_VALIDATIONS }),
    ...systemEventFilters(serviceName).map((filter) => lastingSubscription(bus, filter, changes, { onBack })),
  ];
}

const worst = (checks: readonly Check[]): Check => checks.find(({ ok }) => !ok) ?? { ok: true };

/** Core-metadata as it was when last asked, and the registration anew where it has lost the service. */
function keeping(
  parts: Parts,
  boot: () => Bootstrap | undefined,
): { refresh(): Promise<void>; check(): Check } {
  let last: Check = { ok: true };
  return {
    check: () => last,
    async refresh() {
      if (boot()?.isDone() !== true) return;
      try {
        const isKnown = await parts.turns.run(() => parts.changes.refresh());
        last = { ok: true };
        if (!isKnown) boot()?.again();
      } catch (error) {
        last = { ok: false, detail: describeError(error) };
        throw error;
      }
    },
  };
}

/** A driver that does not end is told that there is no time to lose, and not waited for. */
async function stopDriver(driver: Driver, timeoutMs: number, log: Log): Promise<void> {
  const waited = new AbortController();
  const stop = async (force: boolean): Promise<string> => {
    await driver.stop?.(force);
    return 'over';
  };
  try {
    const late = sleep(timeoutMs, waited.signal).then(() => 'late');
    const first = await Promise.race([stop(false), late]);
    if (first === 'late') stop(true).catch(() => undefined);
  } catch (error) {
    log.error({ error: describeError(error) }, 'the driver did not stop in order');
  } finally {
    waited.abort();
  }
}

export function createRunning(ports: RunningPorts): Running {
  const { options, driver, provision, baseAddress } = ports;
  const { bus, log, random } = ports.ports;
  const { serviceName } = options;
  const stopping = new AbortController();
  const registered = Promise.withResolvers<undefined>();
  let open: Open | undefined;
  const refreshSoon = (): void => open?.refreshing.soon();
  const isRegistered = (): boolean => open?.boot.isDone() === true;
  const started = Promise.withResolvers<undefined>();
  const own = { stopping: stopping.signal, started: started.promise, isRegistered, refreshSoon };
  const parts = createParts({ ...ports, ...own });
  const starting = driverStart(driver, parts.sdk, stopping.signal, () => started.resolve(undefined));
  const kept = keeping(parts, () => open?.boot);

  const afterRegistration = (): void => {
    registered.resolve(undefined);
    const { enabled, interval } = options.device.discovery;
    const everyMs = durationMs(interval) ?? 0;
    if (enabled && everyMs > 0 && driver.discover !== undefined) parts.discovery.repeatEvery(everyMs);
  };
  return {
    parts,
    registered: registered.promise,
    start() {
      const on = { ...parts, bus, log, random, driver, serviceName };
      const subscriptions = listenOnBus(
        bus,
        options,
        {
          commands: answerCommands(on),
          validations: answerValidations({ ...on, begun: starting.begun }),
          changes: hearSystemEvents({ ...on, onMissed: refreshSoon }),
          onBack: refreshSoon,
        },
        log,
      );
      const heard = Promise.all(subscriptions.map(({ settled }) => settled)).then(() => undefined);
      const { labels } = options.device;
      const onRegistered = (): Promise<void> => starting.run();
      const onDone = (): void => {
        for (const device of parts.cache.devices.values()) parts.autoEvents.follow(device.name, device);
      };
      const boot = bootstrap({ ...on, labels, baseAddress, provision, heard, onRegistered, onDone });
      const intervalMs = options.refreshIntervalMs;
      const refreshing = createRefreshing({ log, intervalMs, refresh: () => kept.refresh() });
      open = { subscriptions, boot, refreshing };
      void boot.done.then(afterRegistration);
    },
    health() {
      const checks: Record<string, Check> = { bus: bus.health() };
      if (open === undefined) return checks;
      checks['subscriptions'] = worst(open.subscriptions.map((one) => one.health()));
      checks['core-metadata'] = worst([open.boot.check(), kept.check()]);
      const [skipped] = provision.skipped;
      if (skipped !== undefined) checks['provision'] = { ok: false, detail: skipped };
      return checks;
    },
    async stop() {
      stopping.abort();
      parts.states.stop();
      await open?.refreshing.stop();
      await open?.boot.stop();
      await Promise.all((open?.subscriptions ?? []).map((one) => one.close()));
      parts.calls.stop();
      await Promise.all([parts.autoEvents.stop(), parts.discovery.stop(), parts.scans.stop()]);
      await parts.turns.idle();
      await parts.news.idle();
      await stopDriver(driver, options.device.driverTimeoutMs, log);
    },
  };
}
