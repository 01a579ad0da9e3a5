import { Counter, Gauge, type Registry } from 'prom-client';
import { parseDuration } from '@antirio/edgex-contracts';
import { describeError } from '@antirio/kernel';
import { repeat, type Check, type Log, type Repeating } from '@antirio/host';
import type { ArrivalAges } from './arrival-ages.ts';
import type { EventStore } from './event-store.ts';
import type { Expiry, Walked } from './expiry.ts';
import type { HeldEvents } from './held-events.ts';
import type { RetentionOptions } from './options.ts';

/** Keeps the store without what is held for others within its bounds by age, number and bytes, as far as what is over them may go. */
export interface StoreBounds extends Repeating {
  /** Storing goes on whatever is over a bound: this tells why it is. */
  check(): Check;
  register(registry: Registry): void;
}

type Reason = 'age' | 'number' | 'bytes';

interface Ports {
  readonly store: EventStore;
  readonly expiry: Expiry;
  readonly ages: ArrivalAges;
  readonly heldEvents: HeldEvents;
  readonly log: Log;
}

const REASONS: readonly Reason[] = ['age', 'number', 'bytes'];
/** Events that go before it is measured again. */
const REMOVED_AT_ONCE = 400;
/** Below the bound, so that not every event that comes has another one go. */
const LOW_WATER = 0.95;

export function createStoreBounds(
  { interval, maxAge, maxEvents, maxBytes }: RetentionOptions['bounds'],
  { store, expiry, ages, heldEvents, log }: Ports,
): StoreBounds {
  const removed: Record<Reason, number> = { age: 0, number: 0, bytes: 0 };
  const maxAgeMs = (parseDuration(maxAge) ?? 0) / 1e6;
  let held = 0;
  let bytes = 0;
  let failure: string | undefined;

  const remove = async (
    reason: Reason,
    through: number,
    left: (removed: number) => number | Promise<number>,
  ): Promise<Walked> => {
    const done = await expiry.removeOldest(reason, through, left);
    removed[reason] += done.removed;
    return done;
  };
  const byAge = async (): Promise<number> =>
    maxAgeMs > 0 ? (await remove('age', ages.placeBefore(maxAgeMs), () => Infinity)).held : 0;
  const byNumber = async (): Promise<number> => {
    if (maxEvents === 0) return 0;
    // those that are held are counted last: what comes meanwhile makes none of ours go
    const all = await store.reader.eventCount({});
    const over = all - (await heldEvents.events()) - maxEvents;
    if (over <= 0) return 0;
    const done = await remove('number', store.arrivals.newest(), (gone) => over - gone);
    return Math.min(done.held, over - done.removed);
  };
  const byBytes = async (): Promise<number> => {
    let [all, own] = [await store.bytes(), 0];
    const isOver = async (most: number): Promise<boolean> => {
      own = all - (all > most ? await heldEvents.bytes() : 0);
      return own > most;
    };
    let found = 0;
    if (maxBytes > 0 && (await isOver(maxBytes))) {
      const left = async (): Promise<number> => {
        all = await store.bytes();
        return (await isOver(maxBytes * LOW_WATER)) ? REMOVED_AT_ONCE : 0;
      };
      found = (await remove('bytes', store.arrivals.newest(), left)).held;
    }
    bytes = all;
    return own > maxBytes ? found : 0;
  };
  const alarm = (now: number): void => {
    if (now > 0 && held === 0)
      log.error(
        { events: now },
        'ALARM: events over the bounds of the store may not go: they are not stored elsewhere',
      );
    held = now;
  };
  const round = async (): Promise<void> => {
    await store.settled();
    if (maxAgeMs > 0) ages.note(store.arrivals.newest());
    await heldEvents.shrink();
    alarm(Math.max(await byAge(), await byNumber(), await byBytes()));
    while (maxBytes > 0 && (await store.giveBack()));
  };
  const work = async (): Promise<void> => {
    try {
      await round();
      failure = undefined;
    } catch (error) {
      failure = describeError(error);
      throw error;
    }
  };
  const intervalMs = (parseDuration(interval) ?? 0) / 1e6;
  const never: Repeating = { poke: () => undefined, stop: async () => undefined };
  const repeating = intervalMs > 0 ? repeat('bounds of the store', intervalMs, log, work) : never;
  return {
    ...repeating,
    check() {
      const told = [
        ...(failure === undefined ? [] : [`the bounds of the store were not looked at: ${failure}`]),
        ...(heldEvents.removed === 0
          ? []
          : [`${heldEvents.removed} events that were held for customers went: over the limits of a hold`]),
        ...(held === 0 ? [] : [`${held} events over the bounds may not go: they are not stored elsewhere`]),
      ];
      return { ok: true, ...(told.length === 0 ? {} : { detail: told.join('; ') }) };
    },
    register(registry) {
      const gone = new Counter({
        name: 'EventsRemoved',
        help: 'events that went because the store was over a bound, or what is held for a customer over its limit',
        labelNames: ['bound'],
        registers: [],
        collect() {
          this.reset();
          for (const bound of REASONS) this.inc({ bound }, removed[bound]);
          this.inc({ bound: 'hold' }, heldEvents.removed);
        },
      });
      const gauge = (name: string, help: string, value: () => number): void => {
        const made = new Gauge({
          name,
          help,
          registers: [],
          collect() {
            this.set(value());
          },
        });
        registry.registerMetric(made);
      };
      registry.registerMetric(gone);
      gauge('EventsHeldBack', 'events over a bound that may not go: not stored elsewhere', () => held);
      gauge('StoreBytes', 'bytes of the store, when its bounds were last looked at', () => bytes);
    },
  };
}
