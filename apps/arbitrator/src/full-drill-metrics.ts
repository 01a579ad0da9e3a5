import { Gauge, type Registry } from 'prom-client';
import type { FullDrills, FullDrillsView } from './full-drills.ts';

const TIMES = ['openedMs', 'epochMs', 'firstReadingMs', 'askedBackMs', 'releasedMs', 'takenBackMs'] as const;

/** Of the contracts under way: how many full drills came to what, and how long the steps of the newest one took. */
export function showFullDrills(metrics: Registry, drills: Pick<FullDrills, 'views'>): void {
  const total = (pick: (one: FullDrillsView) => number): number =>
    drills.views().reduce((sum, one) => sum + pick(one), 0);
  const counts = new Gauge({
    name: 'antirio_full_drills',
    help: 'full drills of the contracts under way, by what came of them on the ledger',
    labelNames: ['outcome'],
    registers: [metrics],
    collect() {
      counts.set(
        { outcome: 'passed' },
        total(({ passed }) => passed),
      );
      counts.set(
        { outcome: 'failed' },
        total(({ failed }) => failed),
      );
      counts.set(
        { outcome: 'void' },
        total((one) => one.void),
      );
    },
  });
  const times = new Gauge({
    name: 'antirio_full_drill_seconds',
    help: 'the newest passed full drill of this edge: from the word to each step, by the ledger (first reading: by the provider)',
    labelNames: ['step'],
    registers: [metrics],
    collect() {
      times.reset();
      const newest = drills
        .views()
        .flatMap(({ newest: one }) => (one?.state === 'passed' ? [one] : []))
        .sort((a, b) => a.askedAt - b.askedAt)
        .at(-1);
      for (const step of TIMES) {
        const ms = newest?.times[step];
        if (ms !== undefined) times.set({ step: step.slice(0, -2) }, ms / 1000);
      }
    },
  });
}
