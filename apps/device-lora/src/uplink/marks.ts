import type { SessionId } from '@antirio/lorawan';
import type { Remembered, UplinkStore } from '../store.ts';

/** The first reception of a frame. */
export interface Mark extends Pick<Remembered, 'digest' | 'receivedAt'> {
  /** Unknown of what is read from the disk. */
  readonly gatewayId?: string;
}

/** What was stored under the newest counters of all sessions: on the disk, but for what came last. */
export interface Marks {
  get(session: SessionId, fcnt: number): Mark | undefined;
  set(session: SessionId, fcnt: number, mark: Mark): void;
  /** Everything set is on the disk. */
  settle(): void;
}

/**
 * Marks kept besides what is not on the disk yet. The receptions of one frame by several gateways come within a second, in which no
 * edge takes more frames; later ones are looked up.
 */
export const MARKS_KEPT = 2048;

export function createMarks(store: Pick<UplinkStore, 'remembered'>): Marks {
  // in the order in which they were set; one for all sessions: of each of ten thousand there would be more that is never asked for
  const recent = new Map<string, Mark>();
  const keyOf = (session: SessionId, fcnt: number): string => `${session}/${fcnt}`;
  return {
    get: (session, fcnt) => recent.get(keyOf(session, fcnt)) ?? store.remembered(session, fcnt),
    set(session, fcnt, mark) {
      const key = keyOf(session, fcnt);
      recent.delete(key);
      recent.set(key, mark);
    },
    settle() {
      for (const oldest of recent.keys()) {
        if (recent.size <= MARKS_KEPT) return;
        recent.delete(oldest);
      }
    },
  };
}
