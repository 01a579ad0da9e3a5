import { describeError, uuidV4, type Clock, type Random } from '@antirio/kernel';
import type { Bus, Log } from '@antirio/host';
import { API_VERSION, BASE_TOPIC, makeEnvelope, topicLevel } from '@antirio/edgex-contracts';

/** Counters by EdgeX's name of the metric: how much since the start. */
export type Counters = Readonly<Record<string, () => number>>;

/** A value that comes and goes, such as one of each device; it is published where its name begins with that of a metric that is. */
export interface Gauge {
  readonly name: string;
  readonly value: number | bigint;
  readonly tags: Readonly<Record<string, string>>;
}

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

export function createTelemetry(
  serviceKey: string,
  counters: () => Counters,
  ports: Ports,
  gauges: () => Iterable<Gauge> = () => [],
): Telemetry {
  const { bus, clock, log, random } = ports;
  let timer: NodeJS.Timeout | undefined;
  let settings: TelemetrySettings = { intervalMs: LONGEST_TIMER_MS, metrics: {}, tags: {} };

  const publish = (
    name: string,
    field: { readonly name: string; readonly value: number | bigint },
    own: Readonly<Record<string, string>> = {},
  ): void => {
    const tags = Object.entries({ ...settings.tags, ...own, service: serviceKey });
    const metric = {
      apiVersion: API_VERSION,
      name,
      fields: [field],
      tags: tags.map(([tag, value]) => ({ name: tag, value })),
      timestamp: BigInt(Math.trunc(clock.now())) * 1_000_000n,
    };
    const topic = [BASE_TOPIC, 'telemetry', topicLevel(serviceKey), topicLevel(name)].join('/');
    bus
      ?.publish(topic, makeEnvelope(metric, { correlationID: uuidV4(random) }))
      .catch((error: unknown) => log.debug({ metric: name, error: describeError(error) }, 'not published'));
  };
  const report = (): void => {
    for (const [name, count] of Object.entries(counters()))
      if (settings.metrics[name] === true) publish(name, { name: 'counter-count', value: count() });
    const wanted = Object.keys(settings.metrics).filter((name) => settings.metrics[name] === true);
    for (const { name, value, tags } of gauges())
      if (wanted.some((head) => name.startsWith(head))) publish(name, { name: 'gauge-value', value }, tags);
  };
  return {
    apply(given) {
      settings = given;
      clearInterval(timer);
      if (!Object.values(given.metrics).includes(true)) return;
      timer = setInterval(report, Math.min(given.intervalMs, LONGEST_TIMER_MS));
      timer.unref();
    },
    stop() {
      clearInterval(timer);
    },
  };
}
