import { isAntirioError, type Clock, type EdgeId } from '@antirio/kernel';

/** How an answer came: from the edge itself, or through the centre. */
export type Way = 'direct' | 'central';

/**
 * Which way a request to another edge goes, where both are open to it. The direct one is taken as long as it is there; where it gives no
 * answer the centre carries, and meanwhile the direct one is tried again with growing pauses, beside the requests. What the centre cannot
 * bring either costs it a request now and then, no more.
 */
export interface Ways {
  /** @throws AntirioError what the direct way ended with, or the centre's where that is the way now */
  take<T>(to: EdgeId, ways: Readonly<Record<Way, () => Promise<T>>>): Promise<T>;
  /** The edge itself has answered. */
  reached(to: EdgeId): void;
  of(to: EdgeId): Way;
}

export interface WaysParts {
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Asks the edge itself for a sign of life; `reached` is told by whoever hears it. */
  readonly probe: (to: EdgeId) => Promise<unknown>;
}

interface Rest {
  readonly failures: number;
  readonly until: number;
}

interface Blocked {
  readonly probing: Rest;
  readonly resting: Rest;
}

const FIRST_PAUSE_MS = 1000;
const LONGEST_PROBE_PAUSE_MS = 15_000;
const LONGEST_REST_MS = 5000;
const MAX_EDGES = 256;
const RESTED: Rest = { failures: 0, until: 0 };

/** No answer at all: whatever the edge itself says is its own word, and no reason to ask it another way. */
function isUnreached(error: unknown): boolean {
  if (isAntirioError(error, 'timeout')) return true;
  return isAntirioError(error, 'unavailable') && error.details['status'] === undefined;
}

export function createWays({ clock, probe }: WaysParts): Ways {
  const blocked = new Map<EdgeId, Blocked>();

  const after = ({ failures }: Rest, longest: number): Rest => ({
    failures: failures + 1,
    until: clock.monotonic() + Math.min(longest, FIRST_PAUSE_MS * 2 ** failures),
  });
  const note = (to: EdgeId, change: Partial<Blocked>): void => {
    const known = blocked.get(to) ?? { probing: after(RESTED, LONGEST_PROBE_PAUSE_MS), resting: RESTED };
    blocked.delete(to);
    const oldest = blocked.size >= MAX_EDGES ? blocked.keys().next().value : undefined;
    if (oldest !== undefined) blocked.delete(oldest);
    blocked.set(to, { ...known, ...change });
  };
  const probeIfDue = (to: EdgeId, { probing }: Blocked): void => {
    if (clock.monotonic() < probing.until) return;
    note(to, { probing: after(probing, LONGEST_PROBE_PAUSE_MS) });
    // whether it answered is told by `reached`
    probe(to).catch(() => undefined);
  };
  const throughCentre = async <T>(to: EdgeId, carry: () => Promise<T>): Promise<T> => {
    try {
      const answer = await carry();
      if (blocked.has(to)) note(to, { resting: RESTED });
      return answer;
    } catch (error) {
      const known = blocked.get(to);
      if (known !== undefined) note(to, { resting: after(known.resting, LONGEST_REST_MS) });
      throw error;
    }
  };
  const isResting = (to: EdgeId): boolean => clock.monotonic() < (blocked.get(to)?.resting.until ?? 0);

  return {
    of: (to) => (blocked.has(to) && !isResting(to) ? 'central' : 'direct'),
    reached: (to) => void blocked.delete(to),
    async take(to, { direct, central }) {
      const known = blocked.get(to);
      if (known !== undefined) {
        probeIfDue(to, known);
        return isResting(to) ? direct() : throughCentre(to, central);
      }
      try {
        return await direct();
      } catch (error) {
        if (!isUnreached(error)) throw error;
        note(to, {});
        return await throughCentre(to, central).catch(() => {
          throw error;
        });
      }
    },
  };
}
