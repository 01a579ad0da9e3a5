import { describeError } from '@antirio/kernel';
import { createThrottle, type Log } from '@antirio/host';
import { parseDuration, type AutoEvent, type Device } from '@antirio/edgex-contracts';

/** What one reading at an interval remembers. */
export interface AutoEventRun {
  /** Reads, and sends what is to be sent. */
  tick(): Promise<void>;
}

interface Ports {
  readonly clock: { monotonic(): number };
  readonly log: Log;
  /** Begins an auto event of a device. */
  readonly begin: (deviceName: string, autoEvent: AutoEvent) => AutoEventRun;
  /** Whether the device may be read by itself now. */
  readonly mayRun: (device: Device) => boolean;
}

export interface AutoEventCounts {
  /** Readings that were due while the one before was still under way. */
  readonly missed: number;
  readonly failed: number;
  readonly running: number;
}

/** Reads devices at intervals. Each auto event has one timer at most, and one reading under way at most. */
export interface AutoEvents {
  /** The device is there, as it is now; undefined: it is gone. */
  follow(name: string, device: Device | undefined): void;
  readonly counts: AutoEventCounts;
  stop(): Promise<void>;
}

/** Timers of Node end after 24.8 days. */
const LONGEST_MS = 2 ** 31 - 1;
const COMPLAIN_EVERY_MS = 60_000;

interface Running {
  readonly device: string;
  end(): Promise<void>;
}

const keyOf = ({ profileName }: Device, autoEvent: AutoEvent): string =>
  JSON.stringify([
    profileName,
    autoEvent.sourceName,
    autoEvent.interval,
    autoEvent.onChange,
    autoEvent.onChangeThreshold,
  ]);

export function createAutoEvents(ports: Ports): AutoEvents {
  const { begin, clock, log, mayRun } = ports;
  const counts = { missed: 0, failed: 0, running: 0 };
  const running = new Map<string, Map<string, Running>>();
  const ending = new Set<Promise<void>>();
  const complain = createThrottle(COMPLAIN_EVERY_MS, clock);
  let stopped = false;

  const start = (device: Device, autoEvent: AutoEvent): Running => {
    const intervalMs = Math.min(Math.max((parseDuration(autoEvent.interval) ?? 0) / 1e6, 1), LONGEST_MS);
    const run = begin(device.name, autoEvent);
    let due = clock.monotonic() + intervalMs;
    let timer: NodeJS.Timeout | undefined;
    let ticking: Promise<void> | undefined;
    let ended = false;

    const plan = (): void => {
      timer = setTimeout(fire, Math.max(due - clock.monotonic(), 0));
    };
    /** From the tick that was due, not from now: intervals do not drift, and what was missed is not made up for. */
    const next = (): void => {
      const late = Math.floor((clock.monotonic() - due) / intervalMs);
      if (late > 0) counts.missed += late;
      due += (Math.max(late, 0) + 1) * intervalMs;
      if (!ended) plan();
    };
    const tick = async (): Promise<void> => {
      try {
        await run.tick();
      } catch (error) {
        counts.failed += 1;
        complain((leftOut) =>
          log.warn(
            { device: device.name, source: autoEvent.sourceName, error: describeError(error), leftOut },
            'an auto event failed',
          ),
        );
      }
    };
    const fire = (): void => {
      ticking = tick().then(next);
    };
    plan();
    counts.running += 1;
    return {
      device: device.name,
      async end() {
        ended = true;
        clearTimeout(timer);
        counts.running -= 1;
        await ticking;
      },
    };
  };
  const end = (one: Running): void => {
    const over = one.end();
    ending.add(over);
    void over.finally(() => ending.delete(over));
  };
  const wanted = (device: Device | undefined): Map<string, AutoEvent> => {
    if (device === undefined || stopped || !mayRun(device)) return new Map();
    return new Map((device.autoEvents ?? []).map((autoEvent) => [keyOf(device, autoEvent), autoEvent]));
  };
  return {
    counts,
    follow(name, device) {
      const now = wanted(device);
      const before = running.get(name) ?? new Map<string, Running>();
      for (const [key, one] of before)
        if (!now.has(key)) {
          before.delete(key);
          end(one);
        }
      if (device !== undefined)
        for (const [key, autoEvent] of now) if (!before.has(key)) before.set(key, start(device, autoEvent));
      if (before.size === 0) running.delete(name);
      else running.set(name, before);
    },
    async stop() {
      stopped = true;
      for (const all of running.values()) for (const one of all.values()) end(one);
      running.clear();
      await Promise.all(ending);
    },
  };
}
