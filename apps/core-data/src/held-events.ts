import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Log } from '@antirio/host';
import type { EventStore } from './event-store.ts';
import type { Forwarding } from './forwarding/forwarding.ts';
import type { Hold, Holds } from './holds.ts';
import type { RetentionOptions } from './options.ts';

/** What is held for others is within limits of its own, and counts for no bound of the store: none takes the room of our own events. */
export interface HeldEvents {
  /** Takes the oldest of each hold that is over a limit. */
  shrink(): Promise<void>;
  /** How many events are held now. */
  events(): Promise<number>;
  /** What they take of the store, as far as that can be told. */
  bytes(): Promise<number>;
  /** Events that went because their hold was over a limit. */
  readonly removed: number;
}

/** What is known of a hold's events. */
interface Known {
  /** All up to this place are counted. */
  through: number;
  /** None is left up to this place. */
  passed: number;
  events: number;
  bytes: number;
}

interface Ports {
  readonly store: Pick<EventStore, 'arrivals' | 'sources' | 'removeAt'>;
  readonly holds: Pick<Holds, 'all'>;
  readonly forwarding: Pick<Forwarding, 'doneThrough'>;
  readonly log: Pick<Log, 'error'>;
}

type Limits = RetentionOptions['holds'];

const REMOVED_AT_ONCE = 400;

const isOver = ({ maxEvents, maxBytes }: Limits, { events, bytes }: Known): boolean =>
  (maxEvents > 0 && events > maxEvents) || (maxBytes > 0 && bytes > maxBytes);

/** Without those within another one, whose events would count twice. */
const outermost = (all: readonly Hold[]): Hold[] =>
  all.filter(
    ({ devicePrefix: one }, index) =>
      !all.some(({ devicePrefix: other }, at) => (one === other ? at < index : one.startsWith(other))),
  );

/** Counts each event once, when it has come; after a start it looks through the store once, where it has events that are held. */
export function createHeldEvents(limits: Limits, { store, holds, forwarding, log }: Ports): HeldEvents {
  const { arrivals, sources } = store;
  const known = new Map<string, Known>();
  const told = new Set<string>();
  let removed = 0;

  const current = async (): Promise<readonly (readonly [Hold, Known])[]> => {
    const all = outermost(holds.all());
    const ids = new Set(all.map(({ id }) => id));
    for (const kept of [known, told]) for (const id of kept.keys()) if (!ids.has(id)) kept.delete(id);
    const before = ((await arrivals.oldest()) ?? 1) - 1;
    return all.map((hold) => {
      const one = known.get(hold.id) ?? { through: before, passed: before, events: 0, bytes: 0 };
      known.set(hold.id, one);
      return [hold, one];
    });
  };
  /** Of which there is none in the store: nothing is looked through. */
  const passNone = async ({ devicePrefix }: Hold, one: Known, newest: number): Promise<void> => {
    if ((await sources.eventsOf(devicePrefix)) > 0) return;
    one.through = one.passed = Math.max(one.through, newest);
    one.events = one.bytes = 0;
  };
  /** Somebody may have deleted some: what is left is taken to be as large as it was on the average. */
  const correct = async ({ devicePrefix }: Hold, one: Known): Promise<void> => {
    const there = await sources.eventsOf(devicePrefix);
    if (there >= one.events) return;
    one.bytes *= there / one.events;
    one.events = there;
  };
  const count = async (all: readonly (readonly [Hold, Known])[], newest: number): Promise<void> => {
    const [, first] = all[0] ?? [];
    const prefixes = all.map(([{ devicePrefix }]) => devicePrefix);
    const isWanted = (device: string): boolean => prefixes.some((prefix) => device.startsWith(prefix));
    while (first !== undefined && first.through < newest) {
      const page = await arrivals.page(first.through, newest, isWanted);
      const sizes = await arrivals.bytesOf(page.arrivals);
      for (const [{ devicePrefix }, one] of all) {
        one.through = page.through;
        for (const [index, { device }] of page.arrivals.entries()) {
          if (!device.startsWith(devicePrefix)) continue;
          one.events += 1;
          one.bytes += sizes[index] ?? 0;
        }
      }
      await nextTurn();
    }
  };
  const look = async (): Promise<readonly (readonly [Hold, Known])[]> => {
    const all = await current();
    const newest = arrivals.newest();
    for (const [hold, one] of all) await passNone(hold, one, newest);
    // but for new ones they are all as far as each other
    for (const some of Map.groupBy(all, ([, { through }]) => through).values()) await count(some, newest);
    for (const [hold, one] of all) await correct(hold, one);
    return all;
  };
  /** False when there is nothing more that may go. */
  const removeSome = async ({ devicePrefix }: Hold, one: Known): Promise<boolean> => {
    const isOf = (device: string): boolean => device.startsWith(devicePrefix);
    const page = await arrivals.page(one.passed, one.through, isOf);
    const oldest = page.arrivals.slice(0, REMOVED_AT_ONCE);
    const sizes = await arrivals.bytesOf(oldest);
    let going = 0;
    for (const { id, device } of oldest) {
      if (!isOver(limits, one) || id > forwarding.doneThrough(device)) break;
      one.events -= 1;
      one.bytes -= sizes[going] ?? 0;
      going += 1;
    }
    removed += await store.removeAt(oldest.slice(0, going));
    const isAll = going === page.arrivals.length;
    one.passed = isAll ? page.through : (oldest[going - 1]?.id ?? one.passed);
    return (isAll || going > 0) && one.passed < one.through;
  };
  return {
    async shrink() {
      for (const [hold, one] of await look()) {
        const before = removed;
        while (isOver(limits, one) && (await removeSome(hold, one))) await nextTurn();
        if (removed === before || told.has(hold.id)) continue;
        told.add(hold.id);
        const what = 'ALARM: of what is held for a customer the oldest go: it is over its limit';
        log.error({ hold: hold.id, events: removed - before }, what);
      }
    },
    async events() {
      const counts = outermost(holds.all()).map(({ devicePrefix }) => sources.eventsOf(devicePrefix));
      return (await Promise.all(counts)).reduce((sum, one) => sum + one, 0);
    },
    bytes: async () => (await look()).reduce((sum, [, { bytes }]) => sum + bytes, 0),
    get removed() {
      return removed;
    },
  };
}
