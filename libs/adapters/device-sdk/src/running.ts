import { AntirioError, describeError } from '@antirio/kernel';
import { lastingSubscription, type LastingSubscription } from '@antirio/bus-request';
import { type Bus, type BusHandler, type Check, type Health, type Log } from '@antirio/host';
import { deviceCommandFilter, validateDeviceTopic } from '@antirio/edgex-contracts';
import { bootstrap, type Bootstrap } from './bootstrap.ts';
import { answerCommands } from './bus-commands.ts';
import type { DeviceSdk, Driver } from './driver.ts';
import { durationMs } from './options.ts';
import { createParts, type Parts, type PartsPorts } from './parts.ts';
import { createRefreshing, type Refreshing } from './refreshing.ts';
import { within } from './within.ts';
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
  /** What is under way fails, and nothing is begun any more. */
  halt(): void;
  /** Ends in a few seconds, whatever hangs; the driver is told in any case. */
  stop(): Promise<void>;
}

export type RunningPorts = Omit<
  PartsPorts,
  'started' | 'hurry' | 'stopping' | 'isRegistered' | 'refreshSoon'
>;

const MAX_VALIDATIONS = 64;
/** So many devices that hang take all that may be under way by the bus. */
const BUS_SHARES = 16;
/** For what is under way when the service stops, and, after it was given up, once more. */
const GRACE_MS = 1500;
/** For the driver's end. */
const DRIVER_STOP_MS = 3000;

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
  const stop = async (force: boolean): Promise<string> => {
    await driver.stop?.(force);
    return 'over';
  };
  try {
    if ((await within(timeoutMs, stop(false))) === undefined) stop(true).catch(() => undefined);
  } catch (error) {
    log.error({ error: describeError(error) }, 'the driver did not stop in order');
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
  const hurry = new AbortController();
  const own = {
    hurry: hurry.signal,
    stopping: stopping.signal,
    started: started.promise,
    isRegistered,
    refreshSoon,
  };
  const parts = createParts({ ...ports, ...own });
  const starting = driverStart(driver, parts.sdk, stopping.signal, () => started.resolve(undefined));
  const kept = keeping(parts, () => open?.boot);

  const afterRegistration = (): void => {
    registered.resolve(undefined);
    const { enabled, interval } = options.device.discovery;
    const everyMs = durationMs(interval) ?? 0;
    if (enabled && everyMs > 0 && driver.discover !== undefined) parts.discovery.repeatEvery(everyMs);
  };
  const halt = (): void => {
    stopping.abort(new AntirioError('unavailable', 'the service stops'));
    parts.states.stop();
    parts.calls.stop();
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
          commands: answerCommands({ ...on, maxPerDevice: Math.ceil(options.maxBusCommands / BUS_SHARES) }),
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
    halt,
    async stop() {
      halt();
      const over = Promise.allSettled([
        open?.refreshing.stop(),
        open?.boot.stop(),
        ...(open?.subscriptions ?? []).map((one) => one.close()),
        ...[parts.autoEvents.stop(), parts.discovery.stop(), parts.scans.stop()],
        ...[parts.turns.idle(), parts.news.idle()],
      ]);
      await within(GRACE_MS, over);
      hurry.abort(new AntirioError('unavailable', 'the service stops'));
      await within(GRACE_MS, over);
      await stopDriver(driver, Math.min(options.device.driverTimeoutMs, DRIVER_STOP_MS), log);
    },
  };
}
