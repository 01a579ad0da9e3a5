import type { Clock } from '@antirio/kernel';
import { createConcurrency } from './rate-limit.ts';

/** What a stream takes less than, when all places are taken and somebody waits, is too little to keep its place; in bytes a second. */
const LEAST_PACE = 256 << 10;
/** Waited for the other side, before its pace says something. */
const JUDGED_AFTER_MS = 5000;
/** Over which the pace is taken: what was longer ago counts less and less. */
const OVER_MS = 10_000;

export interface PlaceLimits {
  readonly perEdge: number;
  readonly inAll: number;
  /** Of these, for edges that have none. */
  readonly keptForFirst: number;
}

/** A place of a stream that is under way. */
export interface Place {
  /** So many bytes are given to the other side from now on, until what this gives is called. */
  giving(bytes: number): () => void;
  end(): void;
}

/**
 * Places for streams to other edges. Where all are taken, those who take little while others wait make room: of the edge that has most, the slowest.
 * How slow the room is that they come from does not count, nor the pace of all streams together.
 */
export interface StreamPlaces {
  /** @param cut breaks the stream off, when it has to make room. Undefined where there is no place. */
  begin(edge: string, cut: () => void): Place | undefined;
}

export function createStreamPlaces(clock: Pick<Clock, 'monotonic'>, limits: PlaceLimits): StreamPlaces {
  const atOnce = createConcurrency(limits.perEdge, limits.inAll, limits.keptForFirst);
  const taken = new Set<TakenPlace>();
  const countOf = (edge: string): number => [...taken].filter((place) => place.edge === edge).length;

  /** Only who has less than somebody else has is made room for. */
  const makeRoom = (edge: string): boolean => {
    const slow = [...taken].filter((place) => place.isSlow() && countOf(place.edge) > countOf(edge));
    const order = (a: TakenPlace, b: TakenPlace): number =>
      countOf(b.edge) - countOf(a.edge) || a.pace() - b.pace();
    const [slowest] = slow.sort(order);
    slowest?.cut();
    return slowest !== undefined;
  };
  return {
    begin(edge, cut) {
      const free = atOnce.begin(edge) ?? (makeRoom(edge) ? atOnce.begin(edge) : undefined);
      if (free === undefined) return undefined;
      const place = new TakenPlace(edge, clock, {
        cut,
        end() {
          taken.delete(place);
          free();
        },
      });
      taken.add(place);
      return place;
    },
  };
}

class TakenPlace implements Place {
  readonly edge: string;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #ways: { readonly cut: () => void; readonly end: () => void };
  #bytes = 0;
  #waitedMs = 0;
  #since: number | undefined;

  constructor(edge: string, clock: Pick<Clock, 'monotonic'>, ways: { cut: () => void; end: () => void }) {
    this.edge = edge;
    this.#clock = clock;
    this.#ways = ways;
  }

  giving(bytes: number): () => void {
    this.#since = this.#clock.monotonic();
    return () => {
      this.#waitedMs = this.#waited();
      this.#since = undefined;
      this.#bytes += bytes;
      if (this.#waitedMs < OVER_MS) return;
      this.#waitedMs /= 2;
      this.#bytes /= 2;
    };
  }

  #waited(): number {
    return this.#waitedMs + (this.#since === undefined ? 0 : this.#clock.monotonic() - this.#since);
  }

  /** Bytes a second, of the time in which they were waited for. */
  pace(): number {
    return (this.#bytes / Math.max(1, this.#waited())) * 1000;
  }

  isSlow(): boolean {
    return this.#waited() >= JUDGED_AFTER_MS && this.pace() < LEAST_PACE;
  }

  cut(): void {
    this.end();
    this.#ways.cut();
  }

  end(): void {
    this.#ways.end();
  }
}
