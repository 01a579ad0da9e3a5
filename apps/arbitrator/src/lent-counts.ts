import { Counter, type Registry } from 'prom-client';

type Counted =
  /** At the customer. */
  | 'sent'
  | 'notSent'
  | 'unsure'
  | 'answered'
  | 'unanswered'
  /** Sensors whose sample has to wait: other contracts sample them now. */
  | 'notSampled'
  /** At the provider. */
  | 'sentForCustomer'
  | 'notSentForCustomer'
  | 'overQuota';

/** Drill downlinks since the start. */
export interface LentCounts {
  add(what: Counted, count?: number): void;
  all(): ReadonlyMap<Counted, number>;
}

export function createLentCounts(): LentCounts {
  const counts = new Map<Counted, number>();
  return {
    add: (what, count = 1) => void counts.set(what, (counts.get(what) ?? 0) + count),
    all: () => counts,
  };
}

export function showLentCounts(metrics: Registry, counts: LentCounts): void {
  const counter = new Counter({
    name: 'antirio_drill_downlinks_total',
    help: 'drill downlinks: what became of those of this edge, and of those that its gateways were asked to send',
    labelNames: ['outcome'],
    registers: [metrics],
    collect() {
      counter.reset();
      for (const [outcome, count] of counts.all()) counter.inc({ outcome }, count);
    },
  });
}
