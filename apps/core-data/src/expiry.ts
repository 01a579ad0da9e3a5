import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Deletions } from './deletions.ts';
import type { EventStore } from './event-store.ts';
import type { Arrival } from './forwarding/arrivals.ts';
import type { Forwarding } from './forwarding/forwarding.ts';
import type { Holds } from './holds.ts';
import type { RetentionOptions } from './options.ts';

/** Events of a source up to an origin, which retention has no need of. */
export interface Expired {
  readonly device: string;
  readonly source: string;
  readonly until: bigint;
}

export interface Walked {
  readonly removed: number;
  /** Events that were to go and may not: they are still to be sent or fetched, or stored nowhere else. */
  readonly held: number;
}

/** Takes away what retention has no need of, as far as it may go. */
export interface Expiry {
  expire(expired: readonly Expired[]): Promise<void>;
  /**
   * Takes away the oldest in the order of arrival, up to a place; what is held for others is not meant.
   * @param bound by which it is remembered what may not go: that is looked at again when forwarding has come further.
   * @param left asked before each step with how many are gone: how many more are to go.
   */
  removeOldest(bound: string, through: number, left: Left): Promise<Walked>;
}

type Left = (removed: number) => number | Promise<number>;

/** Up to a place there is nothing that may go, as long as forwarding, what is held and the store's beginning are where they were. */
interface Looked {
  readonly state: string;
  readonly through: number;
  readonly held: number;
}

interface Ports {
  readonly store: EventStore;
  readonly deletions: Deletions;
  readonly forwarding: Pick<Forwarding, 'doneThrough' | 'isTaken' | 'state'>;
  readonly holds: Pick<Holds, 'isHeld' | 'state'>;
}

const keyOf = ({ device, source }: { readonly device: string; readonly source: string }): string =>
  JSON.stringify([device, source]);

export function createExpiry(deletes: RetentionOptions['deletes'], ports: Ports): Expiry {
  const { store, deletions, forwarding, holds } = ports;
  /** Of the device nothing up to there is awaited by anybody. */
  const doneThrough = (device: string): number => (holds.isHeld(device) ? 0 : forwarding.doneThrough(device));
  const mayGo = ({ device, id }: Arrival): boolean =>
    id <= doneThrough(device) && (deletes === 'unawaited' || forwarding.isTaken(device, id));

  const walk = async (
    through: number,
    isMeant: (arrival: Arrival) => boolean,
    left: Left,
    known: Omit<Looked, 'state'>,
  ): Promise<Walked & { readonly through: number }> => {
    let [removed, held, after] = [0, known.held, known.through];
    while (after < through) {
      const most = await left(removed);
      if (most <= 0) break;
      const page = await store.arrivals.page(after, through, () => true);
      const meant = page.arrivals.filter(isMeant);
      const going = meant.filter(mayGo).slice(0, most);
      // where no more of them may go now, the next step begins behind the last of them: a page is more than a step
      const last = going.length === most ? going.at(-1) : undefined;
      after = last?.id ?? page.through;
      held += meant.filter((one) => one.id <= after && !mayGo(one)).length;
      removed += await store.removeAt(going);
      await nextTurn();
    }
    return { removed, held, through: after };
  };
  /** In one walk: whether an event may go is a matter of its place. */
  const expireTaken = async (expired: readonly Expired[]): Promise<void> => {
    const untils = new Map(expired.map((one) => [keyOf(one), one.until]));
    const isMeant = (arrival: Arrival): boolean => arrival.origin <= (untils.get(keyOf(arrival)) ?? -1n);
    const oldest = (await store.arrivals.oldest()) ?? 1;
    await walk(store.arrivals.newest(), isMeant, () => Infinity, { through: oldest - 1, held: 0 });
  };
  const looked = new Map<string, Looked>();
  return {
    async expire(expired) {
      if (expired.length === 0) return;
      if (deletes === 'storedElsewhere') return expireTaken(expired);
      for (const one of expired) {
        const through = doneThrough(one.device);
        if (through > 0) await deletions.accept({ ...one, through });
      }
    },
    async removeOldest(bound, through, left) {
      const oldest = await store.arrivals.oldest();
      if (oldest === undefined) return { removed: 0, held: 0 };
      const before = `${forwarding.state()} ${holds.state()}`;
      const last = looked.get(bound);
      const isSame = last?.state === `${oldest} ${before}`;
      const known = isSame ? last : { through: oldest - 1, held: 0 };
      const walked = await walk(through, ({ device }) => !holds.isHeld(device), left, known);
      // by what was true before it began: what may go since then is seen the next time
      const state = `${await store.arrivals.oldest()} ${before}`;
      looked.set(bound, { state, through: walked.through, held: walked.held });
      return walked;
    },
  };
}
