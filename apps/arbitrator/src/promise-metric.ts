import { Counter, Gauge, type Registry } from 'prom-client';
import type { BlockDesk } from './block-desk.ts';
import type { PartyDriver } from './party-driver.ts';

/** How many contracts of this edge act by the promises of the other parties, because the grantor does not answer. */
export function countLeasesByPromises(metrics: Registry, drivers: ReadonlyMap<string, PartyDriver>): void {
  const gauge = new Gauge({
    name: 'antirio_leases_by_promises',
    help: 'contracts under which this edge acts by the promises of the other parties, without the grantor',
    registers: [metrics],
    collect() {
      gauge.set([...drivers.values()].filter((one) => one.seen.leaseBy() === 'promises').length);
    },
  });
}

/** Devices whose newest blocks of counters stand on those promises alone, or that get none before the grantor is back. */
export function sensorsOnPromises(drivers: Iterable<Pick<PartyDriver, 'seen'>>) {
  const all = new Map(
    [...drivers].flatMap(({ seen }) => seen.onPromises().map((one) => [one.devAddr, one] as const)),
  );
  const blocks = [...all.values()].reduce((sum, one) => sum + Math.max(0, one.blocks), 0);
  return { blocks, waiting: [...all.values()].filter(({ isSpent }) => isSpent).length };
}

export function countBlocksOnPromises(
  metrics: Registry,
  drivers: ReadonlyMap<string, PartyDriver>,
  desk: Pick<BlockDesk, 'counts'>,
): void {
  const gauge = new Gauge({
    name: 'antirio_blocks_on_promises',
    help: 'blocks of downlink counters that stand on the promises of the other parties, and that the grantor has not recorded',
    registers: [metrics],
    collect() {
      gauge.set(sensorsOnPromises(drivers.values()).blocks);
    },
  });
  const waiting = new Gauge({
    name: 'antirio_sensors_without_blocks',
    help: 'sensors that get no further block of downlink counters on promises, before the grantor answers',
    registers: [metrics],
    collect() {
      waiting.set(sensorsOnPromises(drivers.values()).waiting);
    },
  });
  const refused = new Counter({
    name: 'antirio_blocks_refused_total',
    help: 'blocks of downlink counters that another edge told of and that were not kept, by why',
    labelNames: ['reason'],
    registers: [metrics],
    collect() {
      refused.reset();
      for (const [reason, count] of desk.counts()) refused.inc({ reason }, count);
    },
  });
}
