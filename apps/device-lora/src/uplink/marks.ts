import type { SessionId } from '@antirio/lorawan';
import type { Remembered, UplinkStore } from '../store.ts';

/** The first reception of a frame. */
export interface Mark extends Pick<Remembered, 'digest' | 'receivedAt'> {
  /** Unknown of what is read from the disk. */
  readonly gatewayId?: string;
}

/** What was stored under the newest counters of a session: on the disk, but for what came last. */
export interface Marks {
  get(fcnt: number): Mark | undefined;
  set(fcnt: number, mark: Mark): void;
  /** Everything set is on the disk. */
  settle(): void;
}

/** The receptions of one frame by several gateways come within moments, so that the last ones are all that is asked for often. */
const RECENT = 2;

class StoredMarks implements Marks {
  readonly #store: Pick<UplinkStore, 'remembered'>;
  readonly #session: SessionId;
  #recent: readonly (readonly [fcnt: number, mark: Mark])[] = [];

  constructor(store: Pick<UplinkStore, 'remembered'>, session: SessionId) {
    this.#store = store;
    this.#session = session;
  }

  get(fcnt: number): Mark | undefined {
    const recent = this.#recent.findLast(([known]) => known === fcnt);
    return recent?.[1] ?? this.#store.remembered(this.#session, fcnt);
  }

  set(fcnt: number, mark: Mark): void {
    this.#recent = [...this.#recent, [fcnt, mark]];
  }

  settle(): void {
    if (this.#recent.length > RECENT) this.#recent = this.#recent.slice(-RECENT);
  }
}

/** Ten thousand sessions with two thousand digests each would not fit into memory. */
export function createMarks(store: Pick<UplinkStore, 'remembered'>, session: SessionId): Marks {
  return new StoredMarks(store, session);
}
