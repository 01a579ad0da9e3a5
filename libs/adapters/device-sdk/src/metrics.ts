import { Counter, Gauge, type Registry } from 'prom-client';

/** What the service tells of itself at `/metrics`: by name, what it is, and how much. */
export type Figures = Readonly<Record<string, readonly [help: string, value: () => number]>>;

/** Figures that are kept elsewhere, read when they are asked for. */
export function addFigures(registry: Registry, counters: Figures, gauges: Figures): void {
  for (const [name, [help, value]] of Object.entries(counters))
    registry.registerMetric(
      new Counter({
        name,
        help,
        registers: [],
        collect() {
          this.reset();
          this.inc(value());
        },
      }),
    );
  for (const [name, [help, value]] of Object.entries(gauges))
    registry.registerMetric(
      new Gauge({
        name,
        help,
        registers: [],
        collect() {
          this.set(value());
        },
      }),
    );
}

const snake = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9_]/g, '_');

/** Counters of a driver's own: in the telemetry under their names, at `/metrics` in snake case. */
export interface OwnCounters {
  countAs(name: string): (by?: number) => void;
  readonly telemetry: () => Readonly<Record<string, () => number>>;
}

const MAX_COUNTERS = 1000;

export function createOwnCounters(registry: Registry): OwnCounters {
  const counts = new Map<string, number>();
  return {
    telemetry: () => Object.fromEntries([...counts].map(([name, count]) => [name, () => count])),
    countAs(name) {
      if (!counts.has(name) && counts.size < MAX_COUNTERS) {
        counts.set(name, 0);
        const figure = `device_${snake(name)}_total`;
        if (registry.getSingleMetric(figure) === undefined)
          addFigures(registry, { [figure]: [`${name} of the driver`, () => counts.get(name) ?? 0] }, {});
      }
      return (by = 1) => {
        const count = counts.get(name);
        if (count !== undefined) counts.set(name, count + by);
      };
    },
  };
}
