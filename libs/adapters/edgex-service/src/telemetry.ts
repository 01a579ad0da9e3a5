import { describeError, uuidV4, type Clock, type Random } from '@antirio/kernel';
import type { Bus, Log } from '@antirio/host';
import { API_VERSION, BASE_TOPIC, makeEnvelope, topicLevel } from '@antirio/edgex-contracts';

/** Counters by EdgeX's name of the metric: how much since the start. */
export type Counters = Readonly<Record<string, () => number>>;

export interface TelemetrySettings {
  readonly intervalMs: number;
  /** Which metrics are published; those that are not named are not. */
  readonly metrics: Readonly<Record<string, boolean>>;
  /** Added to each metric. */
  readonly tags: Readonly<Record<string, string>>;
}

/** Publishes metrics as EdgeX does: `edgex/telemetry/<service>/<metric>`, an envelope with a Metric. */
export interface Telemetry {
  apply(settings: TelemetrySettings): void;
  stop(): void;
}

interface Ports {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly bus?: Bus | undefined;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export function createTelemetry(serviceKey: string, counters: Counters, ports: Ports): Telemetry {
  const { bus, clock, log, random } = ports;
  let timer: NodeJS.Timeout | undefined;
  let settings: TelemetrySettings = { intervalMs: LONGEST_TIMER_MS, metrics: {}, tags: {} };

  const publish = (name: string, count: number): void => {
    const tags = Object.entries({ ...settings.tags, service: serviceKey });
    const metric = {
      apiVersion: API_VERSION,
      name,
      fields: [{ name: 'counter-count', value: count }],
      tags: tags.map(([tag, value]) => ({ name: tag, value })),
      timestamp: BigInt(Math.trunc(clock.now())) * 1_000_000n,
    };
    const topic = [BASE_TOPIC, 'telemetry', topicLevel(serviceKey), topicLevel(name)].join('/');
    bus
      ?.publish(topic, makeEnvelope(metric, { correlationID: uuidV4(random) }))
      .catch((error: unknown) => log.debug({ metric: name, error: describeError(error) }, 'not published'));
  };
  const report = (): void => {
    for (const [name, count] of Object.entries(counters))
      if (settings.metrics[name] === true) publish(name, count());
  };
  return {
    apply(given) {
      settings = given;
      clearInterval(timer);
      const wanted = Object.keys(counters).some((name) => given.metrics[name] === true);
      if (!wanted) return;
      timer = setInterval(report, Math.min(given.intervalMs, LONGEST_TIMER_MS));
      timer.unref();
    },
    stop() {
      clearInterval(timer);
    },
  };
}
