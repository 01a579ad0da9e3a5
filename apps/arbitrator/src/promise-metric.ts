import { Gauge, type Registry } from 'prom-client';
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
