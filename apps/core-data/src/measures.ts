import { Counter, Gauge, type Registry } from 'prom-client';
import type { StoreCounts } from './event-store.ts';

/** What the room counts; shown at `/api/v3/metrics`. */
export interface Measures {
  readonly persisted: (readings: number) => void;
  /** Events and readings stored since the start. */
  readonly events: number;
  readonly readings: number;
  readonly duplicate: () => void;
  /** A message of the bus that was no event. */
  readonly refusedMessage: () => void;
  /** A message of the bus that the store did not take. */
  readonly lostMessage: () => void;
  /** How many of those there were. */
  readonly lost: number;
  /** An event stored but not published again. */
  readonly unpublished: () => void;
  register(registry: Registry): void;
}

export function createMeasures(store: StoreCounts): Measures {
  const counts = {
    events: 0,
    readings: 0,
    duplicates: 0,
    refusedMessages: 0,
    lostMessages: 0,
    unpublished: 0,
  };
  const shown: readonly [string, string, () => number][] = [
    ['EventsPersisted', 'events stored', () => counts.events],
    ['ReadingsPersisted', 'readings stored', () => counts.readings],
    ['EventsDuplicate', 'events refused because their id was stored already', () => counts.duplicates],
    ['MessagesRefused', 'messages of the bus that were no event', () => counts.refusedMessages],
    ['MessagesLost', 'messages of the bus that the store did not take', () => counts.lostMessages],
    ['EventsUnpublished', 'events stored but not published on the bus', () => counts.unpublished],
    ['CommitsRefused', 'pieces of work refused because too much waited', () => store.refused],
    ['CommitsFailed', 'pieces of work that the store failed to take: full, or broken', () => store.failed],
  ];
  return {
    persisted(readings) {
      counts.events += 1;
      counts.readings += readings;
    },
    get events() {
      return counts.events;
    },
    get readings() {
      return counts.readings;
    },
    duplicate: () => void (counts.duplicates += 1),
    refusedMessage: () => void (counts.refusedMessages += 1),
    lostMessage: () => void (counts.lostMessages += 1),
    get lost() {
      return counts.lostMessages;
    },
    unpublished: () => void (counts.unpublished += 1),
    register(registry) {
      for (const [name, help, value] of shown) {
        const counter = new Counter({
          name,
          help,
          registers: [registry],
          collect() {
            this.reset();
            this.inc(value());
          },
        });
        registry.registerMetric(counter);
      }
      const pending = new Gauge({
        name: 'CommitsPending',
        help: 'pieces of work that wait for their commit',
        registers: [],
        collect() {
          this.set(store.pending);
        },
      });
      registry.registerMetric(pending);
    },
  };
}
